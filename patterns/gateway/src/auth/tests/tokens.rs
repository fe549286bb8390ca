//! Signatures: the examples of the RFCs, tokens of another library, and forgeries.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::NOW;
use crate::auth::Reason;
use crate::auth::claims::Expected;
use crate::auth::jws::{self, TOKEN_MAX};
use crate::auth::key::{Algorithm, KeySet, Readers};

fn rfc() -> Vec<Value> {
    serde_json::from_str(include_str!("rfc.json")).unwrap()
}

/// Made by PyJWT 2.15, which says so in it.
fn made() -> Value {
    serde_json::from_str(include_str!("tokens.json")).unwrap()
}

fn set(keys: &Value) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), Readers::OnlyUs).unwrap()
}

/// What a token's payload is, if one of the keys opens it.
fn open(token: &str, keys: &KeySet) -> Result<Vec<u8>, Reason> {
    let token = jws::parse(token.as_bytes())?;
    let mut opened = keys.candidates(token.key_id.as_deref(), token.algorithm);
    opened.find_map(|key| token.opened_by(key)).unwrap_or(Err(Reason::Signature))
}

#[test]
fn the_examples_of_the_rfcs_hold_and_a_changed_bit_does_not() {
    for example in rfc() {
        let (token, keys) = (example["token"].as_str().unwrap(), set(&json!([example["key"]])));
        assert!(open(token, &keys).is_ok(), "{example}");
        let parts: Vec<&str> = token.split('.').collect();
        // One character of the payload, then one of the signature: each another of the alphabet.
        for part in [1, 2] {
            let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            let first = if changed[part].starts_with('A') { "B" } else { "A" };
            changed[part].replace_range(..1, first);
            assert_eq!(open(&changed.join("."), &keys), Err(Reason::Signature), "{example}");
        }
    }
}

#[test]
fn tokens_of_another_library_hold() {
    let made = made();
    let published = set(&made["keys"]);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let payload = open(made["tokens"][algorithm].as_str().unwrap(), &published).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), made["claims"]);
    }
    let secret = KeySet::of_secret(made["secret"].as_str().unwrap().as_bytes());
    assert!(open(made["tokens"]["HS256"].as_str().unwrap(), &secret).is_ok());
}

#[test]
fn no_forgery_finds_a_key() {
    let made = made();
    let keys = set(&made["keys"]);
    for (name, token) in made["forged"].as_object().unwrap() {
        let reason = open(token.as_str().unwrap(), &keys).unwrap_err();
        let expected = match name.as_str() {
            "none" | "None" => Reason::Algorithm,
            "crit" => Reason::Malformed,
            _ => Reason::Signature,
        };
        assert_eq!(reason, expected, "{name}");
    }
}

#[test]
fn what_is_no_token_is_refused_before_it_costs_anything() {
    let header = "eyJhbGciOiJFZERTQSJ9"; // {"alg":"EdDSA"}
    let wrong = [
        String::new(),
        "..".into(),
        header.into(),
        format!("{header}.e30"),
        format!("{header}.e30.AA.AA"),
        format!("{header}=.e30.AA"),
        format!("{header}.e30.A"),
        format!("{header}.e30.AB"), // bits that stand for nothing
        format!("{header}.e30.A+"),
        format!(" {header}.e30.AA"),
        format!("{header}.e30.{}", "A".repeat(TOKEN_MAX)),
        format!("{}.e30.AA", "A".repeat(4 * 1024 + 1)),
        // {"alg":"EdDSA","alg":"none"}
        "eyJhbGciOiJFZERTQSIsImFsZyI6Im5vbmUifQ.e30.AA".into(),
        // {"alg":"EdDSA","crit":null}
        "eyJhbGciOiJFZERTQSIsImNyaXQiOm51bGx9.e30.AA".into(),
    ];
    for token in wrong {
        let reason = jws::parse(token.as_bytes()).unwrap_err();
        assert_eq!(reason, Reason::Malformed, "{}", token.chars().take(80).collect::<String>());
    }
}

