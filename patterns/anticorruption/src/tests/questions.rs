//! Databases and queues as providers: what they are asked, and what the file cannot ask of them.

use serde_json::json;

use super::world::{call, compile};

fn options(request: serde_json::Value, speaks: &str) -> serde_json::Value {
    json!({
        "providers": { "old": { "speaks": speaks, "mock": true } },
        "translators": { "stock": { "calls": { "item": { "ask": [{
            "provider": "old",
            "request": request,
            "answer": { "map": { "left": { "from": "qty", "count": "many" } } },
            "errors": [{ "when": "size(body) == 0", "problem": "item-unknown", "status": 404 }]
        }] } } } }
    })
}

const ROWS: &str = r#"{ "examples": [
  { "name": "an article", "input": { "sku": "A7" },
    "exchanges": [ { "call": "item", "provider": "old",
      "request": { "method": "SQL", "target": "/", "body": "{ \"sku\": \"A7\" }" },
      "answer": { "body": "[{\"qty\": 3}, {\"qty\": 12.50}]" } } ],
    "output": { "left": [3, 12.50] } },
  { "name": "no article", "input": { "sku": "B" },
    "exchanges": [ { "call": "item", "provider": "old",
      "request": { "method": "SQL", "target": "/", "body": "{ \"sku\": \"B\" }" },
      "answer": { "body": "[]" } } ],
    "problem": { "type": "item-unknown", "status": 404 } } ] }"#;

#[tokio::test]
async fn a_statement_is_asked_with_its_values_and_answers_with_rows() {
    let request = json!({
        "sql": "select qty from item where sku = :sku and day > :since",
        "map": { "sku": "sku!", "since": "since?" }
    });
    let translators = compile(options(request, "sql"), &[("stock", ROWS)], None).unwrap();
    let report = translators.get("stock").unwrap().run_examples().await;
    assert!(report.holds() && report.cases.len() == 2, "{report}");
    assert_eq!(call(&translators, "stock", r#"{"sku":"A7"}"#).await, r#"{"left":[3,12.50]}"#);
}

#[test]
fn what_a_provider_cannot_be_asked_is_told_with_its_place() {
    let at = "translators.stock.calls.item.ask[0].request";
    for (speaks, request, says) in [
        (
            "http",
            json!({ "sql": "select 1" }),
            "sql: `sql` means nothing for a provider that is asked over HTTP",
        ),
        ("sql", json!({ "path": "/a", "sql": "select 1" }), "path: `path` means nothing for a database"),
        ("sql", json!({}), ": a database is asked with `sql:`"),
        (
            "sql",
            json!({ "sql": "select $1" }),
            "sql: a place for a value is written `:name`, not with `$` or `?`",
        ),
        (
            "sql",
            json!({ "sql": "select :a", "map": { "b": { "value": 1 } } }),
            "sql: the `map` makes nothing for `:a`",
        ),
        (
            "messages",
            json!({ "sql": "select 1" }),
            "sql: `sql` means nothing for a provider that is asked with messages",
        ),
    ] {
        let said = compile(options(request, speaks), &[], None).unwrap_err().to_string();
        let whole = if says.starts_with(':') { format!("{at}{says}") } else { format!("{at}.{says}") };
        assert!(said.contains(&whole), "{said}");
    }
}

#[tokio::test]
async fn a_message_is_sent_with_the_document_and_its_reply_is_the_answer() {
    let example = r#"{ "examples": [ { "name": "asked by message", "input": { "sku": "A7" },
        "exchanges": [ { "call": "item", "provider": "old",
          "request": { "method": "SEND", "target": "/", "body": "<Get><Code>A7</Code></Get>" },
          "answer": { "body": "[{\"qty\": 3}]" } } ],
        "output": { "left": [3] } } ] }"#;
    let request = json!({ "format": "xml", "map": { "Get": { "map": { "Code": "sku!" } } } });
    let translators = compile(options(request, "messages"), &[("stock", example)], None).unwrap();
    let report = translators.get("stock").unwrap().run_examples().await;
    assert!(report.holds(), "{report}");
}
