//! Routes in the file: that every key of one reaches the gateway, and that what the gateway refuses is shown where it
//! stands.

use dozen_gateway::{Compose, RouteTable};

use super::{mistake, read};

const ALL: &str = "
app: a
services: { a: { run: x, port: 1, timeout: 5s }, b: { at: 'http://127.0.0.1:2', timeout: 7s } }
limits: { body-max: 1MiB }
gateway:
  trusted: [10.0.0.0/8, '::1']
  connections-per-address: 100
  access-log: log/access.jsonl
  routes:
    - name: checkout
      match: { path: '/checkout/{id}', method: [GET, POST], host: '*.shop.example', headers: { X-Group: '~b.*' },
               query: { v: '2' }, cookie: { beta: '*' }, claim: { realm.roles: admin }, when: 'has(claims.sub)' }
      to: [ 'a:/v2/{id}?x={query.y}', { service: b, weight: 3 } ]
      sticky: cookie(user)
      split: checkout
      headers: { request: { set: { x-user: '{claim.sub}', authorization: '${env:SECRET}' }, remove: cookie },
                 response: { add: { x-route: '{route}' } } }
      cors: { origins: 'https://shop.example', credentials: true, max-age: 60s }
      deprecated: { since: 2026-01-01T00:00:00Z, sunset: 2027-01-01T00:00:00Z, gone: true }
      total: 1m
      stream-grace: 5s
      websocket: 60s
    - match: { regex: '^/v[0-9]+/(?<rest>.*)$' }
      to: a
      rewrite: { regex: '^/v([0-9]+)/(.*)$', with: '/{2}/{1}', host: a.local }
      timeout: 1s
    - { match: GET /old/*, redirect: https }
    - { match: /maintenance, answer: { status: 503, body: later, content-type: text/plain } }
    - { match: /api/*, to: b, rewrite: { path-prefix: /internal }, body-max: 2KiB }
    - match: GET /whole/{id}
      compose:
        order: { get: 'a:/orders/{id}' }
        stock: { get: 'b:/stock/{order.sku}', need: optional, on-error: null, timeout: 300ms }
        reply: { $: order, availability: stock.available }
        status: { partial: 206 }
    - match: POST /shaped
      to: a
      request: { body: { out: xml, map: { Order: { map: { sku: sku! } } } }, query: { map: { n: 'query.n?' } } }
      response: { body: { in: xml, map: { id: 'Order/@id!' } }, status: { 404: 410 } }
      validate: { body: { type: object }, query: { required: [n] } }
      openapi: { document: { openapi: 3.1.0, paths: { /shaped: { post: {} } } }, base: /api }
      compress: { codings: gzip, types: [text/*], min: 100B }
      cache: { max: 1MiB, entry-max: 64KiB, fresh: 1m, by: x-tenant, stale-while-revalidate: 5s, stale-if-error: 1h }
    - { match: /plain, to: a, compress: true, cache: false, clients: { allow: 10.0.0.0/8, deny: [10.1.0.0/16, '::1'] } }
";

#[test]
fn every_key_of_a_route_reaches_the_gateway() {
    let loaded = read(ALL).unwrap();
    let gateway = loaded.app.gateway.as_ref().unwrap();
    assert!(gateway.access_log.as_ref().unwrap().to.ends_with("/log/access.jsonl"));
    assert_eq!((gateway.trusted.len(), gateway.connections_per_address.get()), (2, 100));
    let clients = gateway.routes.last().unwrap().clients.as_ref().unwrap();
    assert_eq!((clients.allow.len(), clients.deny.len()), (1, 2));
    let [checkout, regex, old, maintenance, api, whole, shaped, plain] = gateway.routes.as_slice() else {
        panic!()
    };
    assert_eq!((checkout.to[1].service.as_str(), checkout.to[1].weight, checkout.to[0].weight), ("b", 3, 1));
    // Of its services' time-outs the longest, unless the route has its own.
    assert_eq!((checkout.timeout.as_secs(), regex.timeout.as_secs(), api.timeout.as_secs()), (7, 1, 7));
    let composed: Vec<&str> = whole.compose.iter().flat_map(Compose::services).collect();
    assert_eq!((composed, whole.timeout.as_secs()), (vec!["a", "b"], 7));
    assert_eq!((checkout.body_max, api.body_max), (1 << 20, 2 << 10));
    assert_eq!(checkout.headers.request.set["authorization"], "hunter2 is no port");
    assert_eq!((checkout.total.unwrap().as_secs(), checkout.stream_grace.as_secs()), (60, 5));
    assert_eq!(checkout.websocket.unwrap().as_secs(), 60);
    assert_eq!(
        (old.redirect.as_ref().unwrap().status, maintenance.answer.as_ref().unwrap().status),
        (307, 503)
    );
    let (compress, cache) = (shaped.compress.as_ref().unwrap(), shaped.cache.as_ref().unwrap());
    assert_eq!((compress.codings.as_slice(), compress.min), (&["gzip".to_owned()][..], 100));
    assert_eq!((cache.max, cache.fresh.unwrap().as_secs(), cache.by[0].as_str()), (1 << 20, 60, "x-tenant"));
    assert!(shaped.request.is_some() && shaped.response.is_some() && shaped.validate.is_some());
    assert_eq!(shaped.openapi.as_ref().unwrap().base.as_deref(), Some("/api"));
    assert_eq!((plain.compress.as_ref().unwrap().codings.len(), plain.cache.is_some()), (3, false));
    RouteTable::compile(&gateway.routes).unwrap();
    for shown in [&loaded.expanded, &format!("{:?}", loaded.app)] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let again = read(&loaded.expanded).unwrap_or_else(|mistakes| panic!("{}\n{mistakes}", loaded.expanded));
    assert_eq!((again.expanded, &again.app.gateway.unwrap().routes), (loaded.expanded, &gateway.routes));
}

#[test]
fn what_the_gateway_refuses_is_shown_where_it_stands() {
    let head = "app: a\nservices: { a: { run: x, port: 1 } }\ngateway:\n  routes:\n";
    let help = "docs/gateway.md says what a route can hold; `dozen explain` shows what becomes of a request";
    for (route, at, wrong) in [
        ("    - { match: { regex: '(' }, to: a }", "'('", "`(` is no regular expression: unclosed group"),
        (
            "    - { match: /a, to: a, sticky: user }",
            "user }",
            "`user` is no key; write `cookie(user)`, `header(x-user)`, `claim(sub)`, `consumer` or `address`",
        ),
        (
            "    - { match: /a, redirect: { to: /b, status: 303 } }",
            "/b,",
            "`/b` has the status 303; a redirect has 301, 302, 307 or 308",
        ),
        (
            "    - { match: /a, to: a, headers: { request: { set: { Host: b } } } }",
            "Host:",
            "`Host` is a header that the gateway itself is responsible for; `rewrite: { host: … }` changes the host",
        ),
        (
            "    - { match: /a }",
            "/a }",
            "`/a` leads nowhere; give it `to`, `feature`, `redirect`, `answer` or `compose`",
        ),
        (
            "    - { match: /a, compose: { a: { get: 'a:/{b.x}' } } }",
            "{ a: {",
            "`compose.a.get` refers to `b.x`, and there is no such call and nothing of the request; did you mean `a`?",
        ),
        (
            "    - { match: /a, to: a, request: { body: { map: { a: b } } } }",
            "{ body:",
            "`request.body.map.a` `b` may be missing, and `b` may be there several times; say what happens then: \
             `required: true` fails the translation, `default:` stands in, and `count: optional` leaves the field out",
        ),
        (
            "    - { match: /a, to: a, validate: { query: { type: obj } } }",
            "{ type: obj",
            "`validate.query` is no JSON Schema: at `/type`",
        ),
        (
            "    - { match: { when: 'a b' , path: /a }, to: a }",
            "'a b'",
            "`a b` is no condition: line 1, column 3: `b` cannot stand here",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let said = super::read_in(&folder, &format!("{head}{route}\n")).expect_err(route).to_string();
        let first = said.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("error: {wrong}")), "{said}");
        let column = route.find(at).unwrap() + 1;
        assert!(said.contains(&format!("--> dozen.yaml:5:{column}\n")) && said.contains(help), "{said}");
    }
    mistake(
        &format!(
            "{head}    - {{ match: {{ path: /a, when: 'has(claims.x)' }}, to: a }}\n    - {{ match: {{ when: 'has(claims.x)', path: /a }}, to: a }}\n"
        ),
        "6:47",
        "another route, on line 5, takes the same requests",
        "remove one, or tell them apart by path, method, host, header or query",
    );
    // What a placeholder stands for is not repeated.
    let said =
        read(&format!("{head}    - {{ match: /a, redirect: '${{env:SECRET}}' }}")).unwrap_err().to_string();
    assert!(said.contains("`${env:SECRET}` cannot stand here") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_composition_asks_only_services_that_are_there() {
    let head = "app: a\nservices: { stock: { run: x, port: 1 } }\ngateway:\n  routes:\n";
    mistake(
        &format!("{head}    - {{ match: /a, compose: {{ a: {{ get: 'stok:/x' }} }} }}\n"),
        "5:29",
        "there is no service `stok`",
        "did you mean `stock`?",
    );
}
