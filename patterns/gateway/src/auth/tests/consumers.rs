//! API keys, and addresses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::auth::{ApiKey, ConsumerOptions, Consumers, Identity, KeyHash};

#[test]
fn a_key_is_found_by_its_hash_and_never_shown() {
    let (web, old, mobile) =
        (ApiKey::generate().unwrap(), ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    assert!(web.key.starts_with("dzn_") && web.key.len() == 47 && web.key != mobile.key);
    assert!(!format!("{web:?}").contains(&web.key));
    let table: BTreeMap<String, ConsumerOptions> = serde_json::from_value(json!({
        "web": { "key": [web.hash.to_string(), old.hash.to_string()], "plan": "free", "tags": ["eu"] },
        "mobile": { "key": mobile.hash.to_string() },
    }))
    .unwrap();
    let consumers = Consumers::compile(&table).unwrap();
    let name = |key: &str| consumers.with_key(key.as_bytes()).map(|consumer| consumer.name.to_string());
    assert_eq!(name(&web.key).as_deref(), Some("web"));
    assert_eq!(name(&old.key).as_deref(), Some("web"));
    assert_eq!(name(&mobile.key).as_deref(), Some("mobile"));
    for wrong in ["", "dzn_", &web.key[1..], &format!("{}x", web.key), &"x".repeat(10_000)] {
        assert_eq!(name(wrong), None, "{wrong}");
    }
    assert_eq!(consumers.named("web").plan.as_deref(), Some("free"));
    assert_eq!(consumers.named("nobody").plan, None);
}

#[test]
fn two_consumers_never_share_a_key() {
    let hash = KeyHash::of(b"the same");
    let one = ConsumerOptions { key: vec![hash], ..ConsumerOptions::default() };
    let table = BTreeMap::from([("a".to_owned(), one.clone()), ("b".to_owned(), one)]);
    assert_eq!(Consumers::compile(&table).unwrap_err(), "consumers `a` and `b` have the same key");
}

#[test]
fn a_key_in_the_place_of_its_hash_is_refused_and_not_repeated() {
    let digits = "0".repeat(64);
    for wrong in ["dzn_secret", "sha256:secret", "md5:00", &digits, &format!("sha256:+{}", &digits[1..])] {
        let read = serde_json::from_value::<ConsumerOptions>(json!({ "key": wrong }));
        let problem = read.unwrap_err().to_string();
        assert!(problem.contains("sha256sum") && !problem.contains("secret"), "{wrong}: {problem}");
    }
    let good: Value = json!({ "key": format!("sha256:{digits}") });
    assert!(serde_json::from_value::<ConsumerOptions>(good).is_ok());
}

#[test]
fn names_of_the_gateway_are_its_own_however_they_are_spelt() {
    for name in ["dozen-consumer", "Dozen-Subject", "DOZEN_PLAN", "dozen_anything"] {
        assert!(Identity::owns(name), "{name}");
    }
    assert!(!Identity::owns("dozen") && !Identity::owns("x-dozen-consumer"));
}
