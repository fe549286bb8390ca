//! What the gateway asks goes away and comes back while traffic flows: the store, the keys of tokens, the names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::spawn;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use dozen_faults::{LOOK, PATIENCE, Place, Up, origin, ports, program};
use dozen_harness::{Asked, Load, Postgres, request};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

fn ok() -> u16 {
    origin(|_| Some("ok".into()))
}

fn status(port: u16, path: &str, headers: &[(&str, &str)]) -> u16 {
    request("GET", &format!("http://127.0.0.1:{port}{path}"), headers, b"").unwrap().status
}

/// Returns when it holds, which must be soon.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(LOOK);
    }
}

#[test]
fn a_store_that_goes_away_and_comes_back_costs_no_request_and_no_restart() {
    let server = Postgres::start(&[]).unwrap();
    let store = server.url(&server.fresh_database().unwrap());
    let first = ports(2);
    let place = Place::new(&format!(
        r#"
app: test
store: "{store}"
registry: {{ listen: "127.0.0.1:{first}" }}
console: false
api: false
services: {{ web: {{ at: "http://127.0.0.1:{}", sidecar: false }} }}
gateway:
  listen: 127.0.0.1:{}
  routes: {{ /: {{ to: web, limit: {{ rate: 1000000/1s, shared: true, sync: 20ms }} }} }}
"#,
        ok(),
        first + 1
    ));
    let up = place.up().ready();
    let load = Load::start(&Asked::of(first + 1, "/"), 4);
    load.passes(300);
    for _ in 0..2 {
        server.stop().unwrap();
        load.passes(300);
        server.resume().unwrap();
        load.passes(300);
    }
    server.kill9();
    load.passes(300);
    server.resume().unwrap();
    load.passes(300);
    println!("{:?}", load.end().unwrap());
    up.stop();
}

/// An issuer of tokens, with one key at a time.
struct Issuer {
    pair: EcdsaKeyPair,
    name: String,
}

impl Issuer {
    fn new(name: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { pair, name: name.into() }
    }

    /// Its public key as RFC 7517 has it.
    fn key(&self) -> String {
        let point = self.pair.public_key().as_ref(); // 4, then two coordinates
        let [x, y] = [&point[1..33], &point[33..65]].map(|part| BASE64.encode(part));
        format!(
            r#"{{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"{}","x":"{x}","y":"{y}"}}"#,
            self.name
        )
    }

