//! Shaping, seen by programs of other makers: what schemathesis makes of an OpenAPI document never becomes a 5xx behind a
//! validated route, and libraries that share no code with ours read what the gateway compresses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_gateway::{Gateway, Options, RequestLog, RouteOptions};
use dozen_harness::python_packages;
use dozen_lifecycle::{Ready, Service, Stop};
use serde_json::{Value, json};
use tokio::sync::watch;

const PYTHON: &[&str] = &["schemathesis==4.32.5", "zstandard==0.23.0", "brotli==1.1.0"];

/// An API with something of everything: styles of parameters, formats, patterns, nullable and recursive schemas, a form.
fn api() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": { "title": "shop", "version": "1" },
        "paths": {
            "/orders": {
                "get": {
                    "parameters": [
                        { "name": "page", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000 } },
                        { "name": "tag", "in": "query", "schema": { "type": "array", "items": { "type": "string", "pattern": "^[a-z]+$" } } },
                        { "name": "filter", "in": "query", "style": "deepObject", "schema": { "type": "object", "properties": { "max": { "type": "number" } } } },
                        { "name": "X-Request", "in": "header", "schema": { "type": "string", "format": "uuid" } },
                    ],
                    "responses": { "200": { "description": "orders" }, "400": { "description": "no" } },
                },
                "post": {
                    "requestBody": { "required": true, "content": {
                        "application/json": { "schema": { "$ref": "#/components/schemas/Order" } },
                        "application/x-www-form-urlencoded": { "schema": { "type": "object", "required": ["total"], "properties": { "total": { "type": "integer" } } } },
                    } },
                    "responses": { "201": { "description": "made" }, "400": { "description": "no" }, "415": { "description": "no" }, "422": { "description": "no" } },
                },
            },
            "/orders/{id}": {
                "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer", "minimum": 0 } }],
                "get": { "responses": { "200": { "description": "an order" }, "400": { "description": "no" } } },
            },
        },
        "components": { "schemas": { "Order": {
            "type": "object",
            "required": ["sku", "total"],
            "additionalProperties": false,
            "properties": {
                "sku": { "type": "string", "minLength": 1, "maxLength": 20 },
                "total": { "type": "integer", "minimum": 0, "exclusiveMinimum": true },
                "mail": { "type": "string", "format": "email" },
                "note": { "type": "string", "nullable": true },
                "parts": { "type": "array", "maxItems": 3, "items": { "$ref": "#/components/schemas/Order" } },
            },
        } } },
    })
}

/// A service that trusts what it gets, as services do: what does not fit is a 500.
async fn orders() -> (u16, Stop) {
    let app = Router::new()
        .route("/orders", get(|| async { Json(json!([])) }).post(made))
        .route("/orders/{id}", get(|Path(id): Path<u128>| async move { id.to_string() }))
        .route(
            "/text",
            get(|| async { ([("content-type", "text/plain")], "a line of text; ".repeat(1000)) }),
        );
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
    let port = server.local_addr().port();
    let stop = Stop::new();
    tokio::spawn(server.serving(app).run(stop.clone(), Ready::channel().0));
    (port, stop)
}

/// An order's total is a whole number above nothing, in every order.
fn is_whole(order: &Value) -> bool {
    let parts = order["parts"].as_array().map_or(&[][..], |parts| parts.as_slice());
    let total = &order["total"];
    let is_fine = total.as_i64().is_some_and(|total| total > 0)
        || total.as_u64().is_some()
        || total.as_f64().is_some_and(|total| total > 0.0 && total.fract() == 0.0);
    is_fine && order["sku"].is_string() && parts.iter().all(is_whole)
}

