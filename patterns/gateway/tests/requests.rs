//! Requests through a gateway, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use dozen_gateway::{Options, RouteOptions};
use world::{Registry, World, always, echo, nowhere, options, service};

fn route(method: &str, path: &str, to: &str) -> RouteOptions {
    let mut route = RouteOptions::new(path, to);
    if !method.is_empty() {
        route.matching.method = method.split(',').map(str::to_owned).collect();
    }
    route
}

async fn shop() -> World {
    let registry = Registry::default();
    registry.set("orders", &[echo("orders").await]);
    registry.set("stock", &[echo("stock").await]);
    let routes = vec![
        route("GET", "/orders/{id}", "orders"),
        route("POST", "/orders", "orders:/new"),
        route("GET", "/orders/special", "stock"),
        route("", "/stock/{sku}/count", "stock:/internal/{sku}"),
        route("GET", "/files/{*rest}", "stock:/f/{rest}"),
    ];
    World::start(options(routes), registry).await
}

#[tokio::test]
async fn gw_m1_every_service_is_reached_through_one_endpoint() {
    let world = shop().await;
    let mut wire = world.connect().await;
    for (path, says) in [
        ("/orders/7", "orders\nget /orders/7 http/1.1"),
        ("/stock/a/count", "stock\nget /internal/a http/1.1"),
    ] {
        wire.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let answer = wire.answer(false).await;
        assert!(answer.text().starts_with(says), "{}", answer.text());
    }
    world.end().await;
}

#[tokio::test]
async fn gw_m4_routes_by_path_and_method_and_the_most_specific_wins() {
    let world = shop().await;
    let first = |answer: &world::Answer| answer.text().lines().take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(first(&world.get("/orders/special").await), "stock get /orders/special http/1.1");
    assert_eq!(first(&world.get("/orders/x/../special?a=1").await), "stock get /orders/special?a=1 http/1.1");
    assert_eq!(first(&world.get("/files/a/b%2fc?q").await), "stock get /f/a/b%2fc?q http/1.1");
    let answer = world.ask("POST /orders HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").await;
    assert_eq!(first(&answer), "orders post /new http/1.1");
    assert!(answer.text().ends_with("abc"));
    assert_eq!(world.get("/nothing").await.status, 404);
    let answer = world.ask("DELETE /orders/7 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("get, head")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    world.end().await;
}

#[tokio::test]
async fn gw_m4_routes_by_host_header_and_query() {
    let registry = Registry::default();
    for name in ["any", "exact", "below", "beta", "preview"] {
        registry.set(name, &[echo(name).await]);
    }
    let mut routes = ["any", "exact", "below", "beta", "preview"]
        .map(|name| RouteOptions { name: Some(name.into()), ..route("", "/", name) });
    routes[1].matching.host = Some("shop.example".into());
    routes[2].matching.host = Some("*.example".into());
    routes[3].matching.headers.insert("X-Group".into(), "beta".into());
    routes[4].matching.query.insert("preview".into(), "*".into());
    let world = World::start(options(routes.to_vec()), registry).await;
    for (target, host, header, to) in [
        ("/", "localhost", "", "any"),
        ("/", "SHOP.example:8080", "", "exact"),
        ("/", "other.example", "", "below"),
        ("/", "localhost", "x-group: beta\r\n", "beta"),
        ("/?a=1&preview", "localhost", "", "preview"),
    ] {
        let answer = world.ask(&format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{header}\r\n")).await;
        assert_eq!(answer.text().lines().next(), Some(to), "{target} {host}");
    }
    world.end().await;
}

#[tokio::test]
async fn gw_b1_no_address_header_or_error_of_a_service_leaks() {
    let registry = Registry::default();
    registry.set("orders", &[echo("orders").await]);
    registry.set("gone", &[nowhere().await]);
    registry.set("none", &[]);
    registry.set("noise", &[always("this is not http\r\n\r\n").await]);
    let routes =
        ["orders", "gone", "none", "noise", "unknown"].map(|name| route("", &format!("/{name}"), name));
    let world = World::start(options(routes.to_vec()), registry).await;
    let fine = world.get("/orders").await;
    assert_eq!(fine.header("server").or(fine.header("x-powered-by")), None, "{}", fine.head);
    assert!(fine.head.starts_with("http/1.1 200 ok\r\n"), "{}", fine.head);
    for (path, status) in [("/gone", 502), ("/none", 503), ("/noise", 502), ("/unknown", 503)] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let text = answer.head.clone() + &answer.text();
        assert!(!text.contains("127.0.0.1") && !text.contains(&path[1..]), "{text}");
    }
    let moved = service(|mut wire| async move {
        while wire.head().await.is_some() {
            let here = wire.stream.local_addr().unwrap();
            wire.send(&format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{here}/new\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
        }
    });
    // The backend is replaced while clients keep calling; they notice nothing but its other answer.
    world.registry.set("orders", &[moved.await]);
    let answer = world.get("/orders").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("/new")));
    world.end().await;
}

