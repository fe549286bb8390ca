//! Examples as tests, as mocks and as the baseline for drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::world::{World, call, compile, value};
use crate::{Change, Example};

const EXAMPLES: &str = r#"{ "examples": [
  { "name": "an article in stock",
    "input": { "sku": "A7" },
    "exchanges": [
      { "call": "item", "provider": "erp",
        "request": { "method": "GET", "target": "/items/A7" },
        "answer": { "content-type": "application/xml", "body": "<Item code=\"A7\"><Price>12.30</Price><Qty>3</Qty></Item>" } } ],
    "output": { "sku": "A7", "price": { "amount": "12.30", "currency": "EUR" } } },
  { "name": "an article that is not there",
    "input": { "sku": "X" },
    "exchanges": [
      { "call": "item", "provider": "erp",
        "request": { "method": "GET", "target": "/items/X" },
        "answer": { "status": 404 } } ],
    "problem": { "type": "item-unknown", "status": 404 } },
  { "name": "a slow system",
    "input": { "sku": "S" },
    "exchanges": [
      { "call": "item", "provider": "erp",
        "request": { "method": "GET", "target": "/items/S" },
        "answer": { "failed": "timeout" } } ],
    "problem": { "type": "provider-late", "status": 504 } }
] }"#;

fn options(mock: bool, price: &str) -> serde_json::Value {
    json!({
        "providers": { "erp": { "mock": mock } },
        "translators": { "stock": {
            "drift": { "one-in": 1 },
            "calls": { "item": { "ask": [{
                "provider": "erp",
                "request": { "path": "/items/{sku}" },
                "answer": {
                    "format": "xml",
                    "map": { "sku": "Item/@code!", "price": { "from": price, "as": "money(EUR)", "required": true } }
                },
                "errors": [{ "when": "status == 404", "problem": "item-unknown", "status": 404 }]
            }] } }
        } }
    })
}

#[tokio::test]
async fn ac_d1_examples_are_run_as_tests_without_any_system() {
    let translators = compile(options(false, "Item/Price"), &[("stock", EXAMPLES)], None).unwrap();
    let report = translators.get("stock").unwrap().run_examples().await;
    assert!(report.holds(), "{report}");
    assert_eq!(report.to_string(), "stock: 3 of 3 examples hold");
    let translators = compile(options(false, "Item/Cost"), &[("stock", EXAMPLES)], None).unwrap();
    let report = translators.get("stock").unwrap().run_examples().await;
    assert_eq!(
        report.to_string(),
        "stock: 1 of 3 examples fail\n  an article in stock\n    the problem `translation-failed` (502): A document could not be \
         translated: the answer of `erp`: `price` from `Item/Cost`: nothing is there"
    );
    assert_eq!(translators.get("stock").unwrap().totals().answered, 0, "tests count for nothing");
}

