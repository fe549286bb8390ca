//! Everything together: methods, rules, plans, limits, places.

use dozen_gateway::auth::{ApiKey, Reason};
use serde_json::{Value, json};

use crate::issuer::{Issuer, claims};
use crate::world::{Running, entrance, keeper, request, try_entrance};

/// A method `key` for two consumers, `web` on the plan `free` and `mobile` on none; gives their keys.
fn consumers(plan: Value) -> (Value, String, String) {
    let (web, mobile) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    let shared = json!({
        "identity": { "key": { "key": { "header": "x-api-key" } } },
        "consumers": {
            "web": { "key": web.hash, "plan": "free", "tags": ["trial"] },
            "mobile": { "key": [mobile.hash] },
        },
        "plans": { "free": plan },
    });
    (shared, web.key, mobile.key)
}

#[tokio::test]
async fn a_key_says_who_asks_and_stays_here() {
    let (shared, web, _) = consumers(json!({}));
    let route = json!({ "auth": { "any": "key", "require": "'trial' in consumer.tags" } });
    let entrance = entrance(&keeper(None), shared, route);
    let pass = request().with("X-API-Key", &web).admitted(&entrance).await.unwrap();
    assert_eq!(&*pass.identity.consumer.as_ref().unwrap().name, "web");
    assert!(
        entrance.strips("x-api-key") && entrance.strips("X_Api_Key") && entrance.strips("Dozen-Consumer")
    );
    let refusal = request().admitted(&entrance).await.unwrap_err();
    assert_eq!(refusal.fields, [("www-authenticate", "ApiKey header=\"x-api-key\"".to_owned())]);
    assert_eq!(
        request().with("x-api-key", "dzn_wrong").admitted(&entrance).await.unwrap_err().reason,
        Reason::ApiKey
    );
    let twice = request().with("x-api-key", &web).with("x-api-key", "dzn_wrong");
    assert_eq!(twice.admitted(&entrance).await.unwrap_err().reason, Reason::Malformed);
}

#[tokio::test]
async fn any_takes_the_first_that_vouches_and_all_takes_no_less_than_all() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let (mut shared, web, _) = consumers(json!({}));
    shared["identity"]["web"] = json!({ "jwt": { "audience": "shop", "keys": { "url": url } } });
    let keeper = keeper(None);
    let any = entrance(&keeper, shared.clone(), json!({ "auth": { "any": ["web", "key"] } }));
    let all = entrance(&keeper, shared.clone(), json!({ "auth": { "all": ["web", "key"] } }));
    let optional = entrance(&keeper, shared, json!({ "auth": { "any": ["web", "key"], "optional": true } }));
    let kept = Running::start(keeper).await;
    let token = issuer.token("one", &claims());
    let (by_token, by_key) = (request().bearer(&token), request().with("x-api-key", &web));
    let both = by_key.clone().bearer(&token);
    let wrong = request().bearer("x.y.z");
    let mut statuses = Vec::new();
    for route in [&any, &all, &optional] {
        for asking in [&by_token, &by_key, &both, &request(), &wrong] {
            statuses.push(asking.status(route).await);
        }
    }
    assert_eq!(statuses, [200, 200, 200, 401, 401, 401, 401, 200, 401, 401, 200, 200, 200, 200, 401]);
    // One good credential is enough, whatever else is sent.
    assert_eq!(by_key.clone().bearer("x.y.z").status(&any).await, 200);
    let identity = both.admitted(&all).await.unwrap().identity.clone();
    assert_eq!((identity.subject.as_deref(), identity.consumer.is_some()), (Some("alice"), true));
    let refusal = request().admitted(&any).await.unwrap_err();
    let asked_for = &refusal.fields[0].1;
    assert_eq!(asked_for, "Bearer, ApiKey header=\"x-api-key\"");
    kept.end().await;
    published.end().await;
}

#[tokio::test]
async fn a_plan_holds_over_all_routes_and_a_limit_over_its_own() {
    let plan = json!({ "limit": { "rate": "3/1h" } });
    let (shared, web, mobile) = consumers(plan);
    let keeper = keeper(None);
    let route = |limit: Value| json!({ "auth": { "any": "key" }, "limit": limit });
    let limit = json!({ "rate": "100/1h", "per": "consumer", "burst": 4 });
    let one = entrance(&keeper, shared.clone(), route(limit.clone()));
    let other = entrance(&keeper, shared, route(json!([])));
    let (web, mobile) = (request().with("x-api-key", web), request().with("x-api-key", mobile));
    for route in [&one, &other, &one] {
        assert_eq!(web.status(route).await, 200);
    }
    let refusal = web.admitted(&other).await.unwrap_err();
    assert_eq!((refusal.status, refusal.reason), (429, Reason::Limited));
    let names: Vec<&str> = refusal.fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["ratelimit-policy", "ratelimit", "retry-after"]);
    assert_eq!(refusal.fields[0].1, "\"consumer\";q=3;w=3600");
    for _ in 0..4 {
        assert_eq!(mobile.status(&one).await, 200, "who is on no plan has the route's own limit");
    }
    assert_eq!(mobile.status(&one).await, 429);
    assert_eq!(mobile.status(&other).await, 200);
    let told = mobile.admitted(&other).await.unwrap().response_fields();
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test]
async fn guessing_is_limited_by_address_before_anybody_is_known() {
    let (shared, web, _) = consumers(json!({}));
    let limit = json!({ "rate": "3/1h", "per": "address" });
    let entrance = entrance(&keeper(None), shared, json!({ "auth": { "any": "key" }, "limit": limit }));
    let guess = |address: &str| request().from(address).with("x-api-key", "dzn_guess");
    for _ in 0..3 {
        assert_eq!(guess("2001:db8:0:1::1").status(&entrance).await, 401);
    }
    assert_eq!(guess("2001:db8:0:1:ffff::2").status(&entrance).await, 429, "one customer has a whole /64");
    assert_eq!(guess("2001:db8:0:2::1").status(&entrance).await, 401);
    assert_eq!(guess("192.0.2.7").status(&entrance).await, 401);
    assert_eq!(request().from("192.0.2.8").with("x-api-key", web).status(&entrance).await, 200);
}

