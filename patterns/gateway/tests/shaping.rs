//! Bodies that are translated, validated and compressed, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use dozen_gateway::{Question, RouteOptions};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;
use world::{Answer, Registry, Wire, World, always, echo, options, service};

/// A gateway with one route to a service at `address`, and these keys beside.
async fn world(address: std::net::SocketAddr, keys: Value) -> World {
    let registry = Registry::default();
    registry.set("a", &[address]);
    World::start(options(vec![route(keys)]), registry).await
}

fn route(keys: Value) -> RouteOptions {
    let mut route = json!({ "match": { "path": "/orders/{id}" }, "to": "a" });
    for (name, value) in keys.as_object().unwrap() {
        route[name] = value.clone();
    }
    serde_json::from_value(route).unwrap()
}

fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST /orders/7?x=1&y=2 HTTP/1.1\r\nhost: shop.example\r\n{fields}content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

async fn sent(world: &World, request: &[u8]) -> Answer {
    let mut wire = world.connect().await;
    wire.stream.write_all(request).await.unwrap();
    wire.answer(false).await
}

const JSON: &str = "content-type: application/json\r\n";

fn document(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

#[tokio::test]
async fn gw_m6_body_query_and_headers_of_a_request_become_what_the_service_wants() {
    let keys = json!({
        "to": "a:/v2/{id}?old={query.x}",
        "request": {
            "body": { "in": "json", "out": "form", "map": { "sku": "item.code!", "n": { "from": "count", "as": "integer", "default": 1 } } },
            "query": { "map": { "id": "path.id!", "page": "query.y!" } },
            "headers": { "map": { "x-kind": { "from": "headers.content-type", "required": true }, "x-gone": { "value": null } } },
        },
    });
    let world = world(echo("a").await, keys).await;
    let body = br#"{"item": {"code": "A 7"}, "secret": "s"}"#;
    let answer = sent(&world, &post("content-type: application/json\r\nx-gone: 1\r\n", body)).await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains("post /v2/7?id=7&page=2 http/1.1"), "{text}");
    assert!(text.contains("content-type: application/x-www-form-urlencoded"), "{text}");
    assert!(text.contains("x-kind: application/json") && !text.contains("x-gone"), "{text}");
    assert!(text.ends_with("n=1&sku=A+7") && !text.contains("secret"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn gw_m6_an_answer_becomes_what_clients_want_and_a_status_another() {
    let xml = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\netag: \"1\"\r\ncontent-length: 49\r\n\r\n<Order id=\"7\"><Total>12.30</Total><Own/></Order>\n";
    let keys = json!({ "response": {
        "body": { "in": "xml", "map": { "id": "Order/@id!", "total": { "from": "Order/Total", "as": "decimal", "required": true } } },
        "status": { "404": 410, "5xx": 502 },
    } });
    let one = world(always(xml).await, keys.clone()).await;
    let answer = one.get("/orders/7").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.text(), r#"{"id":"7","total":12.30}"#);
    assert_eq!(answer.header("etag"), Some("w/\"1\""), "other bytes that mean the same");
    let head = one.ask("HEAD /orders/7 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((head.status, head.header("content-length")), (200, None));
    one.end().await;
    for (said, told) in [(404, 410), (500, 502), (409, 409)] {
        let text = format!("HTTP/1.1 {said} So\r\ncontent-length: 3\r\n\r\nno\n");
        let one = world(always(Box::leak(text.into_boxed_str())).await, keys.clone()).await;
        let answer = one.get("/orders/7").await;
        assert_eq!((answer.status, answer.text().as_str()), (told, "no\n"), "an error's body stays as it is");
        one.end().await;
    }
}

#[tokio::test]
async fn gw_m6_what_cannot_be_translated_is_told_by_its_place_and_never_by_a_value() {
    let keys = json!({
        "body-max": 1000,
        "request": { "body": { "map": { "total": { "from": "order.sum", "as": "integer", "required": true } } } },
        "response": { "body": { "jq": ".list | map(.secret_field)", "on-error": "fail" } },
    });
    let secret =
        "HTTP/1.1 200 OK\r\nx-server: db7\r\ncontent-length: 25\r\n\r\n{\"list\":\"stack of db7\"}  \n";
    let world = world(always(secret).await, keys).await;
    for (fields, body, status, place) in [
        (JSON, &b"{"[..], 400, Some("#")),
        (JSON, b"{\"order\": {\"sum\": \"s3cret\"}}", 422, Some("#/order/sum")),
        (JSON, b"{}", 422, Some("#/order/sum")),
        ("content-type: text/csv\r\n", b"a", 415, None),
        ("content-encoding: snappy\r\ncontent-type: application/json\r\n", b"a", 415, None),
        ("content-encoding: gzip\r\ncontent-type: application/json\r\n", b"{}", 400, None),
        (JSON, &[b' '; 1001], 413, None),
        // The service's answer is at fault.
        (JSON, b"{\"order\": {\"sum\": 1}}", 502, None),
    ] {
        let answer = sent(&world, &post(fields, body)).await;
        let shown = answer.text();
        assert_eq!(answer.status, status, "{shown}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let told = document(&answer);
        assert_eq!(told["status"], status, "{shown}");
        assert_eq!(told["errors"][0]["pointer"].as_str(), place, "{shown}");
        let leaks = ["s3cret", "db7", "jq", "secret_field", "list"]
            .iter()
            .any(|word| answer.head.contains(word) || shown.contains(word));
        assert!(!leaks, "{shown}");
    }
    world.end().await;
}

#[tokio::test]
async fn gw_m6_requests_that_are_not_what_the_route_takes_never_reach_the_service() {
    let keys = json!({ "body-max": 4096, "validate": {
        "body": { "type": "object", "required": ["sku"], "properties": { "sku": { "type": "string" }, "n": { "type": "integer" } } },
        "query": { "properties": { "x": { "pattern": "^[0-9]$" } }, "required": ["x"] },
        "headers": { "required": ["x-tenant"] },
    } });
    let world = world(echo("a").await, keys).await;
    let tenant = format!("{JSON}x-tenant: t\r\n");
    let fine = sent(&world, &post(&tenant, br#"{"sku": "A"}"#)).await;
    assert!(fine.status == 200 && fine.text().ends_with(r#"{"sku": "A"}"#), "{fine:?}");
    let wrong = sent(&world, &post(&tenant, br#"{"sku": "A", "n": "s3cret"}"#)).await;
    assert_eq!(wrong.status, 422);
    let told = document(&wrong);
    assert_eq!((&told["errors"][0]["in"], &told["errors"][0]["pointer"]), (&json!("body"), &json!("#/n")));
    assert!(!wrong.text().contains("s3cret"));
    let bare = sent(&world, &post(JSON, br#"{"sku": "A"}"#)).await;
    assert_eq!((bare.status, &document(&bare)["errors"][0]["in"]), (400, &json!("header")));
    let many: Vec<String> = (0..50).map(|at| format!("\"n{at}\": 1")).collect();
    let keys = json!({ "validate": { "body": { "additionalProperties": { "type": "string" } } } });
    let other = self::world(echo("a").await, keys).await;
    let many = sent(&other, &post(JSON, format!("{{{}}}", many.join(",")).as_bytes())).await;
    assert_eq!(
        (many.status, document(&many)["errors"].as_array().unwrap().len()),
        (422, 10),
        "no more than ten"
    );
    other.end().await;

    // What is compressed is looked into, and the service gets it plain.
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let fields = format!("{tenant}content-encoding: gzip\r\n");
    let packed = sent(&world, &post(&fields, &gzip(br#"{"sku": "B"}"#))).await;
    assert!(packed.status == 200 && packed.text().ends_with(r#"{"sku": "B"}"#), "{packed:?}");
    assert!(!packed.text().contains("content-encoding"));
    let bomb = sent(&world, &post(&fields, &gzip(&vec![b' '; 1 << 20]))).await;
    assert_eq!(bomb.status, 413, "a small body that becomes a large one");
    let twice = format!("{tenant}content-encoding: gzip, gzip, gzip\r\n");
    assert_eq!(sent(&world, &post(&twice, b"x")).await.status, 415);
    world.end().await;
}

/// An answer of this type with this body.
async fn says(fields: &str, body: String) -> std::net::SocketAddr {
    let text = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}", body.len());
    always(Box::leak(text.into_boxed_str())).await
}

async fn accepting(world: &World, accepts: &str) -> Answer {
    world.ask(&format!("GET /orders/7 HTTP/1.1\r\nhost: a\r\naccept-encoding: {accepts}\r\n\r\n")).await
}

fn unpacked(answer: &Answer) -> String {
    let mut text = String::new();
    let body = &*answer.body;
    match answer.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        Some("zstd") => ruzstd::decoding::StreamingDecoder::new(body).unwrap().read_to_string(&mut text),
        _ => (&mut &*body).read_to_string(&mut text),
    }
    .unwrap();
    text
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_likes_it_best() {
    let text: String = (0..500).map(|at| format!("order {at} of many; ")).collect();
    let fields = "content-type: text/plain; charset=utf-8\r\netag: \"1\"\r\naccept-ranges: bytes\r\n";
    let one = world(says(fields, text.clone()).await, json!({ "compress": {} })).await;
    for (accepts, coding) in [
        ("gzip", Some("gzip")),
        ("br;q=0.9, gzip;q=0.5", Some("br")),
        ("zstd", Some("zstd")),
        ("*", Some("br")),
        ("gzip;q=0", None),
        ("lz4", None),
    ] {
        let answer = accepting(&one, accepts).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accepts}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"), "{accepts}");
        assert_eq!(unpacked(&answer), text, "{accepts}");
        assert_eq!(answer.header("etag"), Some(if coding.is_some() { "w/\"1\"" } else { "\"1\"" }));
        assert_eq!(coding.is_some(), answer.body.len() < text.len() / 2, "{accepts}: {}", answer.body.len());
    }
    let head = one.ask("HEAD /orders/7 HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n").await;
    assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("gzip"), None));
    one.end().await;
    for (why, fields, body) in [
        ("short", "content-type: text/plain\r\n", "short".to_owned()),
        ("packed already", "content-type: text/plain\r\ncontent-encoding: gzip\r\n", text.clone()),
        (
            "not to be meddled with",
            "content-type: text/plain\r\ncache-control: no-transform\r\n",
            text.clone(),
        ),
        ("of another type", "content-type: image/png\r\n", text.clone()),
        ("of no type", "", text.clone()),
    ] {
        let one = world(says(fields, body.clone()).await, json!({ "compress": {} })).await;
        let answer = accepting(&one, "gzip, br, zstd").await;
        assert_eq!(answer.body, body.as_bytes(), "{why}");
        one.end().await;
    }
}

#[tokio::test]
async fn an_event_is_with_the_client_when_its_service_has_sent_it() {
    for coding in ["gzip", "br"] {
        let more = Arc::new(Notify::new());
        let told = more.clone();
        let events = service(move |mut wire: Wire| {
            let told = told.clone();
            async move {
                wire.head().await;
                wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
                for event in ["data: one\n\n", "data: two\n\n"] {
                    wire.send(&format!("{:x}\r\n{event}\r\n", event.len())).await;
                    told.notified().await;
                }
                wire.send("0\r\n\r\n").await;
            }
        })
        .await;
        let world = world(events, json!({ "compress": {} })).await;
        let mut wire = world.connect().await;
        wire.send(&format!(
            "GET /orders/7 HTTP/1.1\r\nhost: a\r\naccept-encoding: {coding}, zstd;q=0.9\r\n\r\n"
        ))
        .await;
        let head = wire.head().await.unwrap();
        assert_eq!(world::header(&head, "content-encoding"), Some(coding));
        let mut packed = Vec::new();
        for event in ["data: one\n\n", "data: one\n\ndata: two\n\n"] {
            // What has come so far says all that was sent so far; the service waits until that was seen.
            loop {
                packed.extend(wire.chunk().await);
                let mut plain = Vec::new();
                let _ = match coding {
                    "gzip" => flate2::read::GzDecoder::new(&*packed).read_to_end(&mut plain),
                    _ => brotli::Decompressor::new(&*packed, 4096).read_to_end(&mut plain),
                };
                if plain == event.as_bytes() {
                    break;
                }
                assert!(event.as_bytes().starts_with(&plain));
            }
            more.notify_one();
        }
        world.end().await;
    }
}

#[tokio::test]
async fn a_composition_is_shaped_like_any_other_answer() {
    let registry = Registry::default();
    registry.set("a", &[says("content-type: application/json\r\n", r#"{"n": 1, "own": 2}"#.into()).await]);
    let keys = json!({
        "match": { "path": "/orders/{id}", "method": "POST" },
        "compose": { "one": { "get": "a:/one" } },
        "validate": { "body": { "required": ["sku"] } },
        "response": { "body": { "map": { "n": "one.n!" } } },
        "compress": { "min": 1, "types": "application/*" },
    });
    let route: RouteOptions = serde_json::from_value(keys).unwrap();
    let world = World::start(options(vec![route]), registry).await;
    let answer = sent(&world, &post("accept-encoding: gzip\r\n", br#"{"sku": 1}"#)).await;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("gzip")), "{answer:?}");
    assert_eq!(unpacked(&answer), r#"{"n":1}"#);
    assert_eq!(sent(&world, &post("", b"{}")).await.status, 422);
    let explained =
        world.gateway.explain(&Question { method: "POST", url: "/orders/7", ..Question::default() });
    assert_eq!(explained.shapes, ["validate", "response", "compress"]);
    world.end().await;
}

#[tokio::test]
async fn openapi_stands_before_the_service() {
    let document = json!({
        "openapi": "3.1.0",
        "paths": { "/orders/{id}": { "post": {
            "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
                           { "name": "y", "in": "query", "schema": { "type": "integer", "maximum": 1 } }],
            "requestBody": { "content": { "application/json": { "schema": { "type": "object" } } } },
        } } },
    });
    let world = world(echo("a").await, json!({ "openapi": { "document": document } })).await;
    let wrong = sent(&world, &post(JSON, b"{}")).await;
    assert_eq!((wrong.status, &document_pointer(&wrong)), (400, &json!("#/y")));
    let get = world.get("/orders/7").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("post")));
    let named = "POST /orders/x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(world.ask(named).await.status, 400);
    let fine = "POST /orders/7 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(world.ask(fine).await.status, 200);
    world.end().await;
}

fn document_pointer(answer: &Answer) -> Value {
    document(answer)["errors"][0]["pointer"].clone()
}
