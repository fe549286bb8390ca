//! What a route does with a request beside handing it on, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use dozen_gateway::RouteOptions;
use world::{Registry, World, echo, nowhere, options, service};

/// Routes as the file has them, in JSON.
fn routes(json: serde_json::Value) -> Vec<RouteOptions> {
    serde_json::from_value(json).unwrap()
}

async fn world(json: serde_json::Value) -> World {
    let registry = Registry::default();
    registry.set("orders", &[echo("orders").await]);
    registry.set("stock", &[echo("stock").await]);
    registry.set("gone", &[nowhere().await]);
    World::start(options(routes(json)), registry).await
}

async fn asked(world: &World, line: &str, headers: &str) -> world::Answer {
    world.ask(&format!("{line} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn paths_hosts_and_headers_are_changed_on_the_way_in_and_out() {
    let world = world(serde_json::json!([
        { "match": { "path": "/v1/{id}" }, "to": "orders:/v2/{id}?x={query.y}" },
        { "match": { "path": "/api/*" }, "to": "orders", "rewrite": { "path-prefix": "/internal", "host": "orders.local" } },
        { "match": { "regex": "^/old/(?<year>[0-9]{4})/.*$" }, "to": "orders:/archive/{year}" },
        { "match": { "path": "/swap/*" }, "to": "orders",
          "rewrite": { "regex": "^/swap/(.*)/(.*)$", "with": "/{2}/{1}" } },
        { "match": { "path": "/unsafe" }, "to": "orders:/files/{query.name}" },
        { "match": { "path": "/headers/{id}" }, "to": "orders",
          "headers": {
            "request": { "set": { "x-id": "{id}" }, "add": { "x-note": "a" }, "remove": ["Cookie"] },
            "response": { "set": { "x-powered-by": "us", "x-route": "{route}" }, "remove": ["x-secret"] }
          } },
    ]))
    .await;
    let line = |answer: world::Answer| answer.text().lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(line(asked(&world, "GET /v1/7?y=a%2Fb&z=1", "").await), "get /v2/7?x=a%2fb http/1.1");
    let text = asked(&world, "GET /api/a/b?q=1", "").await.text();
    assert!(text.contains("get /internal/a/b?q=1 ") && text.contains("\nhost: orders.local\r"), "{text}");
    assert_eq!(line(asked(&world, "GET /old/1999/x", "").await), "get /archive/1999 http/1.1");
    assert_eq!(line(asked(&world, "GET /swap/a/b", "").await), "get /b/a http/1.1");
    assert_eq!(line(asked(&world, "GET /swap/a", "").await), "get /swap/a http/1.1");
    assert_eq!(line(asked(&world, "GET /unsafe?name=a", "").await), "get /files/a?name=a http/1.1");
    assert_eq!(asked(&world, "GET /unsafe?name=..", "").await.status, 400);
    let answer = asked(&world, "GET /headers/7", "cookie: a=1\r\nx_id: evil\r\nX-Note: b\r\n").await;
    let text = answer.text();
    assert!(text.contains("\nx-id: 7\r") && !text.contains("evil") && !text.contains("cookie"), "{text}");
    assert!(text.contains("\nx-note: b\r") && text.contains("\nx-note: a\r"), "{text}");
    assert_eq!(answer.header("x-route"), Some("/headers/{id}"));
    world.end().await;
}

#[tokio::test]
async fn a_redirect_an_answer_and_what_is_gone_need_no_service() {
    let world = world(serde_json::json!([
        { "match": { "path": "/secure/*" }, "redirect": { "to": "https", "status": 308 } },
        { "match": { "path": "/moved/{id}" }, "redirect": { "to": "/new/{id}?from={query.a}" } },
        { "match": { "path": "/hello" }, "answer": { "body": "{{\"hello\": \"{query.name}\"}}", "content-type": "application/json" } },
        { "match": { "path": "/closed" }, "answer": { "status": 503 } },
        { "match": { "path": "/empty" }, "answer": { "status": 204 } },
        { "match": { "path": "/old" }, "to": "orders",
          "deprecated": { "since": "2020-01-01T00:00:00Z", "sunset": "2021-01-01T00:00:00Z", "gone": true } },
        { "match": { "path": "/older" }, "to": "gone", "deprecated": { "since": "2020-01-01T00:00:00Z" } },
    ]))
    .await;
    let answer = asked(&world, "GET /secure/a?b=c", "").await;
    assert_eq!((answer.status, answer.header("location")), (308, Some("https://shop.example/secure/a?b=c")));
    assert_eq!((answer.header("content-length"), answer.body.len()), (Some("0"), 0));
    let answer = asked(&world, "GET /moved/7?a=x", "").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("/new/7?from=x")));
    let answer = asked(&world, "GET /hello?name=you", "").await;
    assert_eq!(
        (answer.text().as_str(), answer.header("content-type")),
        ("{\"hello\": \"you\"}", Some("application/json"))
    );
    assert_eq!(
        asked(&world, "GET /closed", "").await.header("content-type"),
        Some("application/problem+json")
    );
    let empty = asked(&world, "GET /empty", "").await;
    assert_eq!((empty.status, empty.header("content-length")), (204, None));
    let gone = asked(&world, "GET /old", "").await;
    assert_eq!((gone.status, gone.header("deprecation")), (410, Some("@1577836800")));
    assert_eq!(gone.header("sunset"), Some("fri, 01 jan 2021 00:00:00 gmt"));
    // What the gateway says, it says in its problem documents too.
    let older = asked(&world, "GET /older", "").await;
    assert_eq!((older.status, older.header("deprecation")), (502, Some("@1577836800")));
    world.end().await;
}

