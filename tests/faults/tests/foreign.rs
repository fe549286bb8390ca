//! Systems of others that hang, reset, answer half, answer twice or nonsense, behind translators of a running `dozen up`: a caller
//! hears what it was in our words and in time, nobody gets what was meant for another, and well systems are asked meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::spawn;
use std::time::{Duration, Instant};

use dozen_faults::{Place, Up, ports};
use dozen_harness::{Reply, get};

/// How long a provider may take.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A server that does to each request what its path says. It ends with the test.
fn sick() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            spawn(move || suffer(stream.unwrap()));
        }
    });
    port
}

fn suffer(mut stream: TcpStream) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let answer = |body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        };
        let whole = answer(&format!("{{\"asked\":\"{path}\"}}"));
        let said = match path.split('/').nth(1).unwrap() {
            // The request stays unanswered for as long as somebody waits.
            "hang" => continue,
            "reset" => return,
            "half-head" => {
                let _ = stream.write_all(&whole.as_bytes()[..30]);
                return;
            }
            "half-body" => {
                let _ = stream.write_all(&whole.as_bytes()[..whole.len() - 4]);
                return;
            }
            "trickle" => {
                for byte in whole.bytes() {
                    if stream.write_all(&[byte]).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                continue;
            }
            "nonsense" => "SSH-2.0-OpenSSH_9.2\r\n\r\n".into(),
            "twice" => format!("{whole}{}", answer(r#"{"asked":"what nobody asked"}"#)),
            _ => whole,
        };
        if stream.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
}

struct Door {
    up: Up,
    _place: Place,
    gateway: u16,
}

impl Door {
    /// Routes `/HOW/KEY` to translators that ask the sick server for just that, and then a well one where `/then` says so.
    fn open() -> Self {
        let first = ports(2);
        let (sick, well) = (sick(), sick());
        let place = Place::new(&format!(
            r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{}" }}
console: false
api: false
services:
  sick: {{ at: "http://127.0.0.1:{sick}", sidecar: false }}
  well: {{ at: "http://127.0.0.1:{well}", sidecar: false }}
providers:
  sick: {{ timeout: {}ms, circuit: {{ failure-percent: 100, requests-min: 1000 }} }}
  well:
translators:
  one:
    calls: {{ it: {{ ask: {{ provider: sick, request: {{ path: "/{{how}}/{{key}}" }} }} }} }}
  then:
    calls:
      it:
        ask:
          - {{ provider: sick, request: {{ path: "/{{how}}/{{key}}" }} }}
          - {{ provider: well, request: {{ path: "/well/{{key}}" }} }}
gateway:
  listen: 127.0.0.1:{first}
  routes:
    "GET /one/{{how}}/{{key}}": "one:/?how={{how}}&key={{key}}"
    "GET /then/{{how}}/{{key}}": "then:/?how={{how}}&key={{key}}"
"#,
            first + 1,
            TIMEOUT.as_millis(),
        ));
        Self { up: place.up().ready(), _place: place, gateway: first }
    }

    fn ask(&self, path: &str) -> Reply {
        get(&format!("http://127.0.0.1:{}{path}", self.gateway)).unwrap()
    }
}

#[test]
fn a_system_that_hangs_resets_or_answers_half_is_a_problem_in_time_and_the_next_one_answers() {
    let door = Door::open();
    for (how, status, kind) in [
        ("hang", 504, "provider-late"),
        ("trickle", 504, "provider-late"),
        ("reset", 503, "provider-unavailable"),
        ("half-head", 503, "provider-unavailable"),
        ("half-body", 503, "provider-unavailable"),
        ("nonsense", 503, "provider-unavailable"),
    ] {
        let began = Instant::now();
        let said = door.ask(&format!("/one/{how}/a"));
        assert_eq!(said.status, status, "{how}: {}", said.text());
        assert!(said.text().contains(&format!("urn:dozen:problem:{kind}")), "{how}: {}", said.text());
        assert!(began.elapsed() < TIMEOUT * 6, "{how} took {:?}", began.elapsed());
        let said = door.ask(&format!("/then/{how}/b"));
        assert_eq!((said.status, said.text().as_str()), (200, r#"{"asked":"/well/b"}"#), "{how}");
    }
    door.up.stop();
}

#[test]
fn a_second_answer_is_nobodys_answer() {
    let door = Door::open();
    for turn in 0..20 {
        let said = door.ask(&format!("/one/twice/{turn}"));
        assert_eq!(said.text(), format!("{{\"asked\":\"/twice/{turn}\"}}"), "{}", said.status);
        let said = door.ask(&format!("/one/well/{turn}"));
        assert_eq!(said.text(), format!("{{\"asked\":\"/well/{turn}\"}}"), "{}", said.status);
    }
    door.up.stop();
}

#[test]
fn those_who_wait_for_a_system_that_hangs_keep_nobody_from_a_well_one() {
    let door = Door::open();
    let gateway = door.gateway;
    let waiting: Vec<_> = (0..24)
        .map(|key| spawn(move || get(&format!("http://127.0.0.1:{gateway}/one/hang/{key}")).unwrap().status))
        .collect();
    while !waiting.iter().all(|one| one.is_finished()) {
        let began = Instant::now();
        assert_eq!(door.ask("/one/well/x").status, 200);
        assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    }
    assert!(waiting.into_iter().all(|one| one.join().unwrap() == 504));
    door.up.stop();
}
