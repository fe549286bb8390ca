//! A proxy whose handler is a closure, what stands behind it, and clients of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_core::{Endpoint, EndpointSet};
use dozen_dataplane::{
    Answered, Body, BoxError, Changes, Failure, Forward, Handler, Incoming, Outcome, Outgoing, Proxy,
    ProxyOptions, ServicePolicy, Upstream, Upstreams, Verdict,
};
use dozen_lifecycle::{Ready, Service, Stop};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::wire::{Answer, Wire};

/// Nothing that works takes this long.
pub(crate) const SOON: Duration = Duration::from_secs(20);

type Begin = dyn Fn(&Incoming<'_>, &mut Outgoing<'_>) -> Verdict<u32> + Send + Sync;
type Amend = dyn Fn(&Answered<'_>, &mut Changes) + Send + Sync;

/// How a request ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) ticket: u32,
    pub(crate) status: u16,
    pub(crate) failure: Option<Failure>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) reached: bool,
}

struct Door {
    begin: Box<Begin>,
    amend: Box<Amend>,
    ends: mpsc::UnboundedSender<End>,
}

impl Handler for Door {
    type Ticket = u32;

    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<u32> {
        (self.begin)(request, outgoing)
    }

    fn end(&self, ticket: u32, outcome: &Outcome<'_>) {
        let _ = self.ends.send(End {
            ticket,
            status: outcome.status,
            failure: outcome.failure,
            bytes_in: outcome.bytes_in,
            bytes_out: outcome.bytes_out,
            reached: outcome.address.is_some(),
        });
    }

    fn strips_from_request(&self, _: &u32, name: &str) -> bool {
        name.eq_ignore_ascii_case("x-stripped")
    }

    fn strips_from_response(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("server")
    }

    fn amend(&self, _: &mut u32, answer: &Answered<'_>, changes: &mut Changes) {
        (self.amend)(answer, changes);
    }
}

/// A running proxy.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    ends: mpsc::UnboundedReceiver<End>,
    task: JoinHandle<Result<(), BoxError>>,
}

pub(crate) fn options() -> ProxyOptions {
    ProxyOptions { workers: 1, ..ProxyOptions::default() }
}

impl World {
    pub(crate) async fn start(
        begin: impl Fn(&Incoming<'_>, &mut Outgoing<'_>) -> Verdict<u32> + Send + Sync + 'static,
    ) -> Self {
        Self::build(options(), begin, |_, _| {}).await
    }

    pub(crate) async fn build(
        options: ProxyOptions,
        begin: impl Fn(&Incoming<'_>, &mut Outgoing<'_>) -> Verdict<u32> + Send + Sync + 'static,
        amend: impl Fn(&Answered<'_>, &mut Changes) + Send + Sync + 'static,
    ) -> Self {
        let (sender, ends) = mpsc::unbounded_channel();
        let door = Arc::new(Door { begin: Box::new(begin), amend: Box::new(amend), ends: sender });
        let proxy = Arc::new(Proxy::bind("127.0.0.1:0".parse().unwrap(), options, door).unwrap());
        let address = proxy.local_addr();
        let stop = Stop::new();
        let (ready, mut watching) = Ready::channel();
        let task = tokio::spawn(proxy.run(stop.clone(), ready));
        watching.wait_for(|ready| *ready).await.unwrap();
        Self { address, stop, ends, task }
    }

    /// A proxy that forwards everything to one service.
    pub(crate) async fn before(
        service: SocketAddr,
        change: impl Fn(&mut Forward<u32>) + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream(service);
        Self::start(move |_, _| {
            let mut forward = Forward::new(upstream.clone(), 1, 7);
            change(&mut forward);
            Verdict::Forward(forward)
        })
        .await
    }

    pub(crate) async fn wire(&self) -> Wire<TcpStream> {
        Wire::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut wire = self.wire().await;
        wire.send(request).await;
        wire.answer(request.starts_with("HEAD")).await
    }

    pub(crate) async fn http2(&self) -> SendRequest<Body> {
        http2(TcpStream::connect(self.address).await.unwrap()).await
    }

    pub(crate) async fn ended(&mut self) -> End {
        tokio::time::timeout(SOON, self.ends.recv()).await.expect("an end").unwrap()
    }

    pub(crate) async fn end(self) {
        self.stop.soft.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// A connection of HTTP/2.
pub(crate) async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Body> {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

/// What came back over HTTP/2.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// How a call of gRPC ended: behind its messages, or in the head if there are none.
    pub(crate) fn outcome(&self) -> Option<&str> {
        self.trailer("grpc-status").or(self.header("grpc-status"))
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.as_ref()?.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn said(sender: &mut SendRequest<Body>, request: Request<Body>) -> Said {
    let response = tokio::time::timeout(SOON, sender.send_request(request)).await.unwrap().unwrap();
    let (parts, body) = response.into_parts();
    let whole = tokio::time::timeout(SOON, body.collect()).await.unwrap().unwrap();
    let trailers = whole.trailers().cloned();
    let body = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
    Said { status: parts.status.as_u16(), headers: parts.headers, body, trailers }
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

/// The service at one address.
pub(crate) fn upstream(address: SocketAddr) -> Arc<Upstream> {
    let endpoints = vec![Endpoint::at(address.to_string())];
    let set = Arc::new(EndpointSet { service: "service".into(), version: 1, endpoints });
    let receiver = watch::channel(set).1;
    let resolve = Arc::new(move |_: &str| Some(receiver.clone()));
    Upstreams::new(resolve, ServicePolicy::default()).get("service").unwrap()
}

/// Serves by a closure.
pub(crate) struct Answering<F>(pub(crate) F);

impl<F, R> dozen_dataplane::Serve for Answering<F>
where
    F: Fn(Request<Body>) -> R + Send + Sync,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    fn serve(
        &self,
        request: Request<Body>,
        _: dozen_dataplane::Context,
    ) -> BoxFuture<'static, Response<Body>> {
        Box::pin((self.0)(request))
    }
}

pub(crate) async fn text(body: Body) -> Result<String, BoxError> {
    let whole: Bytes = body.collect(1 << 24).await?;
    Ok(String::from_utf8(whole.to_vec())?)
}

/// A CA, and certificates of it in a folder of their own.
pub(crate) struct Ca {
    pub(crate) folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a CA of a test");
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for `names`, called `name`.
    pub(crate) fn issue(&self, name: &str, names: &[&str]) -> dozen_dataplane::CertificateFiles {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Shop");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = self.folder.path().join(format!("{name}.pem"));
        let file = self.folder.path().join(format!("{name}.key"));
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&file, key.serialize_pem()).unwrap();
        dozen_dataplane::CertificateFiles { chain, key: file }
    }
}

/// Runs a program of this machine; the reason why not, if it is not there.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let command = tokio::process::Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(SOON, command).await.map_err(|_| "it does not end".to_owned())?;
    match output {
        Err(error) => Err(format!("`{program}` cannot be run here: {error}")),
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