#[tokio::test]
async fn ac_b1_one_line_replaces_a_system_by_its_recorded_answers() {
    let translators = compile(options(true, "Item/Price"), &[("stock", EXAMPLES)], None).unwrap();
    let said = call(&translators, "stock", r#"{"sku":"A7"}"#).await;
    assert_eq!(said, r#"{"price":{"amount":"12.30","currency":"EUR"},"sku":"A7"}"#);
    assert!(call(&translators, "stock", r#"{"sku":"X"}"#).await.starts_with("! item-unknown 404"));
    let said = call(&translators, "stock", r#"{"sku":"B"}"#).await;
    assert!(said.contains("no example has this request"), "{said}");
}

#[tokio::test]
async fn ac_m5_a_changed_contract_is_reported_by_field() {
    let turn = Arc::new(AtomicUsize::new(0));
    let answer = move || {
        let turn = turn.clone();
        async move {
            match turn.fetch_add(1, Ordering::SeqCst) {
                0 => "<Item code=\"A7\"><Price>1</Price><Qty>1</Qty></Item>",
                _ => "<Item code=\"A7\"><Price><Net>1</Net></Price><Color>red</Color></Item>",
            }
        }
    };
    let world = World::start(Router::new().route("/items/A7", get(answer))).await;
    let translators = world.with_examples(options(false, "Item/Price"), &[("stock", EXAMPLES)]);
    let stock = translators.get("stock").unwrap();
    assert!(stock.call(value(r#"{"sku":"A7"}"#)).await.is_ok());
    assert_eq!(stock.drift()[0].fields, []);
    assert_eq!(stock.drift()[0].compared, 1);
    // The translation fails, because what it needs is no longer there; what is reported is the whole change.
    for _ in 0..2 {
        let said = call(&translators, "stock", r#"{"sku":"A7"}"#).await;
        assert!(said.starts_with("! translation-failed 502"), "{said}");
    }
    let report = &stock.drift()[0];
    let found: Vec<(&str, &Change, u64)> =
        report.fields.iter().map(|field| (field.path.as_str(), &field.change, field.count)).collect();
    let now_an_object = Change::Type { was: "text".into(), now: "object" };
    assert_eq!(
        found,
        [
            ("Item.Color", &Change::New, 2),
            ("Item.Price", &now_an_object, 2),
            ("Item.Qty", &Change::Missing, 2)
        ]
    );
    assert!(report.fields.iter().all(|field| field.first <= field.last));
    world.end().await;
}

#[tokio::test]
async fn an_example_is_made_from_a_real_answer_and_what_is_personal_is_masked() {
    let answer = |request: axum::extract::Request| async move {
        assert_eq!(request.headers()["authorization"], "Bearer geheim");
        r#"{"customer": {"no": 7, "E-Mail": "ann.lee@example.org", "born": "1985-03-24", "total": 12345678901234567890.10}}"#
    };
    let world = World::start(Router::new().route("/customers", get(answer))).await;
    let options = |mock: bool| {
        json!({
            "providers": { "crm": { "mock": mock } },
            "translators": { "customer": {
                "redact": ["born"],
                "calls": { "it": { "ask": [{
                    "provider": "crm",
                    "request": {
                        "path": "/customers", "query": { "mail": "email!" }, "headers": { "authorization": "Bearer geheim" }
                    },
                    "answer": { "map": {
                        "no": "customer.no!", "email": "customer.E-Mail!", "total": "customer.total!",
                        "born": { "from": "customer.born", "as": "date", "required": true } } }
                }] } }
            } }
        })
    };
    let translators = world.translators(options(false));
    let customer = translators.get("customer").unwrap();
    let recording = customer.record("a customer", value(r#"{"email":"ann.lee@example.org"}"#)).await;
    assert_eq!(recording.notes, Vec::<String>::new());
    let text = Example::write(std::slice::from_ref(&recording.example));
    for secret in ["ann", "lee", "1985", "geheim"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("1111-11-11") && text.contains("12345678901234567890.10"), "{text}");
    assert_eq!(Example::read(&text).unwrap(), [recording.example]);
    let translators = compile(options(true), &[("customer", &text)], None).unwrap();
    let report = translators.get("customer").unwrap().run_examples().await;
    assert!(report.holds() && report.cases.len() == 1, "{report}");
    let said = call(&translators, "customer", r#"{"email":"xxx.xxx@xxxxxxx.xxx"}"#).await;
    assert!(said.contains(r#""total":12345678901234567890.10"#), "{said}");
    world.end().await;
}

#[tokio::test]
async fn of_a_recorded_fault_only_the_code_is_kept() {
    let fault = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><e:Fault>\
                 <faultcode>e:NoSuchItem</faultcode><faultstring>ann is not at 10.1.2.3</faultstring>\
                 <detail><User>ann</User></detail></e:Fault></e:Body></e:Envelope>";
    let answer = move || async move { (http::StatusCode::INTERNAL_SERVER_ERROR, fault) };
    let world = World::start(Router::new().route("/", get(answer))).await;
    let translators = world.translators(json!({
        "providers": { "erp": {} },
        "translators": { "item": { "calls": { "it": { "ask": [{
            "provider": "erp",
            "answer": { "format": "soap" },
            "errors": [{ "when": "fault.code == \"NoSuchItem\"", "problem": "item-unknown", "status": 404 }]
        }] } } } }
    }));
    let recording = translators.get("item").unwrap().record("a fault", value("{}")).await;
    assert_eq!(recording.notes, ["item.it at erp: of the fault only the code is kept"]);
    let text = Example::write(std::slice::from_ref(&recording.example));
    assert!(text.contains("NoSuchItem") && !text.contains("ann") && !text.contains("10.1.2.3"), "{text}");
    assert_eq!(recording.example.problem.unwrap().kind, "item-unknown");
    world.end().await;
}
