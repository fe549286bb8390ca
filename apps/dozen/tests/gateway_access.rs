//! Who may, and how often: through `dozen up`, from the file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod door;
mod running;

use std::process::Command;
use std::time::{Duration, Instant};

use door::Door;
use running::PATIENCE;

// Tokens of HS256 that expire in the year 2100.

/// `alice`, in the group `beta`.
const ALICE: &str = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJzaG9wIiwic3ViIjoiYWxpY2UiLCJzY29wZSI6Im9yZGVycy5yZWFkIiwiZ3JvdXAiOiJiZXRhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.w-BuzPMoCFqFk2D-Gjjeofg_w7Lu9qOSRyd4v2Feo2M";
/// `bob`, in none.
const BOB: &str = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJzaG9wIiwic3ViIjoiYm9iIiwiZXhwIjo0MTAyNDQ0ODAwfQ.A9_TfszS4rti3dcXYFLfgvYKr0zzKDrTDgSQQfF-dPk";

/// A key of `dozen key new`, and its hash.
fn new_key() -> (String, String) {
    let made = Command::new(env!("CARGO_BIN_EXE_dozen")).args(["key", "new"]).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["key", key, "hash", hash] = words.as_slice() else { panic!("{text}") };
    ((*key).to_owned(), (*hash).to_owned())
}

fn file(gateway: u16, hash: &str, rule: &str) -> String {
    format!(
        "gateway:\n  listen: 127.0.0.1:{gateway}\n  access-log: access.jsonl\n  identity:\n    \
           web: {{ jwt: {{ audience: shop, keys: {{ secret: '${{env:ID_SECRET}}' }} }} }}\n    \
           partner: {{ key: x-api-key }}\n  \
         consumers: {{ mobile: {{ key: '{hash}', plan: free }} }}\n  \
         plans: {{ free: {{ limit: 3/1h }} }}\n  \
         routes:\n    \
           /token: {{ answer: {{ body: '{{claim.sub}}' }}, auth: {{ any: web, require: \"{rule}\" }} }}\n    \
           /key: {{ answer: {{ body: '{{consumer}}' }}, auth: partner }}\n    \
           /either: {{ answer: {{ body: ok }}, auth: [web, partner], limit: {{ rate: 2/1h, per: {{ claim: sub }}, shared: true }} }}\n"
    )
}

#[test]
fn gw_m2_dozen_up_authenticates_and_authorizes_by_the_file_and_takes_another_rule_over() {
    let (key, hash) = new_key();
    let door = Door::open(|gateway| file(gateway, &hash, "claims.group == 'beta'"));
    let (alice, bob) = (format!("Bearer {ALICE}"), format!("Bearer {BOB}"));
    let (alice, bob) = ([("authorization", alice.as_str())], [("authorization", bob.as_str())]);
    let answer = door.ask("/token", &alice);
    assert_eq!((answer.status, answer.text().as_str()), (200, "alice"));
    assert_eq!((door.ask("/token", &bob).status, door.ask("/token", &[]).status), (403, 401));
    let answer = door.ask("/key", &[("x-api-key", &key)]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "mobile"));
    assert_eq!(door.ask("/key", &[("x-api-key", "dzn_guess")]).status, 401);
    let tampered = format!("{}x", alice[0].1);
    assert_eq!(door.ask("/token", &[("authorization", &tampered)]).status, 401);
    let page = door.metrics();
    for line in [
        "dozen_gateway_refused_total{route=\"/token\",reason=\"missing\"} 1\n",
        "dozen_gateway_refused_total{route=\"/key\",reason=\"api_key\"} 1\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    let before = std::fs::read_to_string(door.up.folder.path().join("dozen.yaml")).unwrap();
    door.up.write(&before.replace("claims.group == 'beta'", "claims.sub == 'bob'"));
    door.up.hear("the file was taken over");
    assert_eq!((door.ask("/token", &alice).status, door.ask("/token", &bob).status), (403, 200));
    let log = door.up.folder.path().join("access.jsonl");
    let until = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&log).unwrap().contains("\"consumer\":\"mobile\",\"refused\":null") {
        assert!(Instant::now() < until, "{}", std::fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn gw_m3_dozen_up_limits_a_plan_and_a_route_and_tells_the_client() {
    let (key, hash) = new_key();
    let door = Door::open(|gateway| file(gateway, &hash, "true"));
    let with_key = [("x-api-key", key.as_str())];
    let statuses: Vec<u16> =
        ["/key", "/either", "/key", "/key"].iter().map(|path| door.ask(path, &with_key).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429], "a plan is for all routes together");
    let alice = format!("Bearer {ALICE}");
    let answer = door.ask("/either", &[("authorization", &alice)]);
    assert_eq!((answer.status, answer.header("ratelimit-policy")), (200, Some("\"claim\";q=2;w=3600")));
    assert!(answer.header("ratelimit").unwrap().starts_with("\"claim\";r=1;"));
    assert_eq!(door.ask("/either", &[("authorization", &alice)]).status, 200);
    let refused = door.ask("/either", &[("authorization", &alice)]);
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(door.ask("/either", &[("authorization", &format!("Bearer {BOB}"))]).status, 200);
}