#[tokio::test]
async fn cors_is_answered_by_one_voice_and_a_preflight_never_reaches_the_service() {
    let registry = Registry::default();
    let chatty = service(|mut wire| async move {
        while let Some(head) = wire.head().await {
            assert!(!head.starts_with("options"), "{head}");
            wire.send(
                "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\nAccess-Control-Allow-Credentials: false\r\n\
                 vary: accept\r\ncontent-length: 2\r\n\r\nok",
            )
            .await;
        }
    });
    registry.set("orders", &[chatty.await]);
    let json = serde_json::json!([{
        "match": { "path": "/a", "method": ["GET", "PUT"] }, "to": "orders",
        "cors": { "origins": ["https://shop.example"], "credentials": true, "headers": ["x-tenant"], "max-age": "60s" }
    }]);
    let world = World::start(options(routes(json)), registry).await;
    let preflight = "origin: https://shop.example\r\naccess-control-request-method: PUT\r\n";
    let answer = asked(&world, "OPTIONS /a", preflight).await;
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("get, put")));
    assert_eq!(answer.header("access-control-max-age"), Some("60"));
    let answer = asked(&world, "GET /a", "origin: https://shop.example\r\n").await;
    assert_eq!(answer.head.matches("access-control-allow-origin").count(), 1, "{}", answer.head);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.head.matches("\nvary: ").count(), 2, "{}", answer.head);
    let stranger = asked(&world, "GET /a", "origin: https://evil.example\r\n").await;
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (200, None));
    // Without the two headers it is a request like any other.
    assert_eq!(asked(&world, "OPTIONS /a", "").await.status, 405);
    world.end().await;
}

#[tokio::test]
async fn a_user_stays_with_one_service_and_the_choice_travels_on() {
    let world = world(serde_json::json!([{
        "name": "checkout", "match": { "path": "/*" }, "sticky": "header(x-user)",
        "to": [{ "service": "orders", "weight": 1 }, { "service": "stock", "weight": 1 }]
    }]))
    .await;
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..20 {
        let mut first = None;
        for _ in 0..3 {
            let text = asked(&world, "GET /a", &format!("x-user: {user}\r\ndozen-split: checkout=evil\r\n"))
                .await
                .text();
            let service = text.lines().next().unwrap().to_owned();
            assert!(text.contains(&format!("\ndozen-split: checkout={service}\r")), "{text}");
            assert_eq!(text.matches("dozen-split").count(), 1, "{text}");
            assert_eq!(*first.get_or_insert(service.clone()), service);
            seen.insert(service);
        }
    }
    assert_eq!(seen.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_trusted_proxy_says_where_the_client_is_what_it_spoke_and_what_was_chosen() {
    let registry = Registry::default();
    registry.set("orders", &[echo("orders").await]);
    registry.set("stock", &[echo("stock").await]);
    let json = serde_json::json!([
        { "name": "split", "match": { "path": "/split" },
          "to": [{ "service": "orders", "weight": 1 }, { "service": "stock", "weight": 1 }] },
        { "match": { "path": "/plain" }, "redirect": { "to": "https" } },
        { "match": { "path": "/plain", "when": "scheme == 'https'" }, "to": "orders",
          "headers": { "request": { "set": { "x-client": "{address}" } } } },
    ]);
    let mut options = options(routes(json));
    options.trusted = vec!["127.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap()];
    let world = World::start(options, registry).await;
    for _ in 0..5 {
        let text = asked(&world, "GET /split", "dozen-split: other=x, split=stock\r\n").await.text();
        assert!(text.starts_with("stock\n") && text.contains("dozen-split: other=x"), "{text}");
    }
    assert_eq!(asked(&world, "GET /plain", "").await.status, 307);
    let from = "x-forwarded-proto: https\r\nx-forwarded-for: 6.6.6.6, 192.0.2.7, 10.0.0.9\r\n";
    let text = asked(&world, "GET /plain", from).await.text();
    assert!(text.contains("\nx-client: 192.0.2.7\r"), "{text}");
    world.end().await;
}
