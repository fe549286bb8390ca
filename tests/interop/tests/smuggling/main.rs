//! No request is smuggled past the gateway: whatever a client writes, servers of other makers behind it see the same requests
//! with the same bodies, and as many as the client has answers.
//!
//! ```text
//! corpus ──► gateway ──► gunicorn   ┐
//!        ──► gateway ──► aiohttp    │ each remembers method, target and body of all that it was asked
//!        ──► gateway ──► node …     ┘
//! ```
//!
//! Clients speak HTTP/1.1 in bytes, and HTTP/2 in frames that become HTTP/1.1 on the way.
//! Their parsers share no code, and disagree when they are asked directly: that is what the corpus is made of.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod corpus;
mod downgrade;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corpus::{Case, corpus};
use downgrade::{APART, BROKEN, NEVER, ONCE, PREFACE, statuses};
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_gateway::{Gateway, Options, RequestLog, RouteOptions};
use dozen_harness::{Program, ensure_debian, free_port, python_packages, wait_until_listening};
use dozen_lifecycle::{Ready, Service as _, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

const PYTHON: &[&str] = &[
    "gunicorn==23.0.0",
    "waitress==3.0.2",
    "cheroot==10.0.1",
    "hypercorn==0.17.3",
    "aiohttp==3.12.15",
    "tornado==6.5.2",
];
/// Every connection ends with it, so that one on which all is said and done ends at once.
const END: &str = "GET /-/end HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
/// How long a connection is kept on which the gateway rightly waits for more.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are open at a time: some of the servers keep no more than ten, and close another's in the middle.
const AT_ONCE: usize = 8;

/// What arrived of one case: method, target, body.
type Arrived = Vec<(String, String, String)>;

/// A server and what stands before it.
struct Origin {
    name: String,
    port: u16,
    _program: Program,
}

impl Origin {
    fn start(name: &str, mut command: Command) -> Self {
        let port = free_port();
        command.arg(port.to_string());
        let program = Program::start(name, command).unwrap();
        if let Err(why) = wait_until_listening(port, Duration::from_secs(60)) {
            panic!("{name}: {why}\n{}", program.output());
        }
        Self { name: name.to_owned(), port, _program: program }
    }

    /// What it was asked since the last time, by case.
    fn log(&self) -> BTreeMap<String, Arrived> {
        let reply = dozen_harness::get(&format!("http://127.0.0.1:{}/-/log", self.port)).unwrap();
        let seen: Arrived = serde_json::from_slice(&reply.body).unwrap();
        let mut by_case: BTreeMap<String, Arrived> = BTreeMap::new();
        for request in seen.into_iter().filter(|(_, target, _)| target != "/-/end") {
            let mut parts = request.1.split(['/', '?', '\\']).filter(|part| part.contains('-'));
            let case = parts.next().unwrap_or("").to_owned();
            by_case.entry(case).or_default().push(request);
        }
        by_case.values_mut().for_each(|requests| requests.sort());
        by_case
    }
}

/// The statuses that a client of the gateway at `port` gets for a case.
async fn ask(port: u16, case: &Case) -> Vec<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    if case.bytes.starts_with(PREFACE) {
        return ask_in_frames(stream, case).await;
    }
    // It may be refused and closed before all is written.
    let _ = stream.write_all(&case.bytes).await;
    let _ = stream.write_all(END.as_bytes()).await;
    let mut answer = Vec::new();
    // A connection that is reset has told what it had to.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    let lines = text.split("HTTP/1.1 ").skip(1);
    let statuses = lines.filter_map(|line| line.get(..3)?.parse::<u16>().ok());
    statuses.filter(|status| *status >= 200).collect()
}

