//! Cache, shapes and examples by themselves.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_mapping::Value;
use futures::FutureExt as _;
use serde_json::json;

use super::world::value;
use crate::cache::{Cache, Found};
use crate::drift::Drift;
use crate::problem::Problem;
use crate::{CacheOptions, DriftOptions, Example, Place};

struct Kept {
    cache: Arc<Cache>,
    asked: Arc<AtomicUsize>,
}

impl Kept {
    fn new(entries_max: usize) -> Self {
        let entries_max = NonZeroUsize::new(entries_max).unwrap();
        let bytes_max = NonZeroUsize::new(100).unwrap();
        let options = CacheOptions { ttl: Duration::from_secs(60), entries_max, bytes_max };
        Self { cache: Cache::new(options), asked: Arc::default() }
    }

    async fn ask(&self, key: &str, result: Result<Value, Problem>) -> Result<Value, Problem> {
        let asked = self.asked.clone();
        let found = self.cache.find(key.into(), || {
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                result
            }
            .boxed()
        });
        match found {
            Found::Kept(value) => Ok(value),
            Found::Flying(flight) => flight.await,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_for_its_time_and_a_problem_never() {
    let kept = Kept::new(10);
    let refused = || Err(Problem::refused("no"));
    let (one, other) = tokio::join!(kept.ask("a", Ok(1.into())), kept.ask("a", Ok(2.into())));
    assert_eq!((one, other, kept.asked()), (Ok(1.into()), Ok(1.into()), 1));
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(kept.ask("a", Ok(3.into())).await, Ok(1.into()));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(kept.ask("a", Ok(4.into())).await, Ok(4.into()));
    assert_eq!(kept.ask("b", refused()).await, refused());
    assert_eq!(kept.ask("b", Ok(5.into())).await, Ok(5.into()));
    assert_eq!(kept.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_result_makes_room_and_a_question_that_nobody_waits_for_is_dropped() {
    let kept = Kept::new(2);
    for key in ["a", "b", "c"] {
        assert!(kept.ask(key, Ok(1.into())).await.is_ok());
    }
    assert_eq!(kept.ask("c", Ok(2.into())).await, Ok(1.into()));
    assert_eq!(kept.ask("a", Ok(2.into())).await, Ok(2.into()), "it had to go");
    // Polled once, and dropped.
    assert!(kept.ask("d", Ok(1.into())).now_or_never().is_none());
    assert_eq!(kept.ask("d", Ok(2.into())).await, Ok(2.into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_has_a_bound_in_bytes_and_what_is_larger_is_not_kept() {
    let kept = Kept::new(10);
    let text = |length: usize| Ok(Value::from("x".repeat(length)));
    for key in ["a", "b"] {
        assert!(kept.ask(key, text(40)).await.is_ok());
    }
    assert_eq!(kept.ask("a", Ok(1.into())).await, text(40));
    assert!(kept.ask("c", text(40)).await.is_ok());
    assert_eq!(kept.ask("b", Ok(1.into())).await, text(40));
    assert_eq!(kept.ask("a", Ok(1.into())).await, Ok(1.into()), "the oldest had to go");
    assert_eq!(kept.ask("large", text(200)).await, text(200));
    assert_eq!(kept.ask("large", Ok(2.into())).await, Ok(2.into()), "it was not kept");
    assert_eq!(kept.ask("c", Ok(3.into())).await, text(40), "and nothing had to go for it");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_had_to_go_and_fails_takes_no_younger_one_with_it() {
    let kept = Kept::new(1);
    let begin = |key: &str, result: Result<Value, Problem>, lasts: u64| {
        let wait = tokio::time::sleep(Duration::from_secs(lasts));
        let found = kept.cache.find(key.into(), || {
            async move {
                wait.await;
                result
            }
            .boxed()
        });
        let Found::Flying(flight) = found else { panic!("it is kept") };
        flight
    };
    let refused = || Err(Problem::refused("no"));
    let old = begin("a", refused(), 1);
    // There is room for one: the first question is forgotten while it flies, and then asked anew.
    let between = begin("b", Ok(0.into()), 5);
    let young = begin("a", Ok(2.into()), 2);
    assert_eq!(old.await, refused());
    let same = begin("a", Ok(3.into()), 9);
    assert_eq!(tokio::join!(young, same), (Ok(2.into()), Ok(2.into())), "it goes on, and serves all who ask");
    drop(between);
}

fn drifted(schema: Option<serde_json::Value>, flat: bool, learnt: &[&str], live: &str) -> Vec<String> {
    let options = DriftOptions { one_in: 1.try_into().unwrap(), ..DriftOptions::default() };
    let drift = Drift::new(options, schema.as_ref(), flat);
    learnt.iter().for_each(|document| drift.learn(&value(document)));
    let place = Place { translator: "t".into(), call: "c".into(), provider: "p".into() };
    drift.look(&value(live), &place, Timestamp(1));
    let fields = drift.report(place).fields;
    fields.iter().map(|field| format!("{} {}", field.path, field.change)).collect()
}

#[test]
fn fields_that_are_new_missing_or_of_another_type_are_found_by_path() {
    let learnt = [
        r#"{"a": {"b": [{"c": 1}, {"c": 2, "d": null}]}, "e": "x"}"#,
        r#"{"a": {"b": []}, "e": "y", "f": 1}"#,
    ];
    let check =
        |live: &str, wanted: &[&str]| assert_eq!(drifted(None, false, &learnt, live), wanted, "{live}");
    check(r#"{"a": {"b": [{"c": 3}]}, "e": "z"}"#, &[]);
    check(
        r#"{"a": {"b": [{"c": "3"}, {}]}, "e": "z", "g": 1}"#,
        &["a.b[*].c is missing", "a.b[*].c was number, and is text", "g is new"],
    );
    check(
        r#"{"a": {"b": {"c": 1}}, "e": null}"#,
        &["a.b was list, and is object", "e was text, and is null"],
    );
    check("[]", &[". was object, and is list"]);
    assert_eq!(drifted(None, false, &[], r#"{"a":1}"#), Vec::<String>::new(), "nothing is known");
}

#[test]
fn an_element_that_is_there_once_is_the_same_as_one_that_is_there_twice() {
    let learnt = [r#"{"Item": {"@code": "A"}}"#];
    let live = r#"{"Item": [{"@code": "A"}, {"@code": "B", "Color": "red"}]}"#;
    assert_eq!(drifted(None, true, &learnt, live), ["Item.Color is new"]);
}

#[test]
fn a_schema_counts_instead_of_the_examples_and_says_more() {
    let schema = json!({
        "type": "object", "required": ["state"],
        "properties": {
            "state": { "type": "string", "enum": ["open", "closed"] },
            "any": { "anyOf": [{ "type": "string" }, { "type": "object" }] },
            "free": { "type": "object" },
            "tags": { "type": ["array", "null"], "items": { "type": "string" } }
        }
    });
    let check = |live: &str, wanted: &[&str]| {
        assert_eq!(drifted(Some(schema.clone()), false, &[r#"{"x": 1}"#], live), wanted, "{live}");
    };
    check(r#"{"state": "open", "any": {"b": 1}, "free": {"c": 1}, "tags": ["a"]}"#, &[]);
    check(r#"{"state": "held", "tags": null, "x": 1}"#, &["state has a word that is not listed", "x is new"]);
    check(r#"{"tags": [1]}"#, &["state is missing", "tags[*] was text, and is number"]);
}

#[test]
fn what_is_kept_of_drift_is_bounded() {
    let options = DriftOptions { one_in: 2.try_into().unwrap(), fields_max: 2.try_into().unwrap() };
    let drift = Drift::new(options, None, false);
    drift.learn(&value("{}"));
    let place = Place { translator: "t".into(), call: "c".into(), provider: "p".into() };
    for at in 1..=4 {
        drift.look(&value(r#"{"a":1,"b":1,"c":1}"#), &place, Timestamp(at));
    }
    let report = drift.report(place);
    assert_eq!((report.compared, report.fields.len(), report.more), (2, 2, 2), "every second one");
    assert_eq!((report.fields[0].first, report.fields[0].last), (Timestamp(1), Timestamp(3)));
}

#[test]
fn a_schema_that_refers_joins_and_chooses_is_compared_like_a_plain_one() {
    let check = |schema: serde_json::Value, live: &str, wanted: &[&str]| {
        assert_eq!(drifted(Some(schema.clone()), false, &[], live), wanted, "{schema} {live}");
    };
    let plain = json!({ "properties": { "id": { "type": "string" }, "at": { "enum": ["here", "there"] } }, "required": ["id"] });
    let referred = json!({ "$ref": "#/$defs/item", "$defs": { "item": plain.clone() } });
    let joined = json!({ "allOf": [{ "properties": { "id": { "type": "string" } } }, plain.clone()] });
    let one_of_two = json!({ "oneOf": [plain.clone(), { "type": "null" }] });
    for schema in [plain, referred, joined, one_of_two] {
        check(schema.clone(), r#"{"id": "a", "at": "here"}"#, &[]);
        check(
            schema,
            r#"{"at": "away", "name": 1}"#,
            &["at has a word that is not listed", "id is missing", "name is new"],
        );
    }
    let chosen = json!({ "anyOf": [
        { "type": "object", "properties": { "a": { "type": "number" }, "b": {} }, "required": ["a", "b"] },
        { "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] }
    ] });
    check(chosen.clone(), r#"{"a": "x"}"#, &[]);
    check(chosen, r#"{"a": true, "c": 1}"#, &["a was number or text, and is boolean", "c is new"]);
    let tree = json!({ "$ref": "#/$defs/node", "$defs": { "node": {
        "properties": { "left": { "$ref": "#/$defs/node" }, "right": { "$ref": "#/$defs/node" }, "leaf": { "type": "number" } }
    } } });
    check(tree, r#"{"left": {"right": {"leaf": "x"}}}"#, &["left.right.leaf was number, and is text"]);
    let named = json!({ "type": "object", "additionalProperties": { "type": "number" } });
    check(named, r#"{"a": 1, "b": "x"}"#, &["b was number, and is text"]);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let blind = |schema: Option<serde_json::Value>| {
        let place = Place { translator: "t".into(), call: "c".into(), provider: "p".into() };
        Drift::new(DriftOptions::default(), schema.as_ref(), false).report(place).not_compared
    };
    assert_eq!(blind(None), ["."], "there is neither a schema nor an example");
    assert_eq!(blind(Some(json!({ "not": { "type": "null" } }))), ["."]);
    let schema = json!({ "properties": { "a": {}, "b": { "items": true }, "c": { "items": { "anyOf": [true, { "type": "null" }] } } } });
    assert_eq!(blind(Some(schema)), ["a", "c[*]"]);
}

#[test]
fn a_file_of_examples_that_cannot_be_read_says_why() {
    for (text, wanted) in [
        ("{}", "it is an object with a list `examples`"),
        (r#"{"examples": [{"name": "a"}]}"#, "examples[0]: it has either an `output` or a `problem`"),
        (r#"{"examples": [{"name": "a", "ouput": 1}]}"#, "examples[0]: unknown field `ouput`"),
    ] {
        let error = Example::read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
