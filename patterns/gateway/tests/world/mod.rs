//! A gateway, services behind it that do exactly what a test says, and a client that speaks in bytes.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part of it")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::Resolve;
use dozen_gateway::{Calling, Gateway, Keeper, Options, RequestLog, RouteOptions};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Nothing that works takes this long.
pub const SOON: Duration = Duration::from_secs(20);

type Sets = Arc<Mutex<HashMap<String, watch::Sender<Arc<EndpointSet>>>>>;

/// Who stands where; what discovery would know.
#[derive(Clone, Default)]
pub struct Registry(Sets);

impl Registry {
    pub fn resolve(&self) -> Resolve {
        let sets = self.0.clone();
        Arc::new(move |name: &str| sets.lock().unwrap().get(name).map(watch::Sender::subscribe))
    }

    pub fn set(&self, service: &str, addresses: &[SocketAddr]) {
        let mut sets = self.0.lock().unwrap();
        let entry = sets
            .entry(service.to_owned())
            .or_insert_with(|| watch::channel(Arc::new(EndpointSet::empty(service))).0);
        let version = entry.borrow().version + 1;
        let endpoints = addresses.iter().map(|address| Endpoint::at(address.to_string())).collect();
        entry.send_replace(Arc::new(EndpointSet { service: service.to_owned(), version, endpoints }));
    }
}

pub struct World {
    pub gateway: Arc<Gateway>,
    pub registry: Registry,
    pub journal: Arc<RequestLog>,
    pub stop: Stop,
    task: JoinHandle<Result<(), BoxError>>,
}

pub fn options(routes: Vec<RouteOptions>) -> Options {
    let listen = "127.0.0.1:0".parse().unwrap();
    Options { listen, workers: std::num::NonZeroUsize::new(2), routes, ..Options::default() }
}

pub fn build(
    options: Options,
    registry: &Registry,
    journal: &Arc<RequestLog>,
) -> Result<Gateway, dozen_gateway::Error> {
    Gateway::new(options, registry.resolve(), Ids::new(Arc::new(SystemClock), 7), journal.clone())
}

impl World {
    pub async fn start(options: Options, registry: Registry) -> Self {
        let journal = Arc::new(RequestLog::default());
        let gateway = build(options, &registry, &journal).unwrap();
        Self::run(gateway, registry, journal).await
    }

    /// Beside a keeper that the test runs.
    pub async fn beside(keeper: Arc<Keeper>, options: Options, registry: Registry) -> Self {
        let journal = Arc::new(RequestLog::default());
        let ids = Ids::new(Arc::new(SystemClock), 7);
        let (services, usual) = (options.services.clone(), options.usual.clone());
        let calling = Calling::new(registry.resolve(), services, usual).unwrap();
        let gateway = Gateway::beside(keeper, options, calling, ids, journal.clone()).unwrap();
        Self::run(gateway, registry, journal).await
    }

    /// By a clock that the test moves.
    pub async fn at(clock: Arc<dozen_core::ManualClock>, options: Options, registry: Registry) -> Self {
        let journal = Arc::new(RequestLog::default());
        let resolve = registry.resolve();
        let gateway = Gateway::new(options, resolve, Ids::new(clock, 7), journal.clone()).unwrap();
        Self::run(gateway, registry, journal).await
    }

    async fn run(gateway: Gateway, registry: Registry, journal: Arc<RequestLog>) -> Self {
        let gateway = Arc::new(gateway);
        let stop = Stop::new();
        let (ready, mut watching) = Ready::channel();
        let task = tokio::spawn(gateway.clone().run(stop.clone(), ready));
        watching.wait_for(|ready| *ready).await.unwrap();
        Self { gateway, registry, journal, stop, task }
    }

    pub async fn connect(&self) -> Wire {
        Wire::connect(self.gateway.local_addr()).await
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &str) -> Answer {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.answer(request.starts_with("HEAD")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n\r\n")).await
    }

    pub async fn end(self) {
        self.stop.soft.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// One side of a connection, read and written by hand.
pub struct Wire {
    pub stream: TcpStream,
    pub read: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, in small letters.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn more(&mut self) -> usize {
        let mut piece = vec![0; 65536];
        let count = tokio::time::timeout(SOON, self.stream.read(&mut piece)).await.unwrap().unwrap_or(0);
        self.read.extend_from_slice(&piece[..count]);
        count
    }

    /// A head, in small letters; `None` at the end of the connection.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..at + 4).collect();
                return Some(String::from_utf8(head).unwrap().to_ascii_lowercase());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.more().await > 0, "the connection closed {} bytes early", count - self.read.len());
        }
        self.read.drain(..count).collect()
    }

    pub async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..at + 2).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            assert!(self.more().await > 0, "the connection closed in a line");
        }
    }

    pub async fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line().await, 16).unwrap();
        let data = self.bytes(size).await;
        assert_eq!(self.line().await, "");
        data
    }

    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.read)
    }

    /// The body that belongs to a head.
    pub async fn body(&mut self, head: &str) -> Vec<u8> {
        if header(head, "transfer-encoding").is_some() {
            let mut body = Vec::new();
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    return body;
                }
                body.extend(chunk);
            }
        }
        match header(head, "content-length") {
            Some(length) => self.bytes(length.parse().unwrap()).await,
            None if head.starts_with("http/") => self.rest().await,
            None => Vec::new(),
        }
    }

    pub async fn answer(&mut self, to_head: bool) -> Answer {
        let head = self.head().await.expect("an answer");
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let bodiless = to_head || status == 204 || status == 304 || status < 200;
        let body = if bodiless { Vec::new() } else { self.body(&head).await };
        Answer { status, head, body }
    }
}

/// A service: each connection is handed to `serve`.
pub async fn service<F, R>(serve: F) -> SocketAddr
where
    F: Fn(Wire) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Wire { stream, read: Vec::new() }));
        }
    });
    address
}

/// A service that answers each request with `name`, the head and the body that it was sent.
pub async fn echo(name: &'static str) -> SocketAddr {
    service(move |mut wire| async move {
        while let Some(head) = wire.head().await {
            let body = wire.body(&head).await;
            let said = format!("{name}\n{head}{}", String::from_utf8_lossy(&body));
            let answer = format!(
                "HTTP/1.1 200 Fine indeed\r\nserver: secret/1.0\r\nx-powered-by: cats\r\ncontent-length: {}\r\n\r\n{said}",
                said.len()
            );
            wire.send(&answer).await;
        }
    })
    .await
}

/// A service that answers everything with the same bytes.
pub async fn always(answer: &'static str) -> SocketAddr {
    service(move |mut wire| async move {
        while let Some(head) = wire.head().await {
            wire.body(&head).await;
            wire.send(answer).await;
        }
    })
    .await
}

/// An address where nobody listens.
pub async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
