//! Routes that go to a feature: the port is asked, and what it says is done.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dozen_core::{Ids, SystemClock};
use dozen_dataplane::{Around, Body, Context, Failure, Next, ServicePolicy, Strategy};
use dozen_gateway::{
    Course, Ended, FeatureRequest, Features, Keeper, RouteOptions, ServiceOptions, Way, Witness,
};
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode};
use world::{Registry, World, echo, nowhere, options, service};

/// Sends to the service that the header `x-side` names, and remembers all that it heard.
#[derive(Clone, Default)]
struct Switch(Arc<Mutex<Vec<String>>>);

impl Switch {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Features for Switch {
    fn course(&self, feature: &str, request: &FeatureRequest<'_>) -> Option<Course> {
        if feature != "checkout" {
            return None;
        }
        let side = request.header("x-side").unwrap_or("orders");
        if side == "retired" {
            return Some(Course::Answer { status: 410, title: "it is gone".into() });
        }
        let escort = request.query.map(|_| Arc::new(Along) as Arc<dyn Around>);
        Some(Course::To(Way {
            service: side.into(),
            set: vec![("x-choice".into(), side.to_owned())],
            escort,
            witness: Some(Box::new(self.clone())),
        }))
    }

    fn passed(&self, services: &mut dyn Iterator<Item = &str>, request: &FeatureRequest<'_>) {
        let services: Vec<&str> = services.collect();
        self.note(format!("passed {} to {}", request.path, services.join(" and ")));
    }
}

impl Witness for Switch {
    fn ended(self: Box<Self>, how: Ended, _: Duration) {
        self.note(format!("{how:?}"));
    }
}

/// Writes its name on the way out and home; a `DELETE` it answers itself.
struct Along;

impl Around for Along {
    fn around(
        &self,
        mut request: Request<Body>,
        next: Next,
        _: Context,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        Box::pin(async move {
            if request.method() == "DELETE" {
                let mut answer = Response::new(Body::from("not here"));
                *answer.status_mut() = StatusCode::CONFLICT;
                return Ok(answer);
            }
            request.headers_mut().insert("x-escorted", HeaderValue::from_static("out"));
            let mut answer = next.ask(request).await?;
            answer.headers_mut().insert("x-escorted", HeaderValue::from_static("home"));
            Ok(answer)
        })
    }
}

#[tokio::test]
async fn a_route_goes_where_its_feature_says_and_the_witness_hears_how_it_ended() {
    let registry = Registry::default();
    registry.set("orders", &[echo("orders").await]);
    registry.set("gone", &[nowhere().await]);
    let routes: Vec<RouteOptions> = serde_json::from_value(serde_json::json!([
        { "match": { "path": "/checkout/*" }, "feature": "checkout", "rewrite": { "path-prefix": "/v2" } },
        { "match": { "path": "/nobody" }, "feature": "nobody" },
        { "match": { "path": "/both" }, "compose": {
            "order": { "get": "orders:/1" }, "stock": { "get": "stock:/1" }, "reply": { "$": "order", "stock": "stock" }
        } },
        { "match": { "path": "/*" }, "to": "orders" },
    ]))
    .unwrap();
    let keeper = Keeper::new(None, Ids::new(Arc::new(SystemClock), 1));
    let switch = Switch::default();
    keeper.ask_features(Arc::new(switch.clone()));
    let world = World::beside(keeper, options(routes), registry).await;
    let ask = async |line: &str, headers: &str| {
        world.ask(&format!("{line} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n")).await
    };

    let answer = ask("GET /checkout/7", "x-choice: mine\r\n").await;
    let told = answer.text();
    assert!(told.contains("get /v2/7 ") && told.contains("x-choice: orders"), "{told}");
    assert!(!told.contains("mine"), "{told}");
    let answer = ask("GET /checkout/7?x=1", "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("x-escorted: out"), "{}", answer.text());
    assert_eq!(answer.header("x-escorted"), Some("home"));
    assert_eq!(ask("DELETE /checkout/7?x=1", "").await.status, 409, "answered by the escort");
    assert_eq!(ask("GET /checkout/7", "x-side: retired\r\n").await.status, 410);
    assert_eq!(ask("GET /nobody", "").await.status, 503);
    assert_eq!(ask("GET /checkout/7", "x-side: gone\r\n").await.status, 502);
    assert_eq!(ask("GET /else", "").await.status, 200);
    // Whatever comes of it.
    ask("GET /both", "").await;
    world.end().await;
    let mut heard = switch.heard();
    // Workers tell of an end when the answer is on its way, and so in no certain order.
    heard.sort();
    let expected = [
        "Answered(200)",
        "Answered(200)",
        "Answered(409)",
        "Failed",
        "passed /both to orders and stock",
        "passed /else to orders",
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn a_stream_ends_when_the_route_to_its_feature_goes_and_the_difference_says_so() {
    let endless = service(|mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
        wire.head().await;
    });
    let registry = Registry::default();
    registry.set("orders", &[endless.await]);
    let routes = |paths: &[&str]| -> Vec<RouteOptions> {
        let route = |path| serde_json::json!({ "match": { "path": path }, "feature": "checkout", "stream-grace": "10ms" });
        paths.iter().map(|path| serde_json::from_value(route(path)).unwrap()).collect()
    };
    let keeper = Keeper::new(None, Ids::new(Arc::new(SystemClock), 1));
    keeper.ask_features(Arc::new(Switch::default()));
    let mut wanted = options(routes(&["/going", "/stays"]));
    let world = World::beside(keeper, wanted.clone(), registry).await;
    let mut streams = Vec::new();
    for path in ["/going", "/stays"] {
        let mut wire = world.connect().await;
        wire.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(wire.head().await.unwrap().starts_with("http/1.1 200"));
        assert_eq!(wire.chunk().await, b"x");
        streams.push(wire);
    }
    wanted.routes = routes(&["/stays"]);
    wanted.listen = world.gateway.options().listen;
    let diff = world.gateway.apply(&wanted).unwrap();
    let closes: Vec<_> = diff.closes.iter().map(|one| (one.route.as_str(), one.service.as_str())).collect();
    assert_eq!(closes, [("/going", "checkout")]);
    assert!(diff.services_lost.is_empty(), "a feature is no service: {diff:?}");
    assert_eq!(streams[0].rest().await, b"", "it is cut");
    let silence = tokio::time::timeout(Duration::from_millis(50), streams[1].rest()).await;
    assert!(silence.is_err(), "the other goes on");
    drop(streams);
    world.end().await;
}

#[tokio::test]
async fn a_sticky_key_of_a_feature_leads_to_one_instance() {
    let registry = Registry::default();
    registry.set("orders", &[echo("one").await, echo("two").await, echo("three").await]);
    let route =
        serde_json::json!({ "match": { "path": "/a" }, "feature": "checkout", "sticky": "header(x-user)" });
    let mut options = options(vec![serde_json::from_value(route).unwrap()]);
    let policy = ServicePolicy { strategy: Strategy::ConsistentHash, ..ServicePolicy::default() };
    let called = ServiceOptions { policy, ..ServiceOptions::default() };
    options.services = std::collections::BTreeMap::from([("orders".to_owned(), called)]);
    let keeper = Keeper::new(None, Ids::new(Arc::new(SystemClock), 1));
    keeper.ask_features(Arc::new(Switch::default()));
    let world = World::beside(keeper, options, registry).await;
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..20 {
        let mut of_user = std::collections::BTreeSet::new();
        for _ in 0..3 {
            // With one request under way its instance is full: the bound is a share of what is in flight.
            while world.gateway.services().iter().any(|service| service.in_flight > 0) {
                tokio::task::yield_now().await;
            }
            let answer = world.ask(&format!("GET /a HTTP/1.1\r\nhost: a\r\nx-user: {user}\r\n\r\n")).await;
            of_user.insert(answer.text().split_whitespace().next().unwrap().to_owned());
        }
        assert_eq!(of_user.len(), 1, "{user}: {of_user:?}");
        seen.extend(of_user);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    world.end().await;
}