/// The same of a client of HTTP/2; 0 stands for a stream that was reset.
async fn ask_in_frames(mut stream: TcpStream, case: &Case) -> Vec<u16> {
    let _ = stream.write_all(&case.bytes).await;
    let mut answer = Vec::new();
    let reading = async {
        while !statuses(&answer).1 {
            if !matches!(stream.read_buf(&mut answer).await, Ok(count) if count > 0) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, reading).await;
    statuses(&answer).0
}

/// Runs all cases through a gateway before the server at `port`.
async fn through(port: u16) -> Vec<Vec<u16>> {
    let endpoints = vec![Endpoint::at(format!("127.0.0.1:{port}"))];
    let set = EndpointSet { service: "origin".into(), version: 1, endpoints };
    let (_sender, receiver) = watch::channel(Arc::new(set));
    let resolve = Arc::new(move |name: &str| (name == "origin").then(|| receiver.clone()));
    let options = Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        workers: std::num::NonZeroUsize::new(1),
        routes: vec![RouteOptions::new("/{*rest}", "origin")],
        ..Options::default()
    };
    let ids = Ids::new(Arc::new(SystemClock), u64::from(port));
    let gateway = Arc::new(Gateway::new(options, resolve, ids, Arc::new(RequestLog::default())).unwrap());
    let port = gateway.local_addr().port();
    let (stop, (ready, _ready)) = (Stop::new(), Ready::channel());
    let runs = tokio::spawn(gateway.run(stop.clone(), ready));
    let (room, mut asked) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for (at, case) in corpus().into_iter().enumerate() {
        let room = room.clone();
        asked.spawn(async move {
            let _place = room.acquire_owned().await.unwrap();
            (at, ask(port, &case).await)
        });
    }
    let mut statuses = asked.join_all().await;
    statuses.sort();
    stop.soft.cancel();
    stop.hard.cancel();
    runs.await.unwrap().unwrap();
    statuses.into_iter().map(|(_, statuses)| statuses).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_all_makers_see_the_same_requests_behind_the_gateway() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut origins = Vec::new();
    match python_packages(PYTHON) {
        Ok(python) => {
            for package in PYTHON {
                let name = package.split("==").next().unwrap();
                let mut command = Command::new(&python);
                command.arg(script.join("py/origin.py")).arg(name);
                origins.push(Origin::start(name, command));
            }
        }
        Err(why) => eprintln!("without servers of Python: {why}"),
    }
    match ensure_debian(&["nodejs"]) {
        Ok(()) => {
            let mut command = Command::new("node");
            command.arg(script.join("js/origin.js"));
            origins.push(Origin::start("node", command));
        }
        Err(why) => eprintln!("without the server of Node: {why}"),
    }
    if origins.len() < 4 {
        return eprintln!("not run: fewer than four servers to compare");
    }

    let cases = corpus();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut all = Vec::new();
    for origin in &origins {
        let statuses = through(origin.port).await;
        all.push((&origin.name, statuses, origin.log()));
    }
    let mut wrong = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let id = case.name.split(' ').next().unwrap();
        let (first, _, seen) = &all[0];
        let none = Arrived::new();
        let expected = seen.get(id).unwrap_or(&none);
        for (name, statuses, seen) in &all {
            let seen = seen.get(id).unwrap_or(&none);
            if id.ends_with(BROKEN) || id.ends_with(APART) {
                if seen.len() > 1 || seen.iter().any(|(_, target, _)| target.contains("hidden")) {
                    wrong.push(format!("{}: {name} saw {seen:?}", case.name));
                }
                continue;
            }
            if seen != expected {
                wrong.push(format!("{}: {first} saw {expected:?}, {name} saw {seen:?}", case.name));
            }
            // The end of the connection is answered, too, where it was taken for a request.
            let good = statuses[at].iter().filter(|status| **status == 200).count();
            if seen.len() > good {
                let statuses = &statuses[at];
                wrong.push(format!("{}: {name} saw {seen:?}, and its client {statuses:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let arrived: usize = all[0].2.values().map(Vec::len).sum();
    println!("{} cases, {} servers; {arrived} requests arrived at each", cases.len(), origins.len());
}

/// A server that notes each connection's bytes, and answers whatever looks like a request.
async fn noting() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let noted: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = noted.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(note(stream, notes.clone()));
        }
    });
    (port, noted)
}

async fn note(mut stream: TcpStream, notes: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let is_whole = match length.map(|length| length.parse::<usize>().unwrap()) {
                Some(length) => body.len() >= length,
                // Trailers may stand behind the last chunk.
                None if head.contains("transfer-encoding: chunked") => {
                    let last = body.starts_with("0\r\n") || body.contains("\r\n0\r\n");
                    last && body.ends_with("\r\n\r\n")
                }
                None => true,
            };
            if is_whole {
                notes.lock().unwrap().push(text);
                bytes.clear();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                continue;
            }
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(count) if count > 0) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_of_http2_says_becomes_one_request_of_http1_or_none() {
    let (port, noted) = noting().await;
    let all = through(port).await;
    let noted = noted.lock().unwrap().clone();
    let cases = corpus();
    let of_frames = cases.iter().zip(&all).filter(|(case, _)| case.bytes.starts_with(PREFACE));
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (case, statuses) in of_frames {
        count += 1;
        let id = case.name.split(' ').next().unwrap();
        let arrived: Vec<&String> = noted
            .iter()
            .filter(|text| {
                text.lines().next().is_some_and(|line| line.split([' ', '/', '?']).any(|part| part == id))
            })
            .collect();
        let expected = match id.rsplit('-').next() {
            Some(NEVER | BROKEN) => 0..=0,
            Some(ONCE | APART) => 1..=1,
            _ => 0..=1,
        };
        let is_answered = statuses.contains(&200) || !expected.contains(&1) || *expected.start() == 0;
        if !expected.contains(&arrived.len()) || !is_answered {
            wrong.push(format!("{}: {arrived:?} arrived, {statuses:?}", case.name));
        }
        for text in arrived {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let hosts = head.lines().filter(|line| line.starts_with("host: ")).count();
            let lengths = head.lines().filter(|line| line.starts_with("content-length: ")).count();
            let chunked = usize::from(head.contains("\r\ntransfer-encoding: "));
            if head.contains("x-evil") || text.contains("hidden") && !body.contains("hidden") {
                wrong.push(format!("{}: {text:?} says what was hidden", case.name));
            }
            if hosts != 1 || lengths + chunked > 1 || head.contains("\r\nconnection: close") {
                wrong.push(format!("{}: {text:?} can be read in two ways", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 120, "{count} cases");
}
