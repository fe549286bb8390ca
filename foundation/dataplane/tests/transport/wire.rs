//! Connections that are read and written by hand, and services of bytes.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::SOON;

/// One side of a connection, read and written by hand.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    pub(crate) read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, in small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| *key == name).map(|(_, value)| value)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn more(&mut self) -> usize {
        let mut piece = vec![0; 65536];
        let count = tokio::time::timeout(SOON, self.stream.read(&mut piece)).await.unwrap().unwrap_or(0);
        self.read.extend_from_slice(&piece[..count]);
        count
    }

    async fn until(&mut self, mark: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark) {
                let bytes: Vec<u8> = self.read.drain(..at + mark.len()).collect();
                return Some(String::from_utf8(bytes).unwrap());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    /// A head, in small letters; `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<String> {
        Some(self.until(b"\r\n\r\n").await?.to_ascii_lowercase())
    }

    pub(crate) async fn line(&mut self) -> String {
        self.until(b"\r\n").await.unwrap().trim_end().to_owned()
    }

    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.more().await > 0, "the connection closed {} bytes early", count - self.read.len());
        }
        self.read.drain(..count).collect()
    }

    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.read)
    }

    /// The body that belongs to a head, its trailers behind it.
    pub(crate) async fn body(&mut self, head: &str) -> String {
        let mut body = Vec::new();
        if header(head, "transfer-encoding").is_some() {
            loop {
                let size = usize::from_str_radix(&self.line().await, 16).unwrap();
                if size == 0 {
                    break;
                }
                body.extend(self.bytes(size).await);
                assert_eq!(self.line().await, "");
            }
            loop {
                let line = self.line().await;
                if line.is_empty() {
                    return String::from_utf8(body).unwrap();
                }
                body.extend(format!("[{line}]").bytes());
            }
        }
        match header(head, "content-length") {
            Some(length) => body = self.bytes(length.parse().unwrap()).await,
            None if head.starts_with("http/") => body = self.rest().await,
            None => {}
        }
        String::from_utf8(body).unwrap()
    }

    pub(crate) async fn answer(&mut self, to_head: bool) -> Answer {
        let head = self.head().await.expect("an answer");
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let bodiless = to_head || status == 204 || status == 304 || status < 200;
        let body = if bodiless { String::new() } else { self.body(&head).await };
        Answer { status, head, body }
    }
}

/// A service of bytes: each connection is handed to `serve`.
pub(crate) async fn service<F, R>(serve: F) -> SocketAddr
where
    F: Fn(Wire<TcpStream>) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Wire::new(stream)));
        }
    });
    address
}

/// A service that answers each request with the head and the body that it was sent.
pub(crate) async fn echo() -> SocketAddr {
    service(|mut wire| async move {
        while let Some(head) = wire.head().await {
            let body = wire.body(&head).await;
            let said = format!("{head}{body}");
            let length = said.len();
            let answer = format!("HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: {length}\r\n\r\n{said}");
            wire.send(answer).await;
        }
    })
    .await
}
