//! What is refused before anything is asked.

use serde_json::json;

use super::world::compile;

fn mistakes(translator: serde_json::Value) -> String {
    let options = json!({ "providers": { "erp": {}, "crm": {} }, "translators": { "t": translator } });
    match compile(options, &[], None) {
        Ok(_) => panic!("it compiles"),
        Err(error) => error.to_string(),
    }
}

fn asking(way: serde_json::Value) -> serde_json::Value {
    json!({ "calls": { "it": { "ask": [way] } } })
}

#[test]
fn mistakes_have_their_place_and_what_would_be_right() {
    let at = "translators.t.calls.it";
    let check = |translator: serde_json::Value, wanted: &str| {
        let found = mistakes(translator);
        assert!(found.contains(wanted), "wanted {wanted}\n got {found}");
    };
    check(
        asking(json!({ "provider": "epr" })),
        &format!("{at}.ask[0].provider: there is no provider `epr`; did you mean `erp`?"),
    );
    check(
        asking(json!({ "provider": "erp", "answer": { "map": { "a": "b" } } })),
        &format!("{at}.ask[0].answer.map.a: `b` may be missing"),
    );
    check(
        asking(json!({ "provider": "erp", "answer": { "format": "xlm" } })),
        &format!("{at}.ask[0].answer.format: there is no format `xlm`; did you mean `xml`?"),
    );
    check(asking(json!({ "provider": "erp", "request": { "path": "items" } })), "a path begins with `/`");
    check(asking(json!({ "provider": "erp", "request": { "path": "/{a" } })), "a `{` stands alone");
    check(asking(json!({ "provider": "erp", "request": { "map": { "a": "a!" } } })), "say its format");
    check(
        asking(json!({ "provider": "erp", "errors": [{ "when": "stauts == 404", "problem": "x" }] })),
        &format!("{at}.ask[0].errors[0].when: "),
    );
    check(asking(json!({ "provider": "erp", "errors": [{ "when": "status == 404" }] })), "`next: true`");
    let soap = |when: &str| {
        asking(
            json!({ "provider": "erp", "answer": { "format": "soap" }, "errors": [{ "when": when, "problem": "x" }] }),
        )
    };
    check(soap("fault.cod == 'A'"), "`fault` has no member `cod`; did you mean `code`?");
    check(
        asking(json!({ "provider": "erp", "errors": [{ "when": "fault.code == 'A'", "problem": "x" }] })),
        &format!("{at}.ask[0].errors[0].when: only an answer in SOAP has a `fault`"),
    );
    check(
        asking(
            json!({ "provider": "erp", "answer": { "schema": { "$ref": "https://example.org/item.json" } } }),
        ),
        &format!("{at}.ask[0].answer.schema: "),
    );
    check(json!({ "calls": {} }), "translators.t.map: say what the result is made of");
    check(json!({ "calls": { "it": { "ask": [] } } }), "there are 1 to 8 ways to ask");
    check(
        asking(json!({ "provider": "erp", "request": { "map": { "a": "x!" }, "format": "json" } }))
            .as_object()
            .map(|whole| {
                let mut whole = whole.clone();
                whole["calls"]["it"]["with"] = json!({ "sku": "input.sku!" });
                whole.into()
            })
            .unwrap(),
        &format!("{at}.ask[0].request.map.a"),
    );
}

#[test]
fn calls_are_put_in_order_or_refused() {
    let way = json!([{ "provider": "erp" }]);
    let with = |with: serde_json::Value| json!({ "ask": way, "with": with });
    let circle = json!({
        "calls": { "a": with(json!({ "x": "b.x!" })), "b": with(json!({ "x": { "from": ["input.x", "a.x"], "required": true } })) },
        "map": { "x": "a!" }
    });
    let found = mistakes(circle);
    assert!(found.contains("translators.t.calls: the calls `a`, `b` wait for each other"), "{found}");
    let unknown = json!({ "calls": { "stock": with(json!({ "x": "stok.x!" })) }, "map": { "x": "stock!" } });
    assert!(mistakes(unknown).contains("there is no call `stok`"));
    let hidden = json!({ "calls": { "a": with(json!({ "x": { "jq": ".b.x", "required": true } })) } });
    assert!(mistakes(hidden).contains("belongs into the `map` of the request"));
    let strange = json!({ "calls": { "a": with(json!({ "x": "input.x!" })) }, "map": { "x": "b.x!" } });
    assert!(mistakes(strange).contains("translators.t.map.x"));
}

#[test]
fn an_example_of_what_is_not_asked_is_refused() {
    let options =
        json!({ "providers": { "erp": {} }, "translators": { "t": asking(json!({ "provider": "erp" })) } });
    let example = r#"{ "examples": [ { "name": "old", "exchanges": [
        { "call": "it", "provider": "crm", "request": { "method": "GET", "target": "/" }, "answer": {} } ], "output": {} } ] }"#;
    let error = compile(options, &[("t", example)], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "translators.t.examples: `old` asks `it` at `crm`, which is no way of this translator"
    );
}
