//! What is refused when it is written, and OpenAPI without a socket.

use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};

use super::document::{Trouble, decoded};
use super::openapi::Api;
use super::problem::{Flaw, Refused};
use crate::options::OpenapiOptions;
use crate::{RouteOptions, RouteTable};

fn route(more: Json) -> RouteOptions {
    let mut route = json!({ "match": { "path": "/a/{id}" }, "to": "a" });
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    serde_json::from_value(route).unwrap()
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    let api = |document: Json| json!({ "openapi": { "document": document } });
    for (written, said) in [
        (
            json!({ "request": { "body": { "map": { "a": "b" } } } }),
            "`request.body.map.a` `b` may be missing",
        ),
        (json!({ "request": { "bodi": {} } }), "`request.bodi` is no key here; did you mean `body`?"),
        (
            json!({ "request": { "body": { "in": "yaml", "map": {} } } }),
            "`request.body.in` there is no format `yaml`",
        ),
        (json!({ "response": { "body": { "jq": "." } } }), "`response.body"),
        (json!({ "response": { "body": { "jq": ".a | input", "required": true } } }), "`response.body"),
        (
            json!({ "response": { "status": { "4x": 404 } } }),
            "`response.status.4x` is no status such as `404`",
        ),
        (json!({ "response": { "status": { "404": 204 } } }), "`response.status.404` becomes no status"),
        (json!({ "validate": { "body": { "type": "objekt" } } }), "`validate.body` is no JSON Schema: at"),
        (
            json!({ "validate": { "body": { "$ref": "http://x.example/s.json" } } }),
            "`validate.body` is no JSON Schema",
        ),
        (json!({ "compress": { "codings": ["lz4"] } }), "`lz4` is no coding"),
        (json!({ "compress": { "types": ["text"] } }), "`text` is no content type"),
        (json!({ "cache": { "max": 10, "entry-max": 20 } }), "`cache.entry-max` is 20"),
        (json!({ "cache": { "by": ["a b"] } }), "`a b` is no name of a header"),
        (json!({ "cache": {}, "websocket": "5s" }), "has `cache` and `websocket`"),
        (json!({ "to": [], "answer": {}, "cache": {} }), "has `cache`, which means nothing without `to`"),
        (api(json!({})), "`openapi.document` is no OpenAPI document of version 3.0 or 3.1"),
        (api(json!({ "openapi": "3.0.3", "paths": {} })), "describes no operation"),
        (
            api(
                json!({ "openapi": "3.0.3", "paths": { "/a": { "get": { "parameters": [{ "$ref": "#/x" }] } } } }),
            ),
            "is wrong at `paths./a.get`: `#/x` refers to nothing",
        ),
        (
            api(
                json!({ "openapi": "3.1.0", "paths": { "/a": { "get": { "parameters": [{ "$ref": "b.yaml#/x" }] } } } }),
            ),
            "`b.yaml#/x` is in another document",
        ),
        (
            api(json!({ "openapi": "3.1.0", "paths": { "/a": { "get": {
                "parameters": [{ "name": "n", "in": "query", "schema": { "pattern": "(?=x)" } }]
            } } } })),
            "the parameter `n` is no JSON Schema",
        ),
    ] {
        let error = RouteTable::compile(&[route(written.clone())]).map(drop).expect_err(&written.to_string());
        let error = error.to_string();
        assert!(error.contains(said), "{written}\n{error}\nshould say\n{said}");
    }
    RouteTable::compile(&[route(json!({ "compress": {}, "cache": {}, "validate": {} }))]).unwrap();
}

