//! Where the strangler fig and the anti-corruption layer meet: two systems of two shapes, compared by what they mean.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dozen_dataplane::{Limits, Server};
use dozen_faults::{LOOK, PATIENCE, Place, Up, ports, program};
use dozen_harness::request;
use dozen_lifecycle::{Ready, Stop};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The system of before: SOAP, a comma in its prices, and a fault with a number for what it does not have.
async fn soap(Path(sku): Path<String>) -> Response {
    let envelope = |body: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let (status, body) = match sku.as_str() {
        "lamp" => (
            StatusCode::OK,
            "<l:Artikel xmlns:l=\"urn:legacy\" Nr=\"lamp\"><l:Preis>1.049,50</l:Preis></l:Artikel>",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>?</faultstring><detail><l:Error \
             xmlns:l=\"urn:legacy\" Nr=\"4711\"/></detail></s:Fault>",
        ),
    };
    (status, [("content-type", "text/xml")], envelope(body)).into_response()
}

/// The new one: JSON of its own shape, over HTTP/2.
#[derive(Default)]
struct New {
    is_wrong: AtomicBool,
    is_renamed: AtomicBool,
}

async fn plain(State(new): State<Arc<New>>, Path(sku): Path<String>) -> Response {
    if sku != "lamp" {
        return (StatusCode::NOT_FOUND, axum::Json(json!({ "error": "none" }))).into_response();
    }
    let amount = if new.is_wrong.load(Ordering::SeqCst) { "1.00" } else { "1049.50" };
    let name = if new.is_renamed.load(Ordering::SeqCst) { "price" } else { "cost" };
    axum::Json(json!({ "id": sku, name: amount })).into_response()
}

struct World {
    new: Arc<New>,
    place: Place,
    door: u16,
    up: Up,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
        let old_port = server.local_addr().port();
        let router = Router::new().route("/articles/{sku}", get(soap));
        runtime.spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
        let new = Arc::new(New::default());
        let router = Router::new().route("/articles/{sku}", get(plain)).with_state(new.clone());
        let new_port = over_http2(&runtime, router);
        let door = ports(1);
        let place = Place::new(&format!(
            r#"app: shop
store: 'sqlite:shop.db'
console: false
api: false
registry: {{ listen: '127.0.0.1:0' }}
services:
  legacy: {{ at: 'http://127.0.0.1:{old_port}' }}
  catalogue: {{ at: 'http://127.0.0.1:{new_port}', protocol: h2c }}
providers: {{ legacy: , catalogue: }}
translators:
  article-of-legacy:
    calls:
      article:
        ask:
          provider: legacy
          request: {{ path: "/articles/{{sku}}" }}
          answer:
            format: {{ soap: {{ ns: {{ l: "urn:legacy" }} }} }}
            rule:
              from: l:Artikel
              required: true
              map: {{ sku: "@Nr!", price: {{ from: l:Preis, as: "money(EUR, comma, grouped)", required: true }} }}
          errors:
            - {{ when: 'fault.detail["l:Error"]["@Nr"] == "4711"', problem: article-unknown, status: 404, title: None }}
  article-of-catalogue:
    calls:
      article:
        ask:
          provider: catalogue
          request: {{ path: "/articles/{{sku}}" }}
          answer: {{ map: {{ sku: id!, price: {{ from: cost, as: money(EUR), required: true }} }} }}
          errors:
            - {{ when: status == 404, problem: article-unknown, status: 404, title: None }}
features:
  catalogue:
    old: legacy
    new: catalogue
    match: 'GET /articles/{{sku}}'
    key: header x-user
    stages: [compare, 50%]
    advance: {{ automatic: false, samples: 40, parity: 90%, hold: 0s, p99: 1000, errors: 99% }}
    compare:
      confirm-after: 1ms
      noise: {{ samples: 2 }}
      translators: {{ old: article-of-legacy, new: article-of-catalogue }}
gateway: {{ listen: '127.0.0.1:{door}' }}
"#
        ));
        let up = place.up().ready();
        Self { new, place, door, up, _runtime: runtime }
    }

    fn ask(&self, sku: &str, user: &str) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}/articles/{sku}", self.door);
        let reply = request("GET", &url, &[("x-user", user)], b"").unwrap();
        (reply.status, reply.text())
    }

    /// Requests of many, half of them for what neither side has.
    fn traffic(&self) {
        for user in 0..20 {
            self.ask("lamp", &format!("user-{user}"));
            self.ask("sofa", &format!("user-{user}"));
        }
    }

    fn feature(&self, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(program("dozen"));
        self.place.mark(command.arg("feature").args(arguments));
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    /// What the gate says of parity.
    fn parity(&self) -> String {
        let shown: Value = serde_json::from_str(&self.feature(&["show", "catalogue", "--json"])).unwrap();
        let checks = shown["feature"]["judgement"]["checks"].as_array().cloned().unwrap_or_default();
        let parity = checks.iter().find(|check| check["name"] == "parity");
        parity.map(|check| check["verdict"].as_str().unwrap().to_owned()).unwrap_or_default()
    }
}

/// HTTP/2 without TLS, and nothing else.
fn over_http2(runtime: &tokio::runtime::Runtime, router: Router) -> u16 {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            let builder = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

/// Waits until `holds`.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(LOOK);
    }
}

#[test]
fn sf_d3_a_soap_system_and_a_json_system_are_compared_in_the_domains_model_by_their_translators() {
    let world = World::new();
    assert!(world.ask("lamp", "ann").1.contains("1.049,50"), "the old side answers");
    until("both say the same", || {
        world.traffic();
        world.parity() == "pass"
    });

    // A name changes in the new system: what its translator cannot read differs.
    world.new.is_renamed.store(true, Ordering::SeqCst);
    until("the difference is told", || {
        world.traffic();
        world.feature(&["diff", "catalogue"]).contains("the domain's model")
    });
    // The translator follows while everything runs.
    let file = world.place.file("dozen.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap().replace("from: cost", "from: price");
    std::fs::write(world.place.file("next"), yaml).unwrap();
    std::fs::rename(world.place.file("next"), &file).unwrap();
    world.up.hear("the file was taken over");
    world.feature(&["to", "catalogue", "50%", "--why", "anew"]);
    until("they say the same again", || {
        world.traffic();
        world.parity() == "pass"
    });

    // A wrong price comes back as one field of the domain, and takes everybody back.
    world.new.is_wrong.store(true, Ordering::SeqCst);
    until("everybody is back with the old side", || {
        world.traffic();
        world.feature(&["journal", "catalogue"]).contains("gate")
    });
    until("the field is named", || {
        world.feature(&["diff", "catalogue"]).contains("$.price.amount: \"1049.50\" → \"1.00\"")
    });
    until("the old side serves all", || {
        (0..20).all(|user| world.ask("lamp", &format!("user-{user}")).1.contains("1.049,50"))
    });
    drop(world.up.stop());
}
