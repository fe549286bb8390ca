//! One connection: as much of HTTP/1.1 as a load needs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Failure;

/// Bytes that are read at once.
const ROOM: usize = 64 * 1024;
/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps alive, and has one request under way at most.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// When the request that is under way was due.
    pub(super) due: Instant,
    /// What has come of the head, until it is whole.
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head is whole.
    left: Option<usize>,
}

impl Connection {
    pub(super) fn open(at: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, due: Instant::now(), head: Vec::with_capacity(1024), left: None })
    }

    /// Sends a request, which is short enough for a socket that has room for all of it.
    pub(super) fn send(&mut self, request: &[u8], due: Instant) -> Result<(), Failure> {
        self.due = due;
        let written = self.stream.write(request)?;
        if written < request.len() {
            return Err("a request did not fit into its socket".into());
        }
        Ok(())
    }

    /// Takes what is there. Says whether the answer is whole; any but a 200 that says its length is an error.
    pub(super) fn read(&mut self, room: &mut Vec<u8>) -> Result<bool, Failure> {
        room.resize(ROOM, 0);
        loop {
            let count = match self.stream.read(room) {
                Ok(0) => return Err("a connection was closed on us".into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if self.took(&room[..count])? {
                return Ok(true);
            }
            if count < room.len() {
                return Ok(false);
            }
        }
    }

    fn took(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let came = match self.left {
            Some(left) => left.checked_sub(bytes.len()),
            None => {
                self.head.extend_from_slice(bytes);
                let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return Ok(false);
                };
                length(&self.head[..end])?.checked_sub(self.head.len() - end - 4)
            }
        };
        let left = came.ok_or("an answer is longer than it says")?;
        self.left = Some(left);
        if left > 0 {
            return Ok(false);
        }
        self.head.clear();
        self.left = None;
        Ok(true)
    }
}

/// The length of the body behind a head.
fn length(head: &[u8]) -> Result<usize, Failure> {
    let text = std::str::from_utf8(head)?;
    if !text.starts_with("HTTP/1.1 200") {
        return Err(format!("the answer is `{}`", text.lines().next().unwrap_or("")).into());
    }
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = lengths.next().ok_or("an answer does not say how long it is")?;
    Ok(length.trim().parse()?)
}