#[test]
fn keys_that_are_of_no_use_are_ignored_and_a_secret_is_never_published() {
    let mut all = made()["keys"].as_array().unwrap().clone();
    let with = |change: fn(&mut Value)| {
        let mut key = all[0].clone();
        change(&mut key);
        key
    };
    let useless = [
        with(|key| key["use"] = "enc".into()),
        with(|key| key["alg"] = "RS512".into()),
        with(|key| key["alg"] = "ES256".into()),
        with(|key| key["key_ops"] = json!(["sign"])),
        with(|key| key["n"] = "AQAB".into()),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        json!({"kty": "new"}),
        json!(7),
        json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"}),
    ];
    all.extend(useless.clone());
    let document = json!({ "keys": all }).to_string();
    let read = KeySet::read(document.as_bytes(), Readers::Everybody).unwrap();
    assert_eq!((read.len(), read.ignored), (3, useless.len()));
    let read = KeySet::read(document.as_bytes(), Readers::OnlyUs).unwrap();
    assert_eq!((read.len(), read.ignored), (4, useless.len() - 1));
    for document in ["", "[]", r#"{"keys": []}"#, r#"{"keys": [7]}"#] {
        assert!(KeySet::read(document.as_bytes(), Readers::Everybody).is_err(), "{document}");
    }
}

#[test]
fn claims_must_say_what_is_expected() {
    let expected = Expected {
        issuer: Some("https://id.example".into()),
        audience: Some(vec!["shop".into()]),
        required: vec!["scope".into()],
        leeway: Duration::from_secs(30),
    };
    let now = NOW.0 / 1_000_000;
    let good = json!({"iss": "https://id.example", "aud": "shop", "scope": "", "exp": now + 60, "nbf": now});
    let check = |change: &dyn Fn(&mut Value)| {
        let mut claims = good.clone();
        change(&mut claims);
        expected.check(claims.to_string().as_bytes(), NOW).map(|(_, until)| until)
    };
    assert_eq!(check(&|_| ()), Ok(NOW.after(Duration::from_secs(90))));
    assert_eq!(check(&|claims| claims["aud"] = json!(["x", "shop"])), Ok(NOW.after(Duration::from_secs(90))));
    assert!(check(&|claims| claims["exp"] = json!(now - 29)).is_ok());
    assert!(check(&|claims| claims["exp"] = json!(1e300)).is_ok());
    assert_eq!(check(&|claims| claims["exp"] = json!(now - 30)), Err(Reason::Expired));
    assert_eq!(check(&|claims| claims["exp"] = json!(now as f64 - 30.5)), Err(Reason::Expired));
    assert_eq!(check(&|claims| claims["exp"] = json!("soon")), Err(Reason::Malformed));
    assert_eq!(check(&|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), Err(Reason::Claim));
    assert!(check(&|claims| claims["nbf"] = json!(now + 30)).is_ok());
    assert_eq!(check(&|claims| claims["nbf"] = json!(now + 31)), Err(Reason::NotYet));
    assert_eq!(check(&|claims| claims["iss"] = json!("https://id.example/")), Err(Reason::Issuer));
    assert_eq!(check(&|claims| claims["iss"] = json!(["https://id.example"])), Err(Reason::Issuer));
    assert_eq!(check(&|claims| claims["aud"] = json!("shopping")), Err(Reason::Audience));
    assert_eq!(check(&|claims| claims["aud"] = Value::Null), Err(Reason::Audience));
    assert_eq!(check(&|claims| claims["scope"] = Value::Null), Err(Reason::Claim));
    assert_eq!(expected.check(b"[]", NOW).unwrap_err(), Reason::Malformed);
    assert_eq!(expected.check(b"not JSON", NOW).unwrap_err(), Reason::Malformed);
}

proptest! {
    #[test]
    fn anything_can_be_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = jws::parse(&bytes);
        let _ = KeySet::read(&bytes, Readers::Everybody);
    }

    #[test]
    fn no_change_of_a_token_is_accepted(at in 0usize..1000, byte in prop::char::range('!', 'z')) {
        let made = made();
        let token = made["tokens"]["EdDSA"].as_str().unwrap();
        let at = at % token.len();
        let mut changed = token.to_owned();
        changed.replace_range(at..=at, &byte.to_string());
        prop_assert!(changed == token || open(&changed, &set(&made["keys"])).is_err());
    }
}

/// Prints; the bars are measured in a release build.
#[test]
fn how_long_a_signature_takes() {
    const ROUNDS: u32 = 50;
    let made = made();
    let keys = set(&made["keys"]);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = made["tokens"][algorithm].as_str().unwrap();
        let started = Instant::now();
        for _ in 0..ROUNDS {
            open(token, &keys).unwrap();
        }
        println!("{algorithm}: {:?} for each token", started.elapsed() / ROUNDS);
    }
    assert_eq!(Algorithm::named("none"), None);
}