#[tokio::test]
async fn a_limit_counts_by_header_by_claim_or_by_what_an_expression_makes() {
    for (per, one, other) in [
        (json!({ "header": "x-tenant" }), ("x-tenant", "a"), ("x-tenant", "b")),
        (
            json!({ "cel": "request.headers['x-tenant'] + '/' + request.method" }),
            ("x-tenant", "a"),
            ("x-tenant", "b"),
        ),
    ] {
        let route = json!({ "limit": { "rate": "1/1h", "per": per } });
        let entrance = entrance(&keeper(None), json!({}), route);
        assert_eq!(request().with(one.0, one.1).status_now(&entrance), 200, "{per}");
        assert_eq!(request().with(other.0, other.1).status_now(&entrance), 200);
        assert_eq!(request().with(one.0, one.1).status_now(&entrance), 429);
        // Who leaves it out is counted by address.
        assert_eq!(request().status_now(&entrance), 200);
        assert_eq!(request().status_now(&entrance), 429);
    }
}

#[tokio::test]
async fn places_are_given_back_and_the_last_are_for_what_matters() {
    let (mut shared, web, _) = consumers(json!({ "in-flight": 2, "priority": "high" }));
    shared["shed"] = json!({ "in-flight": 4 });
    let keeper = keeper(None);
    let by_key = entrance(&keeper, shared.clone(), json!({ "auth": { "any": "key" } }));
    let low = entrance(&keeper, shared, json!({ "priority": "low", "in-flight": { "max": 3 } }));
    let web = request().with("x-api-key", web);
    let first = web.admitted(&by_key).await.unwrap();
    let second = web.admitted(&by_key).await.unwrap();
    assert_eq!(web.admitted(&by_key).await.unwrap_err().status, 429, "two at once are its plan");
    assert_eq!(request().admitted(&low).await.unwrap_err().reason, Reason::Busy, "half is taken");
    drop(first);
    let third = request().admitted(&low).await.unwrap();
    assert_eq!(web.status(&by_key).await, 200);
    drop((second, third));
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let (good, _, _) = consumers(json!({}));
    let jwt = |more: Value| json!({ "identity": { "web": { "jwt": more } } });
    let secret = "s".repeat(32);
    let none = json!({});
    for (shared, route, says) in [
        (good.clone(), json!({ "auth": { "any": "kye" } }), "did you mean `key`?"),
        (good.clone(), json!({ "auth": { "any": "key", "all": "key" } }), "use one of them"),
        (good.clone(), json!({ "auth": {} }), "asks for nothing"),
        (good.clone(), json!({ "auth": { "all": "key", "optional": true } }), "`optional` goes with `any`"),
        (good.clone(), json!({ "auth": { "require": "claims.scop(" } }), "`auth.require` cannot be used"),
        (
            good.clone(),
            json!({ "limit": { "rate": "1/s", "shared": true } }),
            "counts in the store, and there is none",
        ),
        (good, json!({ "limit": { "rate": "1/s", "per": { "cel": "1 + 1" } } }), "must be a text"),
        (
            json!({ "consumers": { "web": { "plan": "fre" } }, "plans": { "free": {} } }),
            none.clone(),
            "did you mean `free`?",
        ),
        (json!({ "identity": { "k": { "key": { "header": "x" } } } }), none.clone(), "no consumer has one"),
        (
            jwt(json!({ "audience": "a", "keys": { "url": "ftp://x" } })),
            none.clone(),
            "must begin with `http://` or `https://`; write",
        ),
        (jwt(json!({ "audience": [], "keys": { "secret": secret } })), none.clone(), "`audience` is empty"),
        (jwt(json!({ "keys": { "secret": secret } })), none.clone(), "missing field `audience`"),
        (
            jwt(json!({ "audience": "a", "keys": { "secret": "short" } })),
            none.clone(),
            "shorter than 32 bytes",
        ),
        (
            jwt(json!({ "audience": "a", "keys": { "url": "http://x" }, "algorithms": ["HS256", "RS256"] })),
            none.clone(),
            "can be read by others",
        ),
        (
            jwt(json!({ "audience": "a", "keys": { "secret": secret }, "algorithms": ["none"] })),
            none.clone(),
            "unknown variant `none`",
        ),
        (
            jwt(json!({ "audience": "a", "keys": { "url": "http://x" }, "stale-max": "1m" })),
            none.clone(),
            "`stale-max` must be longer than `refresh`",
        ),
    ] {
        let problem = try_entrance(&keeper(None), shared, route).map(drop).unwrap_err();
        assert!(problem.contains(says) && !problem.contains(&secret), "{problem}");
    }
}
