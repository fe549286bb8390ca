//! Documents of other systems, asked for on demand.

use axum::Router;
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::world::{World, call};

const STOCK: &str = r#"<?xml version="1.0"?>
<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:q="urn:erp:v2">
  <env:Body><q:GetStockResponse><q:Item code="A7"><q:Qty>3</q:Qty><q:Price>12,30</q:Price></q:Item></q:GetStockResponse></env:Body>
</env:Envelope>"#;

async fn soap(body: String) -> impl axum::response::IntoResponse {
    let asked = body.contains(r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/""#);
    assert!(asked && body.contains(">A7<"), "{body}");
    ([(CONTENT_TYPE, "text/xml; charset=utf-8")], STOCK)
}

#[tokio::test]
async fn ac_m2_a_soap_service_is_asked_in_its_model_and_answers_in_ours() {
    let world = World::start(Router::new().route("/stock", post(soap))).await;
    let ns = json!({ "ns": { "s": "urn:erp:v2" } });
    let translators = world.translators(json!({
        "providers": { "erp": {} },
        "translators": { "stock": {
            "output": { "type": "object", "required": ["sku", "quantity"], "properties": {
                "sku": { "type": "string" }, "quantity": { "type": "integer" }, "price": {} } },
            "calls": { "item": { "ask": [{
                "provider": "erp",
                "request": {
                    "method": "post", "path": "/stock", "format": { "soap": ns },
                    "headers": { "soapaction": "\"urn:erp:GetStock\"" },
                    "map": { "s:GetStock": { "map": { "s:Code": "sku!" } } }
                },
                "answer": {
                    "format": { "soap": ns },
                    "map": {
                        "sku": "s:GetStockResponse/s:Item/@code!",
                        "quantity": { "from": "s:GetStockResponse/s:Item/s:Qty", "as": "integer", "default": 0 },
                        "price": { "from": "s:GetStockResponse/s:Item/s:Price", "as": "money(EUR)", "on-error": "null" }
                    }
                }
            }] } }
        } }
    }));
    assert_eq!(
        call(&translators, "stock", r#"{"sku":"A7"}"#).await,
        r#"{"price":null,"quantity":3,"sku":"A7"}"#
    );
    let totals = translators.get("stock").unwrap().totals();
    assert_eq!((totals.answered, totals.fallbacks), (1, 1), "the price that is none is counted");
    world.end().await;
}

#[tokio::test]
async fn an_envelope_has_the_header_that_a_table_makes_and_no_example_has_it() {
    let echo = |body: String| async move {
        let wanted = "<soap:Header><w:Security xmlns:w=\"urn:wsse\"><w:UsernameToken><w:Password>s3cr3t</w:Password>\
                      <w:Username>shop</w:Username></w:UsernameToken></w:Security></soap:Header><soap:Body>";
        assert!(body.contains(wanted), "{body}");
        ([(CONTENT_TYPE, "text/xml")], STOCK)
    };
    let world = World::start(Router::new().route("/stock", post(echo))).await;
    let soap = json!({ "soap": { "ns": { "s": "urn:erp:v2", "w": "urn:wsse" } } });
    let options = json!({
        "providers": { "erp": {} },
        "translators": { "stock": { "calls": { "item": { "ask": [{
            "provider": "erp",
            "request": {
                "method": "post", "path": "/stock", "format": soap,
                "header": { "w:Security": { "map": { "w:UsernameToken": { "map": {
                    "w:Username": { "value": "shop" }, "w:Password": { "value": "s3cr3t" } } } } } },
                "map": { "s:GetStock": { "map": { "s:Code": "sku!" } } }
            },
            "answer": { "format": soap, "map": { "sku": "s:GetStockResponse/s:Item/@code!" } }
        }] } } } }
    });
    let translators = world.translators(options.clone());
    let stock = translators.get("stock").unwrap();
    assert_eq!(call(&translators, "stock", r#"{"sku":"A7"}"#).await, r#"{"sku":"A7"}"#);
    let recording = stock.record("an article", super::world::value(r#"{"sku":"A7"}"#)).await;
    let text = crate::Example::write(&[recording.example]);
    assert!(!text.contains("s3cr3t") && !text.contains("Security"), "{text}");
    let translators = world.with_examples(options, &[("stock", &text)]);
    let report = translators.get("stock").unwrap().run_examples().await;
    assert!(report.holds(), "{report}");
    world.end().await;
}

#[tokio::test]
async fn csv_fixed_width_forms_and_old_charsets_are_read_on_demand() {
    // "Müller" in windows-1252.
    let csv = || async { ([(CONTENT_TYPE, "text/csv")], b"no;name\n7;M\xfcller\n".to_vec()) };
    let fixed = || async { "A7    0000123450\nB1    0000000099\n" };
    let form = |body: String| async move {
        assert_eq!(body, "no=7&q=a+b");
        ([(CONTENT_TYPE, "application/x-www-form-urlencoded")], "state=ok&left=3")
    };
    let router =
        Router::new().route("/customers/7", get(csv)).route("/prices", get(fixed)).route("/form", post(form));
    let world = World::start(router).await;
    let columns = json!([{ "name": "sku", "at": 1, "width": 6 }, { "name": "cents", "at": 7, "width": 10 }]);
    let one = |request, answer| json!({ "calls": { "it": { "ask": [{ "provider": "old", "request": request, "answer": answer }] } } });
    let translators = world.translators(json!({
        "providers": { "old": {} },
        "translators": {
            "customers": one(
                json!({ "path": "/customers/{no}" }),
                json!({
                    "format": { "csv": { "delimiter": ";", "charset": "windows-1252" } },
                    "rule": { "each": ".", "map": { "name": "name!" } }
                }),
            ),
            "prices": one(
                json!({ "path": "/prices" }),
                json!({
                    "format": { "fixed": { "columns": columns } },
                    "rule": { "each": ".", "map": {
                        "sku": "sku!", "price": { "from": "cents", "as": "decimal(2, implied)", "required": true } } }
                }),
            ),
            "form": one(
                json!({ "method": "POST", "path": "/form", "format": "form", "map": { "no": "no!", "q": "q!" } }),
                json!({ "format": "form", "map": { "left": { "from": "left", "as": "integer", "required": true } } }),
            )
        }
    }));
    assert_eq!(call(&translators, "customers", r#"{"no":7}"#).await, r#"[{"name":"Müller"}]"#);
    let prices = r#"[{"price":1234.50,"sku":"A7"},{"price":0.99,"sku":"B1"}]"#;
    assert_eq!(call(&translators, "prices", "{}").await, prices);
    assert_eq!(call(&translators, "form", r#"{"no":7,"q":"a b"}"#).await, r#"{"left":3}"#);
    world.end().await;
}

#[tokio::test]
async fn a_value_in_a_path_stays_in_its_segment_and_a_query_is_escaped() {
    let echo = |request: axum::extract::Request| async move { format!("\"{}\"", request.uri()) };
    let world = World::start(Router::new().fallback(echo)).await;
    let translators = world.translators(json!({
        "providers": { "web": {} },
        "translators": { "echo": { "calls": { "it": { "ask": [{
            "provider": "web",
            "request": { "path": "/a/{id}/b", "query": { "q": "q?", "tag": { "from": "tag", "count": "many" } } }
        }] } } } }
    }));
    let said = call(&translators, "echo", r#"{"id":"x/../y?z","q":"a&b"}"#).await;
    assert_eq!(said, r#""/a/x%2F..%2Fy%3Fz/b?q=a%26b""#);
    assert_eq!(call(&translators, "echo", r#"{"id":1}"#).await, r#""/a/1/b""#);
    let said = call(&translators, "echo", r#"{"id":".."}"#).await;
    assert!(said.starts_with("! invalid-request 400"), "{said}");
    let said = call(&translators, "echo", "{}").await;
    assert!(
        said.starts_with("! translation-failed 502") && said.contains("`{id}`: nothing is there"),
        "{said}"
    );
    world.end().await;
}
