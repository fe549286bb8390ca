//! Features among faults: a new side that hangs up, answers half or not at all, a store that goes away, a file that changes
//! all the time. Whoever is served by the other side notices nothing; whom the new side serves gets the old one back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::spawn;
use std::time::{Duration, Instant};

use dozen_faults::{LOOK, PATIENCE, Place, Up, origin, ports, program};
use dozen_harness::{Asked, Load, Postgres, request};

/// What the new side does with each request.
const ANSWERS: u8 = 0;
const HANGS_UP: u8 = 1;
const ANSWERS_HALF: u8 = 2;
const HANGS: u8 = 3;

/// A service that behaves as it is told; gives its port.
fn moody(mood: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming().flatten() {
            let mood = mood.clone();
            spawn(move || behave(stream, &mood));
        }
    });
    port
}

fn behave(mut stream: TcpStream, mood: &AtomicU8) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..count]);
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            bytes.drain(..end + 4);
            let answer: &[u8] = match mood.load(Ordering::SeqCst) {
                ANSWERS => b"HTTP/1.1 200 OK\r\nx-side: new\r\ncontent-length: 2\r\n\r\nok",
                ANSWERS_HALF => b"HTTP/1.1 200 OK\r\nx-side: new\r\ncontent-length: 20\r\n\r\nok",
                HANGS => {
                    // Until whoever asks has had enough.
                    while matches!(stream.read(&mut chunk), Ok(1..)) {}
                    return;
                }
                _ => return,
            };
            if stream.write_all(answer).is_err() || mood.load(Ordering::SeqCst) == ANSWERS_HALF {
                return;
            }
        }
    }
}

struct World {
    place: Place,
    up: Up,
    file: String,
    gateway: u16,
    api: u16,
    mood: Arc<AtomicU8>,
}

impl World {
    fn new(store: &str) -> Self {
        let (first, mood) = (ports(3), Arc::new(AtomicU8::new(ANSWERS)));
        let (gateway, api) = (first, first + 1);
        let file = format!(
            r#"
app: test
store: "{store}"
registry: {{ listen: "127.0.0.1:{}" }}
console: false
api: {{ listen: "127.0.0.1:{api}" }}
services:
  old: {{ at: "http://127.0.0.1:{}", sidecar: false }}
  new: {{ at: "http://127.0.0.1:{}", sidecar: false, timeout: 2s }}
features:
  all:
    old: old
    new: new
    match: "/{{*rest}}"
    stages: [shadow, compare, 50%, complete]
    advance: {{ automatic: false, samples: 40 }}
    compare: {{ confirm-after: 1ms, noise: {{ samples: 2 }} }}
gateway:
  listen: 127.0.0.1:{gateway}
  routes: {{ /nothing: old }}
"#,
            first + 2,
            origin(|_| Some("ok".into())),
            moody(mood.clone()),
        );
        let place = Place::new(&file);
        let up = place.up().ready();
        Self { place, up, file, gateway, api, mood }
    }

    /// `dozen feature …`; gives what it prints.
    fn feature(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program("dozen"));
        self.place.mark(command.arg("feature").args(arguments));
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        told
    }

    fn to(&self, stage: &str) {
        self.feature(&["to", "all", stage, "--why", "a test", "--by", "ann"]);
    }
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
fn whoever_watches_may_hang_up_answer_half_or_hang_and_the_store_may_go_and_no_request_fails() {
    let server = Postgres::start(&[]).unwrap();
    let world = World::new(&server.url(&server.fresh_database().unwrap()));
    world.to("compare");
    let load = Load::start(&Asked::of(world.gateway, "/price"), 4);
    load.passes(200);
    for mood in [HANGS_UP, ANSWERS_HALF, HANGS] {
        world.mood.store(mood, Ordering::SeqCst);
        load.passes(500);
    }
    soon("the new side's failures are seen", || {
        let shown = world.feature(&["show", "all"]);
        shown.contains("fail errors: the new side failed")
    });
    server.stop().unwrap();
    load.passes(300);
    world.mood.store(ANSWERS, Ordering::SeqCst);
    load.passes(300);
    server.resume().unwrap();
    load.passes(300);
    soon("it hears of orders again", || {
        world.feature(&["kill", "all", "--why", "a test"]);
        world.feature(&["show", "all"]).contains("switched off")
    });
    println!("{:?}", load.end().unwrap());
    world.up.stop();
}

#[test]
fn a_file_that_changes_every_100_ms_with_a_feature_under_load_fails_no_request_and_forgets_no_count() {
    let world = World::new("sqlite:test.db");
    world.to("compare");
    let load = Load::start(&Asked::of(world.gateway, "/price"), 4);
    load.passes(200);
    for reload in 0..30 {
        // Other bounds, and the feature without its first stage, in turn.
        let other = world.file.replace("samples: 40", &format!("samples: {}", 50 + reload));
        let file = if reload % 2 == 0 { other } else { other.replace("[shadow, compare", "[compare") };
        std::fs::write(world.place.file("next"), file).unwrap();
        std::fs::rename(world.place.file("next"), world.place.file("dozen.yaml")).unwrap();
        let url = format!("http://127.0.0.1:{}/dozen/v1/reload", world.api);
        let reply = request("POST", &url, &[], b"").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        std::thread::sleep(Duration::from_millis(100));
    }
    let served = load.end().unwrap();
    soon("every request is counted", || {
        let shown: serde_json::Value =
            serde_json::from_str(&world.feature(&["show", "all", "--json"])).unwrap();
        shown["feature"]["used"]["old"].as_u64() == Some(served.answered as u64)
    });
    println!("{served:?}");
    world.up.stop();
}

#[test]
fn a_new_side_that_hangs_up_or_answers_half_after_the_move_gives_the_traffic_back() {
    for mood in [HANGS_UP, ANSWERS_HALF] {
        let world = World::new("sqlite:test.db");
        world.to("complete");
        let url = format!("http://127.0.0.1:{}/price", world.gateway);
        let served_by = |side: Option<&str>| {
            let reply = request("GET", &url, &[], b"");
            reply.is_ok_and(|reply| reply.status == 200 && reply.header("x-side") == side)
        };
        soon("the new side serves", || served_by(Some("new")));
        (0..20).for_each(|_| assert!(served_by(Some("new"))));
        world.mood.store(mood, Ordering::SeqCst);
        let begun = Instant::now();
        soon("the old side serves again", || served_by(None));
        println!("mood {mood}: after {:?}", begun.elapsed());
        let journal = world.feature(&["journal", "all"]);
        assert!(journal.contains("gate"), "{journal}");
        world.up.stop();
    }
}
