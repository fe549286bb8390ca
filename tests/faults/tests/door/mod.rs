//! A gateway among others who ask it, with routes as people have them: plain, with a key and a limit, composed, a stream.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use dozen_faults::{PATIENCE, Place, Up, origin, ports};
use dozen_harness::{Asked, Load, request};

/// The key of a consumer, whose hash is in the file.
pub(crate) const KEY: &str = "dzn_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const KEY_HASH: &str = "sha256:ec1cbeead6cc669b4ed3052f3e68c852fe8f569b66a6a5922c23ee2e0224319d";

/// A gateway with services behind it.
pub(crate) struct Door {
    pub(crate) up: Up,
    place: Place,
    pub(crate) gateway: u16,
    api: u16,
    /// Where `web` is: in one place and the other in turn.
    web: [u16; 2],
    events: u16,
}

impl Door {
    pub(crate) fn open() -> Self {
        let first = ports(3);
        let web = [origin(|_| Some("{\"ok\": 1}".into())), origin(|_| Some("{\"ok\": 2}".into()))];
        let events = events();
        let place = Place::new(&file(first, web, events, 0));
        Self { up: place.up().ready(), place, gateway: first, api: first + 1, web, events }
    }

    /// Puts the file of this number in place, and has it taken over.
    pub(crate) fn reload(&self, number: u64) {
        let text = file(self.gateway, self.web, self.events, number);
        std::fs::write(self.place.file("next"), text).unwrap();
        std::fs::rename(self.place.file("next"), self.place.file("dozen.yaml")).unwrap();
        let reload = format!("http://127.0.0.1:{}/dozen/v1/reload", self.api);
        let reply = request("POST", &reload, &[], b"").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(crate) fn load(&self, clients: usize) -> Load {
        Load::start(&Asked::of(self.gateway, "/"), clients)
    }

    /// Bytes of memory that the process has.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.up.0.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }
}

/// The file of this number: with each, `web` is elsewhere, and with every other one there are a service and a route more.
fn file(first: u16, web: [u16; 2], events: u16, number: u64) -> String {
    let is_odd = number % 2 == 1;
    let more = |text: &str| if is_odd { text.to_owned() } else { String::new() };
    format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{}" }}
console: false
api: {{ listen: "127.0.0.1:{}" }}
services:
  web: {{ at: "http://127.0.0.1:{}", timeout: {}s }}
  events: {{ at: "http://127.0.0.1:{events}" }}
{}gateway:
  listen: 127.0.0.1:{first}
  identity: {{ partner: {{ key: x-api-key }} }}
  consumers: {{ mobile: {{ key: "{KEY_HASH}", plan: free }} }}
  plans: {{ free: {{ limit: 1000000/1s, in-flight: 1000 }} }}
  routes:
    /: web
    /key: {{ to: "web:/key", auth: partner, limit: 1000000/1s }}
    /both: {{ compose: {{ one: {{ get: "web:/one" }}, two: {{ get: "events:/{{one.ok}}" }} }} }}
    /events: events
{}"#,
        first + 2,
        first + 1,
        web[usize::from(is_odd)],
        30 + number % 2,
        more(&format!("  more: {{ at: \"http://127.0.0.1:{}\" }}\n", web[0])),
        more("    /more: more\n"),
    )
}

/// A service with a stream at `/events` that never ends, an event every 20 ms, and a document everywhere else.
fn events() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for mut stream in listener.incoming().flatten() {
            spawn(move || {
                let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(count @ 1..) = stream.read(&mut chunk) {
                    bytes.extend_from_slice(&chunk[..count]);
                    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                        let head: Vec<u8> = bytes.drain(..end + 4).collect();
                        let sent = match head.starts_with(b"GET /events ") {
                            true => stream_events(&mut stream),
                            false => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
                        };
                        if sent.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    port
}

fn stream_events(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    loop {
        stream.write_all(b"9\r\ndata: 1\n\n\r\n")?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Listens to the events of a gateway until it is told to stop. Gives their number; an error if the stream ends before.
pub(crate) fn listen(port: u16, stop: Arc<AtomicBool>) -> JoinHandle<Result<usize, String>> {
    spawn(move || {
        let mut wire = TcpStream::connect(("127.0.0.1", port)).unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        wire.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let (mut heard, mut chunk) = (0, [0; 4096]);
        while !stop.load(Ordering::Relaxed) {
            match wire.read(&mut chunk) {
                Ok(count @ 1..) => heard += chunk[..count].windows(5).filter(|five| five == b"data:").count(),
                ended => return Err(format!("after {heard} events: {ended:?}")),
            }
        }
        Ok(heard)
    })
}