/// A document in the dialect of 3.0, with what is hard in it.
fn shop() -> Api {
    let document = json!({
        "openapi": "3.0.3",
        "servers": [{ "url": "https://shop.example/api/v1/" }],
        "paths": {
            "/orders/{id}": {
                "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }],
                "get": { "parameters": [
                    { "name": "page", "in": "query", "schema": { "type": "integer", "minimum": 0, "exclusiveMinimum": true } },
                    { "name": "tag", "in": "query", "schema": { "type": "array", "items": { "type": "string", "maxLength": 3 } } },
                    { "name": "ids", "in": "query", "explode": false, "schema": { "type": "array", "items": { "type": "integer" } } },
                    { "name": "filter", "in": "query", "style": "deepObject", "schema": { "type": "object", "properties": { "max": { "type": "number" } } } },
                    { "name": "X-Debug", "in": "header", "schema": { "type": "boolean" } },
                    { "name": "session", "in": "cookie", "required": true, "schema": { "type": "string", "minLength": 2 } },
                    { "name": "q", "in": "query", "content": { "application/json": { "schema": { "type": "object" } } } },
                ] },
            },
            "/orders/latest": { "get": {} },
            "/orders": { "post": { "requestBody": { "$ref": "#/components/requestBodies/Order" } } },
        },
        "components": {
            "requestBodies": { "Order": { "required": true, "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/Order" } },
                "application/x-www-form-urlencoded": { "schema": { "$ref": "#/components/schemas/Order" } },
                "text/*": {},
            } } },
            "schemas": {
                "Order": {
                    "type": "object",
                    "required": ["id", "total"],
                    "properties": {
                        "id": { "type": "string", "readOnly": true },
                        "total": { "type": "integer" },
                        "note": { "type": "string", "nullable": true },
                        "parent": { "$ref": "#/components/schemas/Order" },
                    },
                },
            },
        },
    });
    Api::compile(&OpenapiOptions { document, base: None }).unwrap()
}

fn told(flaws: &[Flaw]) -> Vec<String> {
    flaws.iter().map(|flaw| format!("{} {}", flaw.part.name(), flaw.pointer)).collect()
}

fn get(path: &str, query: &str, lines: &[(&str, &str)]) -> Result<Vec<String>, Refused> {
    let api = shop();
    let found = api.find("GET", path)?;
    let headers: HeaderMap = lines
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let mut flaws = Vec::new();
    found.head(Some(query), &headers, &mut flaws);
    Ok(told(&flaws))
}

#[test]
fn openapi_finds_the_operation_and_reads_parameters_in_their_style() {
    let session = [("cookie", "a=b; session=xyz")];
    let right = "page=1&tag=a&tag=b&ids=1,2&filter[max]=1.5&q=%7B%7D&other=x";
    assert_eq!(get("/api/v1/orders/7", right, &session).unwrap(), [""; 0]);
    let nothing: [&str; 0] = [];
    assert_eq!(
        get("/api/v1/orders/latest", "", &[]).unwrap(),
        nothing,
        "what is written comes before what is named"
    );
    for (path, query, lines, wrong) in [
        ("/api/v1/orders/x", "", &session[..], "path /id"),
        ("/api/v1/orders/7", "page=0", &session, "query /page"),
        ("/api/v1/orders/7", "page=1&page=2", &session, "query /page"),
        ("/api/v1/orders/7", "tag=abcd", &session, "query /tag/0"),
        ("/api/v1/orders/7", "ids=1,x", &session, "query /ids/1"),
        ("/api/v1/orders/7", "filter[max]=x", &session, "query /filter/max"),
        ("/api/v1/orders/7", "q=%5B%5D", &session, "query /q"),
        ("/api/v1/orders/7", "q=%7B", &session, "query /q"),
        ("/api/v1/orders/7", "", &[], "cookie /session"),
        ("/api/v1/orders/7", "", &[("cookie", "session=xyz"), ("x-debug", "perhaps")], "header /X-Debug"),
    ] {
        assert_eq!(get(path, query, lines).unwrap(), [wrong], "{path}?{query}");
    }
    assert_eq!(get("/api/v1/nothing", "", &[]).unwrap_err().status, StatusCode::NOT_FOUND);
    assert_eq!(get("/orders/7", "", &[]).unwrap_err().status, StatusCode::NOT_FOUND);
    let refused = shop().find("DELETE", "/api/v1/orders").map(drop).unwrap_err();
    assert_eq!(
        (refused.status, refused.fields[0].1.to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "POST")
    );
    assert!(shop().find("HEAD", "/api/v1/orders/7").is_ok());
}