#[tokio::test]
async fn a_service_learns_who_asked_and_a_client_cannot_lie_about_it() {
    let world = shop().await;
    let answer = world
        .ask(
            "GET /orders/1 HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_Host: evil\r\n\
             Connection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nAccept: */*\r\n\r\n",
        )
        .await;
    let text = answer.text();
    for has in [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
        "accept: */*",
        "host: shop.example",
    ] {
        assert!(text.contains(has), "{has}: {text}");
    }
    for lacks in ["6.6.6.6", "evil", "x-secret", "keep-alive"] {
        assert!(!text.contains(lacks), "{lacks}: {text}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_trace_is_carried_on_or_begun_and_can_be_looked_up() {
    let world = shop().await;
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut wire = world.connect().await;
    wire.send(&format!("GET /orders/1 HTTP/1.1\r\nhost: a\r\ntraceparent: {sent}\r\n\r\n")).await;
    let answer = wire.answer(false).await;
    // The first request on a connection is written down before the second is read.
    wire.send("GET /orders/2 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let begun = wire.answer(false).await.text();
    let text = answer.text();
    let forwarded = text.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap();
    assert_eq!(forwarded[..36], sent[..36]);
    assert_ne!(forwarded[36..52], sent[36..52]);
    let requests = world.journal.by_trace(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.status),
        ("GET", "/orders/1", Some(200))
    );
    assert_eq!(
        (request.route.as_deref(), request.service.as_deref()),
        (Some("GET /orders/{id}"), Some("orders"))
    );
    assert!(request.upstream.is_some() && request.bytes_out == answer.body.len() as u64);

    assert!(
        begun.lines().any(|line| line.starts_with("traceparent: 00-") && line.ends_with("-01")),
        "{begun}"
    );
    assert_eq!(world.journal.recent(10).len(), 2);
    world.end().await;
}

#[tokio::test]
async fn routes_are_swapped_whole_and_a_bad_set_changes_nothing() {
    let world = shop().await;
    let with = |routes: Vec<RouteOptions>| Options { routes, ..(*world.gateway.options()).clone() };
    let error = world
        .gateway
        .apply(&with(vec![route("", "/a/{x}", "stock"), route("", "/a/{y}", "orders")]))
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`/a/{x}`") && text.contains("`/a/{y}`"), "{text}");
    assert_eq!(world.get("/orders/1").await.status, 200);
    let mut moved = with(vec![route("", "/a/{x}", "stock")]);
    moved.listen.set_port(1);
    let error = world.gateway.apply(&moved).unwrap_err().to_string();
    assert!(error.contains("`listen` cannot change while the gateway runs"), "{error}");
    let diff = world.gateway.apply(&with(vec![route("", "/a/{x}", "stock")])).unwrap();
    assert_eq!((diff.added, world.gateway.revision()), (vec!["/a/{x}".to_owned()], 2));
    assert_eq!((world.get("/orders/1").await.status, world.get("/a/1").await.status), (404, 200));
    world.end().await;
}

#[tokio::test]
async fn an_explanation_names_the_route_its_endpoints_and_the_losers() {
    let world = shop().await;
    let ask = |method: &str, url: &str| {
        world.gateway.explain(&dozen_gateway::Question { method, url, ..Default::default() })
    };
    let explained = ask("GET", "http://shop.example/orders/../orders/special?x=1");
    assert_eq!(explained.route.as_deref(), Some("GET /orders/special"));
    assert_eq!(
        (explained.path.as_str(), explained.target.as_deref()),
        ("/orders/special", Some("/orders/special?x=1"))
    );
    assert_eq!(
        (explained.service.as_deref(), explained.endpoints.len(), explained.status),
        (Some("stock"), 1, None)
    );
    assert_eq!(explained.considered[0].route, "GET /orders/{id}");
    assert!(explained.considered[0].why_not.contains("its path has `special` where the other has `{id}`"));
    assert_eq!(ask("PUT", "/orders").status, Some(405));
    assert_eq!(ask("PUT", "/%00").status, Some(400));
    assert!(serde_json::to_string(&explained).unwrap().contains("\"why-not\""));
    world.end().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let world = shop().await;
    let mut taken = options(Vec::new());
    taken.listen = world.gateway.local_addr();
    let error = world::build(taken, &Registry::default(), &world.journal).unwrap_err();
    let text = dozen_core::chain(&error);
    let address = world.gateway.local_addr();
    assert!(
        text.contains(&format!(
            "another process already listens on {address}; stop it or change `gateway.listen`"
        )),
        "{text}"
    );
    world.end().await;
}
