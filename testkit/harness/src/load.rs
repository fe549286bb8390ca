//! Clients that ask again and again, and miss no failure.

use std::io::{Error, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn, yield_now};
use std::time::{Duration, Instant};

/// An answer that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often one request is repeated before it has failed.
const REPEATS_MAX: usize = 100;

/// What is asked, and of whom.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Ports of 127.0.0.1. Client number `n` begins with the one at `n`, and goes on with the next when one fails.
    pub ports: Vec<u16>,
    /// The path.
    pub path: String,
    /// Header lines, each with its end.
    pub headers: String,
    /// Whether a request that was not answered is asked again, of the next port. Otherwise that is a failure.
    pub may_repeat: bool,
}

impl Asked {
    /// `GET path` of one port; nothing is repeated.
    pub fn of(port: u16, path: &str) -> Self {
        Self { ports: vec![port], path: path.into(), headers: String::new(), may_repeat: false }
    }
}

#[derive(Default)]
struct Count {
    stop: AtomicBool,
    answered: AtomicUsize,
    repeated: AtomicUsize,
    connections: AtomicUsize,
}

/// Clients at work, each with one request at a time on a connection that it keeps until it is told that an answer was
/// the last. Any answer but a 200 is a failure.
pub struct Load {
    count: Arc<Count>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Requests, each answered with 200.
    pub answered: usize,
    /// Requests that were sent again.
    pub repeated: usize,
    /// Connections that it took.
    pub connections: usize,
}

impl Load {
    /// Starts so many clients.
    pub fn start(asked: &Asked, clients: usize) -> Self {
        let count = Arc::new(Count::default());
        let client = |number| {
            let (asked, count) = (asked.clone(), count.clone());
            spawn(move || {
                let done = keep_asking(&asked, number, &count);
                // The others need not go on: the test has failed.
                count.stop.fetch_or(done.is_err(), Ordering::Relaxed);
                done
            })
        };
        Self { clients: (0..clients).map(client).collect(), count }
    }

    /// Returns when so many more were answered, or one has failed.
    pub fn passes(&self, more: usize) {
        let until = self.count.answered.load(Ordering::Relaxed) + more;
        let begun = Instant::now();
        while self.count.answered.load(Ordering::Relaxed) < until && !self.count.stop.load(Ordering::Relaxed)
        {
            if begun.elapsed() > TIMEOUT {
                return; // what is missing is told at the end, by the clients
            }
            yield_now();
        }
    }

    /// Ends it; fails if a request did.
    pub fn end(self) -> Result<Served, String> {
        self.count.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().map_err(|_| "a client panicked".to_owned())??;
        }
        let [answered, repeated, connections] =
            [&self.count.answered, &self.count.repeated, &self.count.connections]
                .map(|count| count.load(Ordering::Relaxed));
        Ok(Served { answered, repeated, connections })
    }
}

fn keep_asking(asked: &Asked, number: usize, count: &Count) -> Result<(), String> {
    let request = format!("GET {} HTTP/1.1\r\nhost: a\r\n{}\r\n", asked.path, asked.headers);
    let mut at = number;
    let mut kept = None;
    while !count.stop.load(Ordering::Relaxed) {
        let mut repeats = 0;
        while let Err(failure) = ask(asked.ports[at % asked.ports.len()], &request, &mut kept, count) {
            if !asked.may_repeat || repeats == REPEATS_MAX {
                return Err(format!("a request failed after {repeats} repeats: {failure}"));
            }
            (kept, at, repeats) = (None, at + 1, repeats + 1);
            count.repeated.fetch_add(1, Ordering::Relaxed);
        }
        count.answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One request, on the connection that is kept or on a new one.
fn ask(port: u16, request: &str, kept: &mut Option<TcpStream>, count: &Count) -> Result<(), String> {
    let exchange = |kept: &mut Option<TcpStream>| -> std::io::Result<String> {
        let stream = match kept {
            Some(stream) => stream,
            None => {
                count.connections.fetch_add(1, Ordering::Relaxed);
                let stream = TcpStream::connect(("127.0.0.1", port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                kept.insert(stream)
            }
        };
        stream.write_all(request.as_bytes())?;
        answer(stream)
    };
    let head = exchange(kept).map_err(|error| format!("port {port}: {error}"))?;
    if head.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
        *kept = None;
    }
    if head.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(format!("port {port} answered {head}")) }
}

/// The head of an answer, whose body has been read, too.
fn answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk)?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if count == 0 {
            return Err(Error::other(format!("the connection ended after `{text}`")));
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        match length.map(|(_, length)| length.parse::<usize>()) {
            Some(Ok(length)) if body.len() < length => {}
            Some(Ok(_)) => return Ok(format!("{head}\r\n")),
            _ => return Err(Error::other(format!("an answer without a length: {head}"))),
        }
    }
}
