//! Several calls in one operation, and their errors as ours.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::StatusCode;
use serde_json::json;
use tokio::sync::Barrier;

use super::world::{World, call};

fn asking(path: &str) -> serde_json::Value {
    json!([{ "provider": "shop", "request": { "path": path } }])
}

#[tokio::test]
async fn ac_m6_calls_that_refer_to_others_wait_and_all_others_run_at_once() {
    // Neither of the two answers before both are asked.
    let both = Arc::new(Barrier::new(2));
    let (one, other) = (both.clone(), both);
    let router = Router::new()
        .route(
            "/products/{sku}",
            get(|Path(sku): Path<String>| async move {
                one.wait().await;
                format!(r#"{{"id": 42, "title": "Lamp {sku}"}}"#)
            }),
        )
        .route(
            "/stock/{sku}",
            get(|| async move {
                other.wait().await;
                r#"{"left": 12345678901234567890.10}"#
            }),
        )
        .route("/ratings/42", get(|| async { r#"{"stars": 4}"# }))
        .route("/reviews/42", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "secret trace") }));
    let world = World::start(router).await;
    let translators = world.translators(json!({
        "providers": { "shop": {} },
        "translators": { "page": {
            "calls": {
                "product": { "ask": asking("/products/{sku}") },
                "stock": { "ask": asking("/stock/{sku}") },
                "rating": { "with": { "id": "product.id!" }, "ask": asking("/ratings/{id}") },
                "reviews": { "with": { "id": "product.id!" }, "ask": asking("/reviews/{id}"), "optional": true }
            },
            "map": {
                "sku": "input.sku!", "title": "product.title!", "left": "stock.left!", "stars": "rating.stars!",
                "reviews": { "from": "reviews.items", "count": "many" }
            }
        } }
    }));
    let said = call(&translators, "page", r#"{"sku":"A7"}"#).await;
    let wanted = r#"{"left":12345678901234567890.10,"reviews":[],"sku":"A7","stars":4,"title":"Lamp A7"}"#;
    assert_eq!(said, wanted);
    assert_eq!(translators.get("page").unwrap().totals().left_out, 1);
    world.end().await;
}

fn fault(code: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><e:Fault>\
         <faultcode>x:{code}</faultcode><faultstring>ORA-00942 at 10.1.2.3</faultstring>\
         <detail><Limit>5</Limit></detail></e:Fault></e:Body></e:Envelope>"
    )
}

#[tokio::test]
async fn their_errors_become_ours_and_what_no_rule_knows_leaks_nothing() {
    let answer = |Path(what): Path<String>| async move {
        match what.as_str() {
            "fault" => (StatusCode::INTERNAL_SERVER_ERROR, fault("NoSuchItem")),
            "strange-fault" => (StatusCode::INTERNAL_SERVER_ERROR, fault("Server")),
            "gone" => (StatusCode::NOT_FOUND, "<html>nginx/1.2 at 10.1.2.3</html>".into()),
            "teapot" => (StatusCode::IM_A_TEAPOT, "short and stout".into()),
            "broken" => (StatusCode::OK, "<Envelope>10.1.2.3".into()),
            _ => {
                (StatusCode::OK, "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>".into())
            }
        }
    };
    let world = World::start(Router::new().route("/{what}", get(answer))).await;
    let translators = world.translators(json!({
        "providers": { "erp": {} },
        "translators": { "item": { "calls": { "it": { "ask": [{
            "provider": "erp",
            "request": { "path": "/{what}" },
            "answer": { "format": "soap", "map": { "a": "a!" } },
            "errors": [
                { "when": "fault.code == \"NoSuchItem\"", "problem": "item-unknown", "status": 404, "title": "No such item",
                  "map": { "limit": { "from": "fault.detail.Limit", "as": "integer", "required": true } } },
                { "when": "status == 404", "problem": "https://shop.example/gone", "status": 410 }
            ]
        }] } } } }
    }));
    let item = translators.get("item").unwrap();
    let problem = item.call(super::world::value(r#"{"what":"fault"}"#)).await.unwrap_err();
    let document =
        r#"{"limit":5,"type":"urn:dozen:problem:item-unknown","title":"No such item","status":404}"#;
    assert_eq!(problem.to_json(), document);
    for (what, wanted) in [
        ("gone", "! https://shop.example/gone 410"),
        (
            "strange-fault",
            "! provider-refused 502: Another system refused: `erp` answered with a fault that no rule",
        ),
        (
            "teapot",
            "! provider-refused 502: Another system refused: `erp` answered with status 418, which no rule",
        ),
        ("broken", "! translation-failed 502"),
        ("entity", "! translation-failed 502"),
    ] {
        let said = call(&translators, "item", &format!(r#"{{"what":"{what}"}}"#)).await;
        assert!(said.starts_with(wanted), "{said}");
        assert!(!said.contains("10.1.2.3") && !said.contains("ORA") && !said.contains("stout"), "{said}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_comes_in_and_goes_out_is_what_the_schemas_say() {
    let world = World::start(Router::new().route("/", get(|| async { r#"{"left": -1}"# }))).await;
    let translators = world.translators(json!({
        "providers": { "shop": {} },
        "translators": { "stock": {
            "input": { "type": "object", "required": ["sku"], "properties": { "sku": { "type": "string" } } },
            "output": { "type": "object", "required": ["left"], "properties": { "left": { "type": "integer", "minimum": 0 } } },
            "calls": { "it": { "ask": [{
                "provider": "shop",
                "answer": { "map": { "left": { "from": "left", "as": "integer", "required": true } } }
            }] } }
        } }
    }));
    let said = call(&translators, "stock", r#"{"sku":7}"#).await;
    assert!(said.starts_with("! invalid-request 400") && said.contains("`/sku`"), "{said}");
    assert_eq!(world.seen(), 0, "nothing is asked for what cannot be");
    let said = call(&translators, "stock", r#"{"sku":"A7"}"#).await;
    assert!(said.starts_with("! translation-failed 502") && said.contains("`/left`"), "{said}");
    world.end().await;
}
