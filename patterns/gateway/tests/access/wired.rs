//! Who may: requests over sockets, through a whole gateway.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use dozen_gateway::auth::{ApiKey, Reason};
use dozen_gateway::{Options, RouteOptions};
use ring::hmac;
use serde_json::{Value, json};

use crate::edge::{self, Answer, Registry, World, echo};
use crate::issuer::{Issuer, claims, segment};
use crate::world::{Running, serve, until};

/// A gateway's options, as the file would write what routes share and each route.
pub(crate) fn options(shared: Value, routes: Vec<Value>) -> Options {
    let routes = routes.into_iter().map(|route| serde_json::from_value::<RouteOptions>(route).unwrap());
    let part = |name: &str| shared.get(name).cloned().unwrap_or_else(|| json!({}));
    Options {
        identity: serde_json::from_value(part("identity")).unwrap(),
        consumers: serde_json::from_value(part("consumers")).unwrap(),
        plans: serde_json::from_value(part("plans")).unwrap(),
        shed: shared.get("shed").map(|shed| serde_json::from_value(shed.clone()).unwrap()),
        ..edge::options(routes.collect())
    }
}

/// Services that say what they were asked.
pub(crate) async fn echoes(names: &[&'static str]) -> Registry {
    let registry = Registry::default();
    for name in names {
        registry.set(name, &[echo(name).await]);
    }
    registry
}

/// A request with these header lines.
pub(crate) async fn ask(world: &World, line: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    world.ask(&format!("{line} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n")).await
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What a service was asked, but for what differs between any two requests: the trace, and the order of added headers.
fn asked(answer: &Answer) -> String {
    let text = answer.text();
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("traceparent")).collect();
    if let Some(added) = lines.get_mut(3..) {
        added.sort_unstable();
    }
    lines.join("\n")
}

fn refusals(world: &World, reason: Reason) -> u64 {
    let of = |reason: Reason| Reason::ALL.iter().position(|one| *one == reason).unwrap();
    world.gateway.measured().iter().map(|route| route.refused[of(reason)]).sum()
}

const SECRET: &str = "a secret of thirty-two bytes, or more";

/// A token that is signed with the secret.
fn hs256(claims: &Value) -> String {
    let signed = format!("{}.{}", segment(&json!({ "alg": "HS256" })), segment(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", crate::issuer::encoded(tag.as_ref()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m2_a_token_or_a_key_says_who_it_is_and_a_rule_what_they_may() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let key = ApiKey::generate().unwrap();
    let shared = json!({
        "identity": {
            "web": { "jwt": { "issuer": "https://id.example", "audience": "shop", "keys": { "url": url } } },
            "internal": { "jwt": { "audience": "shop", "keys": { "secret": SECRET } } },
            "partner": { "key": { "header": "x-api-key" } },
        },
        "consumers": { "mobile": { "key": key.hash, "tags": ["trial"] } },
    });
    let routes = vec![
        json!({ "match": { "path": "/orders/{id}", "method": "GET" }, "to": "orders",
                "auth": { "any": ["web", "partner"] },
                "headers": { "request": { "set": { "x-user": "{claim.sub}", "x-app": "{consumer}" } } } }),
        json!({ "match": { "path": "/orders/{id}", "method": "DELETE" }, "to": "orders",
                "auth": { "any": "web", "require": "claims.role == 'admin' && request.path.startsWith('/orders/')" } }),
        json!({ "match": { "path": "/read" }, "to": "orders",
                "auth": { "any": "web", "require": "claims.scope.contains('orders.read')" } }),
        json!({ "match": { "path": "/internal" }, "to": "orders", "auth": { "any": "internal" } }),
        json!({ "match": { "path": "/open" }, "to": "orders" }),
    ];
    let world = World::start(options(shared, routes), echoes(&["orders"]).await).await;
    let good = bearer(&issuer.token("one", &claims()));

    let answer = ask(&world, "GET /orders/7", &[("authorization", &good), ("dozen-subject", "eve")]).await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains("dozen-subject: alice\r\n") && text.contains("x-user: alice\r\n"), "{text}");
    assert!(!text.contains("eve") && !text.contains("x-app"), "{text}");

    let forged = [("X-Api-Key", key.key.as_str()), ("Dozen_Consumer", "admin"), ("dozen-anything", "1")];
    let text = ask(&world, "GET /orders/7", &forged).await.text();
    assert!(text.contains("dozen-consumer: mobile\r\n") && text.contains("x-app: mobile\r\n"), "{text}");
    assert!(!text.contains("dzn_") && !text.contains("admin") && !text.contains("anything"), "{text}");
    // A key is no service's business, on whatever route it is sent.
    let text = ask(&world, "GET /open", &forged).await.text();
    assert!(text.starts_with("orders") && !text.contains("dzn_") && !text.contains("dozen"), "{text}");

    let answer = ask(&world, "GET /orders/7", &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (401, Some("application/problem+json")));
    assert_eq!(answer.header("www-authenticate"), Some("bearer, apikey header=\"x-api-key\""));
    assert_eq!(ask(&world, "GET /orders/7", &[("x-api-key", "dzn_guess")]).await.status, 401);
    let mut other = claims();
    other["scope"] = json!("nothing");
    let other = bearer(&issuer.token("one", &other));
    assert_eq!(ask(&world, "GET /read", &[("authorization", &other)]).await.status, 403);
    assert_eq!(ask(&world, "GET /read", &[("authorization", &good)]).await.status, 200);
    assert_eq!(ask(&world, "DELETE /orders/7", &[("authorization", &good)]).await.status, 403);
    let mut admin = claims();
    admin["role"] = json!("admin");
    let admin = bearer(&issuer.token("one", &admin));
    assert_eq!(ask(&world, "DELETE /orders/7", &[("authorization", &admin)]).await.status, 200);
    let mut expired = claims();
    expired["exp"] = json!(crate::issuer::now() - 3600);
    let expired = bearer(&issuer.token("one", &expired));
    assert_eq!(ask(&world, "GET /orders/7", &[("authorization", &expired)]).await.status, 401);

    let internal = bearer(&hs256(&claims()));
    assert_eq!(ask(&world, "GET /internal", &[("authorization", &internal)]).await.status, 200);
    // A token of the one method is none of the other.
    assert_eq!(ask(&world, "GET /internal", &[("authorization", &good)]).await.status, 401);
    assert_eq!(ask(&world, "GET /orders/7", &[("authorization", &internal)]).await.status, 401);

    assert_eq!((refusals(&world, Reason::ApiKey), refusals(&world, Reason::Expired)), (1, 1));
    assert!(refusals(&world, Reason::Policy) + refusals(&world, Reason::PolicyUndecided) >= 2);
    world.end().await;
    published.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m2_a_decision_that_comes_late_sends_the_same_request_on() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let jwt = json!({ "audience": "shop", "keys": { "url": url }, "cool-down": "1ms" });
    let key = ApiKey::generate().unwrap();
    let shared = json!({
        "identity": { "web": { "jwt": jwt }, "partner": { "key": { "header": "x-api-key" } } },
        "consumers": { "mobile": { "key": key.hash } },
    });
    let routes = vec![json!({
        "match": { "path": "/orders/{id}" }, "to": "orders:/v2/{id}?who={claim.sub}&was={query.a}", "auth": { "all": ["web", "partner"] },
        "rewrite": { "host": "{claim.sub}.local" },
        "headers": { "request": { "set": { "x-user": "{claim.sub}" }, "remove": ["cookie"] },
                     "response": { "set": { "x-seen": "{claim.sub}" } } },
    })];
    let world = World::start(options(shared, routes), echoes(&["orders"]).await).await;
    let ready = bearer(&issuer.token("one", &claims()));
    let headers = |token: &str| {
        [("authorization", token), ("x-api-key", key.key.as_str()), ("cookie", "a=b"), ("x-user", "eve")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = async |token: &str| {
        let headers = headers(token);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        ask(&world, "GET /orders/./7?a=b%2f", &headers).await
    };
    until("the keys are there", async || send(&ready).await.status == 200).await;
    let fetches = issuer.fetches();
    // Its key is new, so it is asked for while the request waits.
    issuer.rotate(&["one", "two"]);
    let fresh = bearer(&issuer.token("two", &claims()));
    let late = send(&fresh).await;
    assert_eq!((late.status, issuer.fetches() > fetches), (200, true));
    let now = send(&fresh).await;
    assert_eq!(asked(&late), asked(&now));
    let text = asked(&late);
    assert!(text.starts_with("orders\nget /v2/7?who=alice&was=b%2f http/1.1\nhost: alice.local"), "{text}");
    assert!(text.contains("x-user: alice") && text.contains("dozen-consumer: mobile"), "{text}");
    for gone in ["eve", "cookie", "x-api-key", "dzn_"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    assert_eq!(late.header("x-seen"), Some("alice"));
    // The connection goes on behind a late answer, with a body that waited too.
    let mut wire = world.connect().await;
    issuer.rotate(&["one", "two", "three"]);
    let newer = issuer.token("three", &claims());
    for _ in 0..2 {
        wire.send(&format!(
            "POST /orders/8 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {newer}\r\nx-api-key: {}\r\ncontent-length: 5\r\n\r\nhello",
            key.key
        ))
        .await;
        let answer = wire.answer(false).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().ends_with("hello"), "{}", answer.text());
    }
    drop(wire);
    let settled = || world.gateway.measured().iter().all(|route| route.in_flight == 0);
    until("nothing is in flight any more", async || settled()).await;
    let logged = world.journal.recent(1);
    assert_eq!((logged[0].service.as_deref(), logged[0].status), (Some("orders"), Some(200)));
    world.end().await;
    published.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m2_a_claim_of_the_token_chooses_the_route() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let shared = json!({ "identity": { "web": { "jwt": { "audience": "shop", "keys": { "url": url }, "cool-down": "1ms" } } } });
    let routes = vec![
        json!({ "name": "beta", "match": { "path": "/shop", "claim": { "group": "beta" } }, "to": "new",
                "auth": { "any": "web" }, "cors": { "origins": "https://a.example" } }),
        json!({ "name": "stable", "match": { "path": "/shop" }, "to": "old" }),
        json!({ "name": "staff", "match": { "path": "/admin", "claim": { "group": "staff" } }, "to": "new",
                "auth": { "any": "web" }, "cors": { "origins": "https://a.example" } }),
    ];
    let world = World::start(options(shared, routes), echoes(&["new", "old"]).await).await;
    let token = |group: &str, key: &str| {
        let mut said = claims();
        said["group"] = json!(group);
        bearer(&issuer.token(key, &said))
    };
    let served = async |authorization: Option<&str>| {
        let headers: Vec<(&str, &str)> =
            authorization.map(|value| ("authorization", value)).into_iter().collect();
        let answer = ask(&world, "GET /shop", &headers).await;
        (answer.status, answer.text().lines().next().unwrap_or_default().to_owned())
    };
    let beta = token("beta", "one");
    until("the keys are there", async || served(Some(&beta)).await.0 == 200).await;
    assert_eq!(served(Some(&beta)).await, (200, "new".into()));
    assert_eq!(served(Some(&token("other", "one"))).await, (200, "old".into()));
    assert_eq!(served(None).await, (200, "old".into()));
    // A credential that does not hold is no way to be nobody.
    assert_eq!(served(Some("Bearer x.y.z")).await.0, 401);
    issuer.rotate(&["one", "two"]);
    assert_eq!(
        served(Some(&token("beta", "two"))).await,
        (200, "new".into()),
        "also when that is known late"
    );
    let settled = || world.gateway.measured().iter().all(|route| route.in_flight == 0);
    until("nothing is in flight any more", async || settled()).await;
    // A browser's preflight has no token, and its answers can be read by the page that asked.
    let origin = ("origin", "https://a.example");
    let preflight = [origin, ("access-control-request-method", "GET")];
    assert_eq!(ask(&world, "OPTIONS /admin", &preflight).await.status, 204);
    let refused = ask(&world, "GET /shop", &[origin, ("authorization", "Bearer x.y.z")]).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a.example"));
    world.end().await;
    published.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m2_another_configuration_keeps_what_is_known_and_takes_other_rules() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let shared = json!({ "identity": { "web": { "jwt": { "audience": "shop", "keys": { "url": url } } } } });
    let route = |require: &str| json!({ "match": { "path": "/a" }, "to": "a", "auth": { "any": "web", "require": require } });
    let keeper = crate::world::keeper(None);
    let kept = Running::start(keeper.clone()).await;
    let first = options(shared.clone(), vec![route("claims.sub == 'alice'")]);
    let world = World::beside(keeper, first, echoes(&["a"]).await).await;
    let token = bearer(&issuer.token("one", &claims()));
    let status = async || ask(&world, "GET /a", &[("authorization", &token)]).await.status;
    until("the keys are there", async || status().await == 200).await;
    let fetches = issuer.fetches();
    let apply = |require: &str| {
        let next = options(shared.clone(), vec![route(require)]);
        world.gateway.apply(&Options { listen: world.gateway.options().listen, ..next })
    };
    let diff = apply("claims.sub == 'bob'").unwrap();
    assert_eq!(diff.changed[0].keys, ["auth.require"]);
    assert_eq!(status().await, 403);
    assert!(apply("claims.sub ==").unwrap_err().to_string().contains("`auth.require` cannot be used"));
    assert_eq!(status().await, 403);
    apply("claims.sub == 'alice'").unwrap();
    assert_eq!((status().await, issuer.fetches()), (200, fetches));
    world.end().await;
    kept.end().await;
    published.end().await;
}

#[tokio::test]
async fn a_route_may_be_for_some_addresses_alone() {
    let to =
        |path: &str, clients: Value| json!({ "match": { "path": path }, "to": "orders", "clients": clients });
    let routes = vec![
        to("/here", json!({ "allow": "127.0.0.0/8" })),
        to("/there", json!({ "allow": ["10.0.0.0/8", "192.0.2.1"] })),
        to("/but", json!({ "allow": "127.0.0.0/8", "deny": ["127.0.0.1"] })),
        to("/else", json!({ "deny": "10.0.0.0/8" })),
    ];
    let mut options = options(json!({}), routes);
    let world = World::start(options.clone(), echoes(&["orders"]).await).await;
    for (path, status) in [("/here", 200), ("/there", 403), ("/but", 403), ("/else", 200)] {
        assert_eq!(ask(&world, &format!("GET {path}"), &[]).await.status, status, "{path}");
    }
    assert_eq!(refusals(&world, Reason::Address), 2);
    world.end().await;
    // Behind a proxy it is the client that counts.
    options.trusted = vec!["127.0.0.1".parse().unwrap()];
    let world = World::start(options, echoes(&["orders"]).await).await;
    for (path, status) in [("/here", 403), ("/there", 200), ("/else", 403)] {
        let answer = ask(&world, &format!("GET {path}"), &[("x-forwarded-for", "10.1.2.3")]).await;
        assert_eq!(answer.status, status, "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn credentials_cannot_be_tried_faster_where_a_claim_chooses_the_route() {
    let shared =
        json!({ "identity": { "web": { "jwt": { "audience": "shop", "keys": { "secret": SECRET } } } } });
    let routes = vec![json!({
        "match": { "path": "/orders", "claim": { "sub": "alice" } }, "to": "orders", "auth": { "any": "web" },
        "limit": [{ "rate": "4/1h", "per": "address" }],
    })];
    let world = World::start(options(shared.clone(), routes.clone()), echoes(&["orders"]).await).await;
    let mut statuses = Vec::new();
    for guess in 0..6 {
        let guess = format!("{}x", bearer(&hs256(&json!({ "guess": guess }))));
        statuses.push(ask(&world, "GET /orders", &[("authorization", &guess)]).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    world.end().await;

    // One that passes is counted once.
    let world = World::start(options(shared, routes), echoes(&["orders"]).await).await;
    let good = bearer(&hs256(&claims()));
    for left in ["3", "2", "1", "0"] {
        let answer = ask(&world, "GET /orders", &[("authorization", &good)]).await;
        let told = answer.header("ratelimit").unwrap_or_default();
        assert!(answer.status == 200 && told.contains(&format!("r={left}")), "{}", answer.head);
    }
    assert_eq!(ask(&world, "GET /orders", &[("authorization", &good)]).await.status, 429);
    world.end().await;
}

#[tokio::test]
async fn the_cookies_of_a_service_that_says_yes_reach_the_client() {
    let yes = || async {
        let mut headers = HeaderMap::new();
        for (name, value) in [("set-cookie", "s=1"), ("set-cookie", "t=2"), ("x-role", "a"), ("x-role", "b")]
        {
            headers.append(name, value.parse().unwrap());
        }
        (StatusCode::NO_CONTENT, headers)
    };
    let (url, decides) = serve(Router::new().route("/check", get(yes))).await;
    let shared = json!({ "identity": { "session": { "forward": { "url": format!("{url}/check"), "copy": ["x-role"] } } } });
    let routes = vec![
        json!({ "match": { "path": "/orders" }, "to": "orders", "auth": { "any": "session" } }),
        json!({ "match": { "path": "/here" }, "answer": { "status": 200 }, "auth": { "any": "session" } }),
    ];
    let world = World::start(options(shared, routes), echoes(&["orders"]).await).await;
    for path in ["/orders", "/here"] {
        let answer = ask(&world, &format!("GET {path}"), &[("x-role", "mine")]).await;
        assert!(answer.head.contains("set-cookie: s=1\r\nset-cookie: t=2\r\n"), "{path}: {}", answer.head);
        let text = answer.text();
        let is_told = text.contains("x-role: a\r\nx-role: b\r\n") && !text.contains("mine");
        assert!(path == "/here" || is_told, "{text}");
    }
    world.end().await;
    decides.end().await;
}
