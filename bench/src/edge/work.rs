//! What a gateway's work costs: `dozen up` with a file that asks for all of it, beside one that only forwards.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use super::load::closed;
use super::{dozen, origin};
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

const CONNECTIONS: u32 = 32;
/// How long one sample lasts.
const SECONDS: u32 = 3;
const ANSWER: &str = "1k";
/// Which of the two works.
const WORKING: usize = 1;
/// Per cent that may be lost.
const TARGET: f64 = 15.0;

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    let (_origin, origin) = origin::start(folder.path())?;
    let start = |name: &str, gateway| dozen::start(&folder.path().join(name), gateway, origin);
    let both = [start("plain", plain())?, start("working", working())?];
    // The same requests for both of them.
    let fields = [format!("authorization: Bearer {}", token()), "cookie: session=4711".to_owned()];
    for (_, at) in &both {
        closed(*at, ANSWER, CONNECTIONS, 1, &fields)?;
    }
    let (mut rates, mut logged) = ([Vec::new(), Vec::new()], 0.0);
    for round in 0..context.rounds {
        for turn in 0..both.len() {
            let which = (turn + round) % both.len();
            let (process, at) = &both[which];
            let before = process.cpu();
            let requests = closed(*at, ANSWER, CONNECTIONS, SECONDS, &fields)?;
            let used = process.cpu().saturating_sub(before);
            logged += if which == WORKING { requests } else { 0.0 };
            rates[which].push(requests / used.as_secs_f64().max(0.01));
        }
        let [plain, working] = [rates[0][round], rates[1][round]];
        eprintln!("  round {} of {}: plain {plain:.0}, working {working:.0}", round + 1, context.rounds);
    }
    // Stopped, so that the last lines are written.
    drop(both);
    let lines = lines(&folder.path().join("working/access.jsonl"))?;
    if lines < 0.99 * logged {
        return Err(
            format!("the access log has {lines} lines of {logged} requests: work was left out").into()
        );
    }
    let [plain, working] = rates;
    let lost = plain.iter().zip(&working).map(|(plain, working)| 100.0 * (1.0 - working / plain)).collect();
    Ok(Measured::of(vec![Figure {
        name: "edge.work.lost".into(),
        measured: median(lost),
        unit: "%".into(),
        target: Target::AtMost(TARGET),
        note: format!(
            "requests per CPU-second of `dozen up` with a verified token known again, a limit by claim, changed headers both \
             ways, metrics and access log: {:.0}; only forwarding, the same requests: {:.0}; 1 KiB, {CONNECTIONS} connections (wrk)",
            median(working),
            median(plain)
        ),
    }]))
}

/// How many lines a file has, which may be large.
fn lines(path: &Path) -> Result<f64, Failure> {
    let mut file = BufReader::with_capacity(1024 * 1024, File::open(path)?);
    let mut count = 0;
    loop {
        let room = file.fill_buf()?;
        if room.is_empty() {
            return Ok(count as f64);
        }
        count += room.iter().filter(|byte| **byte == b'\n').count();
        let length = room.len();
        file.consume(length);
    }
}

fn plain() -> Value {
    json!({ "routes": [{ "match": { "path": "/{*rest}" }, "to": "origin" }] })
}

/// Everything that the figure asks for. What the limit allows is never reached.
fn working() -> Value {
    json!({
        "access-log": "access.jsonl",
        "identity": { "web": { "jwt": { "audience": "edge", "keys": { "secret": "${env:EDGE_SECRET}" } } } },
        "routes": [{
            "match": { "path": "/{*rest}" },
            "to": "origin",
            "auth": "web",
            "limit": { "rate": "1000000000/1h", "per": { "claim": "sub" } },
            "headers": {
                "request": { "set": { "x-user": "{claim.sub}" }, "remove": "cookie" },
                "response": { "set": { "cache-control": "no-store" }, "remove": "etag" },
            },
        }],
    })
}

/// A token that is good until the year 2100, of the usual size.
fn token() -> String {
    let claims = json!({
        "iss": "https://id.shop.example", "aud": "edge", "sub": "alice", "exp": 4_102_444_800_u64,
        "scope": "orders.read orders.write", "email": "alice@shop.example", "groups": ["beta", "staff"],
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, dozen::SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}
