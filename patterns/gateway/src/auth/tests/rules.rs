//! Rules over claims, consumers, requests and routes.

use std::sync::Arc;

use serde_json::json;

use super::look;
use crate::auth::{Consumer, Identity, Policy, Reason};

fn somebody() -> Identity {
    let consumer = Consumer::new("web", Some("pro"), &["eu".into()]);
    let claims = json!({"sub": "alice", "scope": "orders.read", "roles": ["clerk"], "level": 3});
    Identity::of_claims(&Arc::from("jwt"), claims, Some(consumer))
}

fn check(rule: &str, identity: &Identity) -> Result<(), Reason> {
    let fields = [("X-Team", "a"), ("x-team", "b"), ("Accept", "*/*")];
    look(&fields, |view| Policy::compile(rule).unwrap().check(view, identity))
}

#[test]
fn a_rule_sees_who_asks_for_what() {
    let holding = [
        "claims.scope.contains('orders.read') && 'clerk' in claims.roles && claims.level >= 3",
        "consumer.name == 'web' && consumer.plan == 'pro' && 'eu' in consumer.tags",
        "request.method == 'GET' && request.path.startsWith('/orders/') && request.host == 'shop.example'",
        "request.headers['x-team'] == 'a, b' && request.headers.accept == '*/*'",
        "request.query.limit == '3' && request.query.q == 'a b'",
        "request.address == '192.0.2.1' && route == 'orders'",
        "size(request) == 6",
    ];
    for rule in holding {
        assert_eq!(check(rule, &somebody()), Ok(()), "{rule}");
        assert_eq!(check(&format!("!({rule})"), &somebody()), Err(Reason::Policy), "{rule}");
    }
}

#[test]
fn what_cannot_be_said_is_not_allowed() {
    for rule in ["claims.admin", "!claims.admin", "request.headers.missing != 'x'", "claims.level"] {
        assert_eq!(check(rule, &somebody()), Err(Reason::PolicyUndecided), "{rule}");
    }
    let nobody = Identity::default();
    assert_eq!(check("claims.scope == 'x'", &nobody), Err(Reason::PolicyUndecided));
    assert_eq!(check("claims == null && consumer == null", &nobody), Ok(()));
}

#[test]
fn a_rule_with_a_mistake_says_where() {
    let mistake = Policy::compile("claim.scope == 'x'").unwrap_err().to_string();
    assert!(mistake.contains("did you mean `claims`?"), "{mistake}");
}
