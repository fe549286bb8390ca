//! gRPC and WebSockets through the proxy, by Python's `grpcio` and `websockets` on both sides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Endpoint, EndpointSet};
use dozen_dataplane::{
    Forward, Handler, Incoming, Outcome, Outgoing, Protocol, Proxy, ProxyOptions, ServicePolicy, Transport,
    Upstream, Upstreams, Verdict,
};
use dozen_harness::Program;
use dozen_lifecycle::{Ready, Service, Stop};
use tokio::sync::watch;

/// Sends calls of gRPC to one service, to nobody what is for `/Away`, and all else to another, which may open WebSockets.
struct Door {
    calls: Arc<Upstream>,
    away: Arc<Upstream>,
    chat: Arc<Upstream>,
    by_http2: Arc<Transport>,
}

impl Handler for Door {
    type Ticket = ();

    fn begin(&self, request: &Incoming<'_>, _: &mut Outgoing<'_>) -> Verdict<()> {
        let transport = Some(self.by_http2.clone());
        Verdict::Forward(match request.path {
            path if path.starts_with("/Test/") => {
                Forward { transport, ..Forward::new(self.calls.clone(), 1, ()) }
            }
            path if path.starts_with("/Away/") => {
                Forward { transport, ..Forward::new(self.away.clone(), 1, ()) }
            }
            _ => {
                Forward { websocket: Some(Duration::from_secs(60)), ..Forward::new(self.chat.clone(), 1, ()) }
            }
        })
    }

    fn end(&self, (): (), _: &Outcome<'_>) {}

    fn strips_from_request(&self, (): &(), _: &str) -> bool {
        false
    }

    fn strips_from_response(&self, _: &str) -> bool {
        false
    }
}

fn upstream(port: u16) -> Arc<Upstream> {
    let endpoints = vec![Endpoint::at(format!("127.0.0.1:{port}"))];
    let set = Arc::new(EndpointSet { service: "service".into(), version: 1, endpoints });
    let receiver = watch::channel(set).1;
    let resolve = Arc::new(move |_: &str| Some(receiver.clone()));
    Upstreams::new(resolve, ServicePolicy::default()).get("service").unwrap()
}

/// Starts the services, and gives their ports.
fn serve(python: &Path) -> (Program, u16, u16) {
    let mut services = script(python);
    services.arg("serve");
    let services = Program::start("services", services).unwrap();
    let line = services.wait_for_line("LISTENS", Duration::from_secs(60)).unwrap();
    let ports: Vec<u16> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    (services, ports[0], ports[1])
}

fn script(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/py/transport.py"));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_and_websockets_of_python_pass_through() {
    let python = match dozen_harness::python_packages(&["grpcio==1.85.1", "websockets==17.4"]) {
        Ok(python) => python,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let (services, calls, chat) = serve(&python);
    let door = Arc::new(Door {
        calls: upstream(calls),
        away: upstream(1),
        chat: upstream(chat),
        by_http2: Arc::new(Transport::new(Protocol::Http2, None).unwrap()),
    });
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let proxy = Arc::new(Proxy::bind(listen, ProxyOptions::default(), door).unwrap());
    let address = proxy.local_addr().to_string();
    let stop = Stop::new();
    let running = tokio::spawn(proxy.run(stop.clone(), Ready::channel().0));
    let ended = tokio::task::spawn_blocking(move || {
        let mut clients = script(&python);
        clients.args(["call", &address]);
        let clients = Program::start("clients", clients)?;
        let status = clients.wait_exit(Duration::from_secs(60))?;
        Ok::<_, String>((status, clients.output()))
    });
    let (status, output) = ended.await.unwrap().unwrap();
    assert!(status.success(), "{output}");
    assert!(output.contains("CALLED") && output.contains("TALKED"), "{output}");
    stop.soft.cancel();
    running.await.unwrap().unwrap();
    drop(services);
}