#[test]
fn openapi_holds_bodies_against_the_schema_of_their_type() {
    let api = shop();
    let found = api.find("POST", "/api/v1/orders").unwrap();
    let post = |kind: Option<&str>, body: &str| {
        let mut flaws = Vec::new();
        found.body(body.as_bytes(), kind, &mut flaws).map(|()| told(&flaws)).map_err(|refused| refused.status)
    };
    let json = Some("application/json");
    let fine: Vec<String> = Vec::new();
    assert_eq!(
        post(json, r#"{"total": 1, "note": null, "parent": {"total": 2}}"#),
        Ok(fine.clone()),
        "`id` is read-only"
    );
    assert_eq!(post(json, r#"{"total": "1"}"#), Ok(vec!["body /total".into()]));
    assert_eq!(
        post(json, r#"{"total": 1, "parent": {"total": 1.5}}"#),
        Ok(vec!["body /parent/total".into()])
    );
    assert_eq!(post(json, "{"), Err(StatusCode::BAD_REQUEST));
    assert_eq!(post(Some("application/x-www-form-urlencoded"), "total=1&note=x"), Ok(fine.clone()));
    assert_eq!(post(Some("application/x-www-form-urlencoded"), "total=x"), Ok(vec!["body /total".into()]));
    assert_eq!(post(Some("text/csv"), "anything"), Ok(fine));
    assert_eq!(post(Some("application/xml"), "<a/>"), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    assert_eq!(post(None, ""), Err(StatusCode::BAD_REQUEST));
    assert_eq!(post(None, "{}"), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
}

#[test]
fn a_body_is_all_of_its_frames_and_what_was_said_of_its_bytes_goes() {
    let packed = |text: &str| {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    };
    let unpacked = |body: Vec<u8>, max: usize| {
        let said = "content-encoding: zstd\ncontent-length: 7\ncontent-digest: sha-256=:AA==:\nx: 1";
        let pairs = said.lines().filter_map(|line| line.split_once(": "));
        let mut headers: HeaderMap =
            pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let bytes = decoded(body.into(), &mut headers, max);
        assert!(bytes.is_err() || (headers.len() == 1 && headers.contains_key("x")), "{headers:?}");
        bytes
    };
    let two = [packed("one "), packed("two")].concat();
    assert_eq!(unpacked(two.clone(), 7).unwrap(), "one two");
    assert_eq!(unpacked(two.clone(), 6), Err(Trouble::TooLarge), "the bound is on all of them");
    assert_eq!(unpacked([&two[..], b"rest"].concat(), 7), Err(Trouble::Broken));
    assert!(unpacked(packed("").repeat(10_000), 7).is_err(), "frames are bounded, too");
}

#[test]
fn a_member_that_is_given_twice_is_refused_and_not_chosen_from() {
    let members = json!({ "type": "object", "properties": { "role": { "enum": ["user"] } } });
    let deep = json!({ "name": "filter", "in": "query", "style": "deepObject", "schema": members });
    let exploded = json!({ "name": "who", "in": "query", "schema": members });
    let document = json!({ "openapi": "3.1.0", "paths": { "/a": {
        "get": { "parameters": [deep] }, "put": { "parameters": [exploded] },
    } } });
    let options: OpenapiOptions = serde_json::from_value(json!({ "document": document })).unwrap();
    let api = Api::compile(&options).unwrap();
    for (method, query, is_right) in [
        ("GET", "filter[role]=user", true),
        ("GET", "filter[role]=admin&filter[role]=user", false),
        ("PUT", "role=user", true),
        ("PUT", "role=admin&role=user", false),
    ] {
        let mut flaws = Vec::new();
        api.find(method, "/a").unwrap().head(Some(query), &HeaderMap::new(), &mut flaws);
        assert_eq!(flaws.is_empty(), is_right, "{method} {query} {flaws:?}");
    }
}
