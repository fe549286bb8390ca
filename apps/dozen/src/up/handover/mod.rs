//! A new binary takes over from a running one, and no request is lost.
//!
//! ```text
//!   SIGUSR2
//!      ▼
//!   old process ── starts ──► `dozen up --take-over`       the file on disk: the new binary
//!      │ ── offer: listening sockets, who runs, who registered ──►  binds nothing, opens the store,
//!      │                                                            accepts beside the old one
//!      │ ◄─────────────────────── ready ──────────────────────────
//!      │ lets go of its services
//!      │ ── given: their processes, pipes, the guard ─────────────► owns them; they never notice
//!      │ ◄─────────────────────── taken ──────────────────────────
//!   drains: `connection: close`, GOAWAY; exit 0
//! ```
//!
//! What goes between them are messages with open files, over a socket pair that is the new one's standard input: there
//! is no path that somebody else could connect to.
//!
//! * Both accept from the same sockets for a moment, so no connection waits in a queue that is thrown away.
//! * The new one is not ready, dies, or says nothing for a minute: it is killed, the reason is told, and the old one
//!   goes on as if nothing had been asked. Its services were never let go of, or are taken back.
//! * The old one dies meanwhile: the new one has the sockets, and starts the services anew.
//! * The file may say anything by then that a new process could begin with; one with mistakes is refused before anything is
//!   started. Services that it says nothing else of run on. Those that it starts in another way are stopped and started anew
//!   by the new one, those that it has not are stopped, and those that are new are started; they are not waited for.
//! * In-memory counters begin at 0, as after a restart; what is in the store is one truth for both.
//!
//! Whoever watches the process id has to be told: `MAINPID` goes to systemd (see `notify`).

mod predecessor;
mod successor;
mod wire;

use std::net::SocketAddr;

use dozen_core::{Endpoint, Timestamp};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::{Child, State};

pub(crate) use predecessor::Predecessor;
pub(super) use successor::{Succession, program};

/// What both sides speak. A new binary that speaks another one says so and ends, and the old one goes on.
const PROTOCOL: u32 = 1;

/// From the old to the new: what it can begin with. The sockets are the files of the message.
#[derive(Serialize, Deserialize)]
struct Offer {
    protocol: u32,
    sockets: Vec<Socket>,
    children: Vec<Standing>,
    registered: Vec<Registered>,
}

#[derive(Serialize, Deserialize)]
struct Socket {
    setting: String,
    asked: SocketAddr,
}

/// What the old one knows of a child.
#[derive(Serialize, Deserialize)]
struct Standing {
    service: String,
    instance: u16,
    pid: Option<u32>,
    since: Option<i64>,
    port: Option<u16>,
    is_healthy: bool,
    /// Why it is not to be started again.
    stopped: Option<String>,
    restarts: u64,
    /// What it was started as; not told by earlier versions.
    #[serde(default)]
    identity: Option<u64>,
}

/// An instance that registered itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) service: String,
    pub(super) endpoint: Endpoint,
    pub(super) ttl_ms: u64,
}

/// From the old to the new: what is its own from now on. The files of the message are the guard's pipe, then two pipes
/// of each process.
#[derive(Serialize, Deserialize)]
struct Given {
    children: Vec<Standing>,
    alive: Vec<Running>,
}

#[derive(Serialize, Deserialize)]
struct Running {
    service: String,
    instance: u16,
    pid: i32,
    since: Option<i64>,
    is_healthy: bool,
    #[serde(default)]
    identity: Option<u64>,
}

/// From the new to the old.
#[derive(Serialize, Deserialize)]
enum Answer {
    /// It serves.
    Ready,
    /// It never will, and ends.
    Failed(String),
    /// The services are its own.
    Taken,
}

impl From<&Child> for Standing {
    fn from(child: &Child) -> Self {
        Self {
            service: child.service.clone(),
            instance: child.instance,
            pid: child.pid,
            since: child.since.map(|since| since.0),
            port: child.port,
            is_healthy: child.state == State::Healthy,
            stopped: match &child.state {
                State::Stopped { why } => Some(why.clone()),
                _ => None,
            },
            restarts: child.restarts,
            identity: child.identity,
        }
    }
}

impl From<Standing> for Child {
    fn from(child: Standing) -> Self {
        let state = match child.stopped {
            Some(why) => State::Stopped { why },
            None if child.is_healthy => State::Healthy,
            None => State::Starting,
        };
        Self {
            service: child.service,
            instance: child.instance,
            pid: child.pid,
            since: child.since.map(Timestamp),
            port: child.port,
            state,
            restarts: child.restarts,
            identity: child.identity,
        }
    }
}

fn pid(number: i32) -> std::io::Result<Pid> {
    Pid::from_raw(number).ok_or_else(|| std::io::Error::other("a process was handed over without an id"))
}