async fn made(headers: http::HeaderMap, body: Bytes) -> http::StatusCode {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let fits = match kind.starts_with("application/json") {
        true => serde_json::from_slice::<Value>(&body).is_ok_and(|order| is_whole(&order)),
        false => body.windows(6).any(|window| window == b"total="),
    };
    if fits { http::StatusCode::CREATED } else { http::StatusCode::INTERNAL_SERVER_ERROR }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m6_schemathesis_finds_no_server_error_behind_a_validated_route() {
    let python = match python_packages(PYTHON) {
        Ok(python) => python,
        Err(why) => return eprintln!("without schemathesis: {why}"),
    };
    let (port, stop) = orders().await;
    let set = EndpointSet {
        service: "orders".into(),
        version: 1,
        endpoints: vec![Endpoint::at(format!("127.0.0.1:{port}"))],
    };
    let (_sender, receiver) = watch::channel(Arc::new(set));
    let resolve = Arc::new(move |name: &str| (name == "orders").then(|| receiver.clone()));
    let route = |keys: Value| serde_json::from_value::<RouteOptions>(keys).unwrap();
    let options = Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        workers: NonZeroUsize::new(2),
        routes: vec![
            route(
                json!({ "match": { "path": "/orders/{*rest}" }, "to": "orders", "openapi": { "document": api() } }),
            ),
            route(
                json!({ "match": { "path": "/orders" }, "to": "orders", "openapi": { "document": api() }, "compress": {} }),
            ),
            route(json!({ "match": { "path": "/text" }, "to": "orders", "compress": {} })),
        ],
        ..Options::default()
    };
    let ids = Ids::new(Arc::new(SystemClock), 7);
    let gateway = Arc::new(Gateway::new(options, resolve, ids, Arc::new(RequestLog::default())).unwrap());
    let port = gateway.local_addr().port();
    let runs = tokio::spawn(gateway.clone().run(stop.clone(), Ready::channel().0));

    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("api.json");
    std::fs::write(&document, api().to_string()).unwrap();
    let mut schemathesis = Command::new(python.with_file_name("schemathesis"));
    schemathesis
        .current_dir(folder.path())
        .arg("run")
        .arg(&document)
        .args(["--url", &format!("http://127.0.0.1:{port}"), "--checks", "not_a_server_error"])
        .args([
            "--mode",
            "all",
            "--max-examples",
            "40",
            "--seed",
            "7",
            "--phases",
            "examples,coverage,fuzzing",
        ]);
    let packed = format!(
        "import gzip, urllib.request, brotli, zstandard\n\
         plain = b'a line of text; ' * 1000\n\
         read = dict(gzip=gzip.decompress, br=brotli.decompress, zstd=lambda b: zstandard.ZstdDecompressor().decompressobj().decompress(b))\n\
         for coding, unpack in read.items():\n\
         \x20   ask = urllib.request.Request('http://127.0.0.1:{port}/text', headers={{'accept-encoding': coding}})\n\
         \x20   answer = urllib.request.urlopen(ask)\n\
         \x20   body = answer.read()\n\
         \x20   assert answer.headers['content-encoding'] == coding, answer.headers\n\
         \x20   assert unpack(body) == plain and len(body) < 1000, (coding, len(body))\n"
    );
    let (tested, unpacked) = tokio::task::spawn_blocking(move || {
        let tested = schemathesis.stdin(Stdio::null()).output().unwrap();
        let unpacked = Command::new(&python).args(["-c", &packed]).output().unwrap();
        (tested, unpacked)
    })
    .await
    .unwrap();
    let said =
        String::from_utf8_lossy(&tested.stdout).into_owned() + &String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    let measured = gateway.measured();
    let answered = |hundreds: usize| measured.iter().map(|one| one.statuses[hundreds - 1]).sum::<u64>();
    // It tried what is right and what is wrong, and each was told so.
    assert!(answered(2) > 10 && answered(4) > 10, "{measured:?}\n{said}");
    assert_eq!(answered(5), 0, "{said}");
    stop.soft.cancel();
    stop.hard.cancel();
    runs.await.unwrap().unwrap();
}
