//! Who may, and how often, in the file: that every key reaches the gateway, and that each mistake is shown where it stands.

use std::time::Duration;

use dozen_gateway::auth::{KeySource, MethodOptions};
use dozen_gateway::limit::{OnStoreLoss, Per, Priority};

use super::{mistake, read};

const HASH: &str = "sha256:1e428c6b2964c2ee512397aa4b27032330d60577b1280991ef3ceb18475d73ad";
const HELP: &str = "docs/gateway.md says how to write who may, and how often";

const ALL: &str = "
app: a
services: { a: { run: x, port: 1 } }
gateway:
  identity:
    web: { jwt: { issuer: 'https://id.example', audience: shop, keys: 'http://id.internal/keys', refresh: 1m, consumer: app } }
    own: { jwt: { audience: [a, b], keys: { file: keys.json }, algorithms: [ES256], type: at+jwt, required: scope } }
    secret: { jwt: { audience: '*', keys: { secret: '${env:SECRET} and thirty-two bytes more' } } }
    partner: { key: x-api-key }
    opaque: { introspect: { url: 'http://id.internal/introspect', client: gateway, secret: '${env:SECRET}' } }
    session: { forward: { url: 'http://login.internal/check', headers: cookie, copy: x-user, body-max: 1KiB } }
  consumers:
    mobile: { key: HASH, plan: free, tags: [eu, trial] }
    web:
  plans:
    free: { limit: 60/1m, in-flight: 4, priority: low }
  shed: 2000
  routes:
    /one: { to: a, auth: web, limit: 100/1m, in-flight: 50 }
    /two: { to: a, auth: [web, partner], priority: high,
            limit: [ { rate: 5/s, per: consumer, burst: 20, shared: true, on-store-loss: deny }, { rate: 1/1h, per: { claim: sub } } ] }
    /three: { to: a, auth: { all: [web, partner], require: \"claims.sub != ''\" }, in-flight: { max: 2, per: address } }
";

#[test]
fn every_key_reaches_the_gateway_and_no_secret_is_shown() {
    let text = ALL.replace("HASH", &format!("'{HASH}'"));
    let loaded = read(&text).unwrap();
    let gateway = loaded.app.gateway.as_ref().unwrap();
    let access = &gateway.access;
    let MethodOptions::Jwt(web) = &access.identity["web"] else { panic!() };
    assert_eq!((web.refresh, web.consumer.as_deref()), (Duration::from_secs(60), Some("app")));
    assert!(matches!(&web.keys, KeySource::Url(url) if url == "http://id.internal/keys"));
    let MethodOptions::Jwt(own) = &access.identity["own"] else { panic!() };
    assert!(matches!(&own.keys, KeySource::File(path) if path.is_absolute()), "{:?}", own.keys);
    let MethodOptions::Forward(session) = &access.identity["session"] else { panic!() };
    assert_eq!((session.copy.as_slice(), session.body_max), (["x-user".to_owned()].as_slice(), 1024));
    let mobile = &access.consumers["mobile"];
    assert_eq!((mobile.key[0].to_string().as_str(), mobile.plan.as_deref()), (HASH, Some("free")));
    let free = &access.plans["free"];
    assert_eq!((free.limit[0].rate.to_string().as_str(), free.priority), ("60/60s", Some(Priority::Low)));
    assert_eq!(access.shed.as_ref().unwrap().in_flight.get(), 2000);
    let [one, two, three] = gateway.routes.as_slice() else { panic!() };
    assert_eq!(
        (one.auth.as_ref().unwrap().any.as_slice(), one.limit.len()),
        (["web".to_owned()].as_slice(), 1)
    );
    assert_eq!(one.in_flight.as_ref().unwrap().max.get(), 50);
    assert_eq!((two.auth.as_ref().unwrap().any.len(), two.priority), (2, Priority::High));
    let [shared, by_claim] = two.limit.as_slice() else { panic!() };
    assert_eq!((&shared.per, shared.on_store_loss, shared.shared), (&Per::Consumer, OnStoreLoss::Deny, true));
    assert_eq!(by_claim.per, Per::Claim("sub".into()));
    assert_eq!(three.in_flight.as_ref().unwrap().per, Per::Address);
    for shown in [&loaded.expanded, &format!("{:?}", loaded.app), &format!("{access:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let again = read(&loaded.expanded).unwrap_or_else(|mistakes| panic!("{}\n{mistakes}", loaded.expanded));
    assert_eq!((again.expanded, &again.app.gateway.unwrap().routes), (loaded.expanded, &gateway.routes));
}

#[test]
fn what_cannot_be_is_shown_where_it_stands() {
    let head = "app: a\nservices: { a: { run: x, port: 1 } }\ngateway:\n";
    let method = "  identity: { web: { jwt: { audience: a, keys: 'http://x' } } }\n";
    let wrong = |section: &str, place: &str, wrong: &str, help: &str| {
        mistake(&format!("{head}{section}"), place, wrong, help);
    };
    wrong("  identity: { web: { } }", "4:20", "a method is one thing, and nothing stands here", HELP);
    wrong(
        "  identity: { web: { jwt: { audience: a, keys: 'ftp://x' } } }",
        "4:20",
        "identity `web`: `ftp://x` must begin with `http://` or `https://`; write `https://id.example/keys`, or \
         `service:/keys` with a service of this file",
        HELP,
    );
    wrong(
        "  identity: { web: { jwt: { audience: a, keys: { url: 'http://x', file: b } } } }",
        "4:67",
        "keys are one thing, and here are `url` and `file`",
        "keep one of the two",
    );
    wrong(
        "  consumers: { a: { key: 'the key itself' } }",
        "4:26",
        "a consumer's `key` is the hash of an API key, `sha256:` and 64 hexadecimal digits; `printf %s KEY | sha256sum` \
         prints the digits",
        HELP,
    );
    wrong(
        "  trusted: [10.1.2.3/8]",
        "4:13",
        "`10.1.2.3/8` names one address and a network; write `10.0.0.0/8`",
        "write an IP address or a network, for example `10.0.0.1` or `10.0.0.0/8`",
    );
    wrong(
        "  identity: { m: { certificate: { strangers: true } } }",
        "4:33",
        "no client is asked for a certificate",
        "name who vouches for clients in `gateway.tls.client-ca`",
    );
    wrong(
        "  routes: { /a: { to: a, clients: {} } }",
        "4:35",
        "route `/a`: `clients` names nobody; name addresses or networks in `allow` or `deny`",
        HELP,
    );
    wrong(
        "  consumers: { a: { plan: fre } }\n  plans: { free: {} }",
        "4:27",
        "consumer `a` names the plan `fre`, and there is none; did you mean `free`?",
        HELP,
    );
    wrong(
        "  routes: { /a: { to: a, limit: 100 } }",
        "4:33",
        "`100` is no rate such as `100/1m`, `5/s` or `1000/1h`",
        "write how many in how long: `100/1m`, `5/s`",
    );
    wrong(
        "  routes: { /a: { to: a, limit: { rate: 1/s, per: { by: route, claim: x } } } }",
        "4:64",
        "it is counted by one thing, and here are `by` and `claim`",
        "keep one of the two",
    );
    wrong(
        &format!("{method}  routes: {{ /a: {{ to: a, auth: wbe }} }}"),
        "5:32",
        "route `/a` names the method `wbe`, and there is none; did you mean `web`?",
        HELP,
    );
    wrong(
        &format!("{method}  routes: {{ /a: {{ to: a, auth: {{ any: web, all: web }} }} }}"),
        "5:32",
        "route `/a`: `auth` is not clear: it has both `any` and `all`; use one of them",
        HELP,
    );
    // What a placeholder stands for is not repeated.
    let said =
        read(&format!("{head}  identity: {{ web: {{ introspect: '${{env:SECRET}}' }} }}")).unwrap_err();
    let said = said.to_string();
    assert!(said.contains("`${env:SECRET}` is no URL") && !said.contains("hunter2"), "{said}");
    let rule = format!(
        "{head}{method}  routes: {{ /a: {{ to: a, auth: {{ any: web, require: 'claims.sub ==' }} }} }}"
    );
    let said = read(&rule).unwrap_err().to_string();
    assert!(
        said.contains("`auth.require` cannot be used") && said.contains("--> dozen.yaml:5:53\n"),
        "{said}"
    );
}
