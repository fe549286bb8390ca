//! What runs, and where.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dozen_gateway::ServiceOptions;

use super::super::item::{Item, Value};
use super::super::scalar;
use super::{App, texts};

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How it is started, or where it is.
    pub origin: Origin,
    /// A path that answers `GET` with 2xx while it is well.
    pub health: Option<String>,
    /// How long a call to it may take.
    pub timeout: Duration,
    /// What is tried, refused, repeated and asked when it is called, and over which transport.
    pub calling: ServiceOptions,
    /// Where its sidecar listens, if it has one.
    pub sidecar: Option<SocketAddr>,
}

impl Service {
    /// `host:port` of each instance; empty for a service that takes no requests.
    pub fn addresses(&self) -> Vec<String> {
        match &self.origin {
            Origin::At(addresses) => addresses.clone(),
            Origin::Run(run) => {
                run.ports().into_iter().flatten().map(|port| format!("127.0.0.1:{port}")).collect()
            }
        }
    }

    /// What its addresses begin with.
    pub fn scheme(&self) -> &'static str {
        if self.calling.tls.is_some() { "https" } else { "http" }
    }
}

/// Where a service comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It is started by `dozen up`.
    Run(Run),
    /// It runs at these `host:port`s.
    At(Vec<String>),
}

/// How to start a service.
#[derive(Clone)]
pub struct Run {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The command as it may be shown: with placeholders in the place of what they stand for.
    pub shown: String,
    /// On top of the environment that it inherits.
    pub env: Vec<(String, String)>,
    /// Where it runs. Absolute.
    pub dir: PathBuf,
    /// The port of the first instance, if it listens.
    pub port: Option<u16>,
    /// How many run; at least 1.
    pub instances: u16,
    /// Whether it is started again when it ended.
    pub restart: bool,
    /// How long it may take to become healthy.
    pub start_timeout: Duration,
}

impl Run {
    /// The port of each instance.
    pub fn ports(&self) -> Vec<Option<u16>> {
        (0..self.instances).map(|at| self.port.map(|port| port.saturating_add(at))).collect()
    }
}

impl std::fmt::Debug for Run {
    /// Without the environment and the arguments, which hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("command", &self.shown).field("dir", &self.dir).finish_non_exhaustive()
    }
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn service(name: &str, item: &Item, folder: &Path) -> Option<Service> {
    let text = |item: &Item| item.as_text().map(str::to_owned);
    let origin = match item.field("run") {
        None => {
            let bases = item.list("at").iter().map(|at| Some(scalar::base_url(at.as_text()?)?.address));
            Origin::At(bases.collect::<Option<_>>()?)
        }
        Some(_) => {
            let words = item.list("run");
            let shown: Vec<String> = words.iter().map(Item::shown).collect();
            Origin::Run(Run {
                command: words.iter().map(text).collect::<Option<_>>()?,
                shown: shown.join(" "),
                env: texts(item.get("env")?)?,
                // Collected from its parts, so that `.` leaves no trace.
                dir: folder.join(item.text("dir")?).components().collect(),
                port: item.number("port").and_then(|port| u16::try_from(port).ok()),
                instances: u16::try_from(item.number("instances")?).ok()?,
                restart: item.text("restart")? == "always",
                start_timeout: item.duration("start-timeout")?,
            })
        }
    };
    // Port 0 stands for "still to be chosen"; see `place_sidecars`.
    let sidecar = match item.get("sidecar") {
        Some(Item { value: Value::Off, .. }) => None,
        Some(sidecar) => Some(u16::try_from(sidecar.number("port").unwrap_or(0)).ok()?),
        None => matches!(origin, Origin::Run(_)).then_some(0),
    };
    Some(Service {
        name: name.to_owned(),
        origin,
        health: item.text("health").map(str::to_owned),
        timeout: item.duration("timeout")?,
        calling: super::calling(item, folder).ok()?,
        sidecar: sidecar.map(|port| SocketAddr::new(LOCALHOST, port)),
    })
}

/// Gives each sidecar that has no port the next one from 3500 on (Dapr's own default) which the file leaves free.
/// The same file always gives the same ports.
pub(super) fn place_sidecars(app: &mut App) {
    let mut taken: Vec<u16> = vec![app.registry.port()];
    taken.extend(app.gateway.iter().map(|gateway| gateway.listen.port()));
    let redirects = app.gateway.iter().filter_map(|gateway| gateway.tls.as_ref()?.redirect_from);
    taken.extend(redirects.map(|address| address.port()));
    taken.extend(app.console.iter().map(SocketAddr::port));
    taken.extend(app.api.iter().map(|api| api.listen.port()));
    for service in &app.services {
        taken.extend(service.sidecar.map(|sidecar| sidecar.port()));
        if let Origin::Run(run) = &service.origin {
            taken.extend(run.ports().into_iter().flatten());
        }
    }
    let mut free = (3500..=u16::MAX).filter(|port| !taken.contains(port));
    for sidecar in app.services.iter_mut().filter_map(|service| service.sidecar.as_mut()) {
        if sidecar.port() == 0 {
            sidecar.set_port(free.next().unwrap_or(0));
        }
    }
}