    /// `Bearer`, and a token for `subject` that expires in the year 2100.
    fn token(&self, subject: &str) -> String {
        let part = |json: String| BASE64.encode(json);
        let head = part(format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.name));
        let claims = part(format!(r#"{{"aud":"shop","sub":"{subject}","exp":4102444800}}"#));
        let signed = format!("{head}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("Bearer {signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

#[test]
fn keys_that_cannot_be_fetched_are_used_on_and_new_ones_are_found_when_they_can_be() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (is_away, is_rotated) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let fetched = Arc::new(AtomicUsize::new(0));
    let keys = {
        let (is_away, is_rotated, fetched) = (is_away.clone(), is_rotated.clone(), fetched.clone());
        let [before, after] = [old.key(), format!("{},{}", old.key(), new.key())];
        origin(move |_| {
            fetched.fetch_add(1, Ordering::SeqCst);
            let keys = if is_rotated.load(Ordering::SeqCst) { &after } else { &before };
            (!is_away.load(Ordering::SeqCst)).then(|| format!(r#"{{"keys":[{keys}]}}"#))
        })
    };
    let first = ports(2);
    let gateway = first + 1;
    let place = Place::new(&format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{first}" }}
console: false
api: false
services: {{ web: {{ at: "http://127.0.0.1:{}", sidecar: false }} }}
gateway:
  listen: 127.0.0.1:{gateway}
  identity:
    web: {{ jwt: {{ audience: shop, refresh: 1s, cool-down: 1s, timeout: 1s, keys: "http://127.0.0.1:{keys}/" }} }}
  routes: {{ /: {{ to: web, auth: {{ any: [web] }} }} }}
"#,
        ok()
    ));
    let up = place.up().ready();
    let headers = format!("authorization: {}\r\n", old.token("alice"));
    soon("the first keys come", || status(gateway, "/", &[("authorization", &old.token("alice"))]) == 200);
    let load = Load::start(&Asked { headers, ..Asked::of(gateway, "/") }, 4);
    load.passes(200);

    is_away.store(true, Ordering::SeqCst);
    is_rotated.store(true, Ordering::SeqCst);
    let asked = fetched.load(Ordering::SeqCst);
    soon("the keys are asked for in vain", || fetched.load(Ordering::SeqCst) >= asked + 2);
    load.passes(200);
    // A token that nobody has verified yet, signed by a key that is known; and one by a key that nobody knows.
    let by = |issuer: &Issuer| status(gateway, "/", &[("authorization", &issuer.token("bob"))]);
    assert_eq!(by(&old), 200);
    assert!(matches!(by(&new), 401 | 503), "{}", by(&new));

    is_away.store(false, Ordering::SeqCst);
    soon("the new key is found", || by(&new) == 200);
    load.passes(200);
    println!("{:?}", load.end().unwrap());
    up.stop();
}

/// A DNS server on port 53 of 127.0.0.77 that knows one name, for as long as `is_there`. `None` where that port is not
/// to be had.
fn dns(is_there: Arc<AtomicBool>) -> Option<()> {
    let socket = UdpSocket::bind("127.0.0.77:53").ok()?;
    spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
            let query = &bytes[..length];
            // The name ends with an empty label; a type and a class of two bytes each follow (RFC 1035 §4.1.2).
            let Some(end) = query.iter().skip(12).position(|byte| *byte == 0).map(|at| 12 + at + 5) else {
                continue;
            };
            if !is_there.load(Ordering::SeqCst) || query.len() < end {
                continue;
            }
            let is_address = query[end - 4..end - 2] == [0, 1];
            let mut answer = query[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
            if is_address {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, peer);
        }
    });
    Some(())
}

#[test]
fn a_name_that_is_not_resolved_for_a_while_is_its_own_routes_trouble_alone() {
    let is_there = Arc::new(AtomicBool::new(true));
    if dns(is_there.clone()).is_none() {
        return println!("skipped: only root may listen on port 53, where names are asked for");
    }
    let first = ports(2);
    let gateway = first + 1;
    // Each connection is for one request, so that each request asks for the name.
    let named = origin(|_| None);
    let place = Place::new(&format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{first}" }}
console: false
api: false
services:
  web: {{ at: "http://127.0.0.1:{}", sidecar: false }}
  named: {{ at: "http://shop.test:{}", sidecar: false }}
  gone: {{ at: "http://shop.test:{named}", sidecar: false }}
gateway:
  listen: 127.0.0.1:{gateway}
  routes: {{ /: web, /named: named, /gone: gone }}
"#,
        ok(),
        ok()
    ));
    for (name, content) in [
        ("resolv.conf", "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n"),
        ("nsswitch.conf", "hosts: dns\n"),
    ] {
        std::fs::write(place.file(name), content).unwrap();
    }
    // Only this process sees these files.
    let script = "mount --bind resolv.conf /etc/resolv.conf && mount --bind nsswitch.conf /etc/nsswitch.conf && exec \"$0\" up";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(program("dozen"));
    place.mark(&mut command);
    let allowed =
        Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !allowed {
        return println!(
            "skipped: files of /etc cannot be other ones for one process here (`unshare --mount`)"
        );
    }
    let up = Up::start(command).ready();
    soon("the name is resolved", || status(gateway, "/named", &[]) == 200);
    let load = Load::start(&Asked::of(gateway, "/"), 4);
    load.passes(200);

    is_there.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    let asking: Vec<_> = (0..40).map(|_| spawn(move || status(gateway, "/gone", &[]))).collect();
    load.passes(500);
    let told: Vec<u16> = asking.into_iter().map(|asked| asked.join().unwrap()).collect();
    assert!(told.iter().all(|status| matches!(status, 502..=504)), "{told:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    is_there.store(true, Ordering::SeqCst);
    soon("the name is resolved again", || status(gateway, "/named", &[]) == 200);
    load.passes(200);
    println!("{:?}", load.end().unwrap());
    up.stop();
}
