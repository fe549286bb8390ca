//! Answers that somebody else has asked for.

use serde_json::json;

use super::world::{compile, value};
use crate::{ForeignAnswer, Problem};

fn answer(status: u16, body: &str) -> ForeignAnswer {
    let builder = http::Response::builder().status(status).header("content-type", "application/json");
    builder.body(body.to_owned().into()).unwrap()
}

#[test]
fn an_answer_alone_is_read_as_its_provider_says_it_and_a_known_error_is_a_problem_of_ours() {
    let translators = compile(
        json!({ "providers": { "erp": {} }, "translators": {
            "item": {
                "output": { "type": "object", "properties": { "sku": { "type": "string", "minLength": 1 } }, "required": ["sku"] },
                "calls": { "it": { "ask": [{
                    "provider": "erp",
                    "answer": { "map": { "sku": "id!" } },
                    "errors": [{ "when": "status == 404", "problem": "gone", "status": 404, "title": "Gone" }],
                }] } },
            },
            "both": {
                "calls": { "one": { "ask": [{ "provider": "erp" }] }, "other": { "ask": [{ "provider": "erp" }] } },
                "map": { "a": "one.a!", "b": "other.b!" },
            },
        } }),
        &[],
        None,
    );
    let translators = translators.unwrap();
    let (item, both) = (translators.get("item").unwrap(), translators.get("both").unwrap());
    assert_eq!(item.reads(), Ok(()));
    assert_eq!(item.read(&answer(200, r#"{"id": "lamp", "x": 1}"#)), Ok(value(r#"{"sku":"lamp"}"#)));
    let status =
        |answered: Result<_, Problem>| answered.map_err(|problem| (problem.status, problem.cause.label()));
    assert_eq!(status(item.read(&answer(404, "{}"))), Err((404, "known")));
    assert_eq!(status(item.read(&answer(500, "{}"))), Err((503, "unavailable")));
    assert_eq!(status(item.read(&answer(200, "{}"))), Err((502, "untranslatable")));
    assert_eq!(
        status(item.read(&answer(200, r#"{"id": ""}"#))),
        Err((502, "untranslatable")),
        "its own schema"
    );
    assert_eq!(both.reads(), Err("its result is made of several answers"));
    assert_eq!(item.totals(), crate::Totals::default(), "nobody was asked");
}
