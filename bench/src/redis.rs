//! Debian's Redis as a peer: a server of its own in a temporary folder, and as much of its protocol as the measurements
//! need.
//!
//! There are two clients. Callers that have a connection each, as separate programs have, use [`Direct`]. Callers of one
//! program may share a [`Connection`], on which whatever they have to say at one moment goes out in one write: the
//! fastest way to use Redis, and the one to measure against when we are inside the program too.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// A running server, with everything it writes in `folder`.
pub(crate) struct Redis {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Redis {
    /// Starts it, syncing each acknowledgement to disk.
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        let port = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--no-appendfsync-on-rewrite", "no"])
            .args(["--auto-aof-rewrite-percentage", "0", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("redis-server does not listen"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, address })
    }

    /// The CPU time that the server has used.
    pub(crate) fn cpu(&self) -> Duration {
        crate::process::cpu_of(self.child.id())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answers.
#[derive(Debug)]
pub(crate) enum Reply {
    Text(String),
    Number,
    Nothing,
    Many(Vec<Reply>),
}

fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut command = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        command.extend_from_slice(word);
        command.extend_from_slice(b"\r\n");
    }
    command
}

/// A connection of one caller.
pub(crate) struct Direct {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Direct {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(512) })
    }

    /// One command; waits for its answer.
    pub(crate) async fn call(&mut self, words: &[&[u8]]) -> Reply {
        self.stream.write_all(&encode(words)).await.expect("redis reads");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("redis writes");
            assert!(read > 0, "redis hung up");
            if let Some((reply, _)) = parse(&self.buffer) {
                return reply;
            }
        }
    }
}

type Call = (Vec<u8>, oneshot::Sender<Reply>);

/// A shared, pipelined connection.
#[derive(Clone)]
pub(crate) struct Connection(mpsc::Sender<Call>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (calls, inbox) = mpsc::channel(4096);
        tokio::spawn(serve(stream, inbox));
        Ok(Self(calls))
    }

    /// One command; waits for its answer.
    pub(crate) async fn call(&self, words: &[&[u8]]) -> Reply {
        let (reply, answer) = oneshot::channel();
        self.0.send((encode(words), reply)).await.expect("the connection is open");
        answer.await.expect("redis answers")
    }
}

async fn serve(mut stream: TcpStream, mut inbox: mpsc::Receiver<Call>) {
    let (mut waiting, mut out, mut buffer) = (VecDeque::new(), Vec::new(), Vec::new());
    let mut calls = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            count = inbox.recv_many(&mut calls, 1024) => {
                if count == 0 { return }
                for (command, reply) in calls.drain(..) {
                    out.extend_from_slice(&command);
                    waiting.push_back(reply);
                }
                if stream.write_all(&out).await.is_err() { return }
                out.clear();
            }
            read = stream.read(&mut chunk) => {
                // The server goes when its measurement is over, whoever still waits.
                let Ok(read @ 1..) = read else { return };
                buffer.extend_from_slice(&chunk[..read]);
                let mut at = 0;
                while let Some((reply, used)) = parse(&buffer[at..]) {
                    at += used;
                    let caller: oneshot::Sender<Reply> = waiting.pop_front().expect("somebody asked");
                    let _ = caller.send(reply);
                }
                buffer.drain(..at);
            }
        }
    }
}

/// One reply at the start of `bytes`, and how long it is; `None` while it is not all there.
fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[1..end]).expect("redis speaks ASCII here");
    let head = end + 2;
    match bytes[0] {
        b'+' => Some((Reply::Text(line.to_owned()), head)),
        b':' => Some((Reply::Number, head)),
        b'$' if line == "-1" => Some((Reply::Nothing, head)),
        b'$' => {
            let length: usize = line.parse().expect("a length");
            let text = bytes.get(head..head + length + 2)?;
            Some((Reply::Text(String::from_utf8_lossy(&text[..length]).into_owned()), head + length + 2))
        }
        b'*' if line == "-1" => Some((Reply::Nothing, head)),
        b'*' => {
            let (mut items, mut at) = (Vec::new(), head);
            for _ in 0..line.parse().expect("a count") {
                let (item, used) = parse(&bytes[at..])?;
                items.push(item);
                at += used;
            }
            Some((Reply::Many(items), at))
        }
        _ => panic!("redis refused: {line}"),
    }
}

/// The ids in the answer to XREADGROUP: `[[stream, [[id, fields], …]]]`.
pub(crate) fn ids(reply: &Reply) -> Vec<String> {
    let Reply::Many(streams) = reply else { return Vec::new() };
    let Some(Reply::Many(stream)) = streams.first() else { return Vec::new() };
    let Some(Reply::Many(entries)) = stream.get(1) else { return Vec::new() };
    let id = |entry: &Reply| match entry {
        Reply::Many(parts) => match parts.first() {
            Some(Reply::Text(id)) => Some(id.clone()),
            _ => None,
        },
        _ => None,
    };
    entries.iter().filter_map(id).collect()
}
