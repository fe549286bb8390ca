//! The gateway beside nginx, HAProxy and Envoy.
//!
//! ```text
//! core 0: load ──► core 1: one proxy with one worker, alone ──► core 0: nginx with answers of 1 and 64 KiB
//! ```
//!
//! The proxy has a core for itself, so what it uses of it is its own; the load may be what limits it, which is why
//! requests are divided by the processor time of the proxy (user and system, all its threads and children) and not by
//! the clock. Proxies that are not measured at the moment idle.
//!
//! ```text
//! plain        requests per CPU-second, beside the others      ┐ as fast as answers come (wrk)
//! work         the same of `dozen up`, with all it can do      ┘
//! latency      added at half load                              ┐
//! composition  three calls, above the slowest                  │ at a constant rate ([`crate::open`])
//! shadow       how far one who watches moves the p99           ┘
//! translation, comparison, routes                                in a process, by the clock
//! ```

mod comparison;
mod composition;
mod documents;
mod dozen;
mod latency;
mod load;
mod origin;
mod part;
mod peer;
mod plain;
mod routes;
mod shadow;
mod slow;
mod translation;
mod work;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Failure, Measurement, process};

pub(crate) use part::Part;

/// The measurements, each under the beginning of its figures' names.
pub(crate) const MEASUREMENTS: &[Measurement] = &[
    ("edge.plain", plain::measure),
    ("edge.work", work::measure),
    ("edge.latency", latency::measure),
    ("edge.composition", composition::measure),
    ("edge.translation", translation::measure),
    ("edge.comparison", comparison::measure),
    ("edge.shadow", shadow::measure),
    ("edge.routes", routes::measure),
];

/// Where the load and the origin run, and where the proxy does.
const LOAD_CORE: usize = 0;
const PROXY_CORE: usize = 1;

/// A server that is stopped when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers on TERM; KILL would leave them behind.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(mut command: Command, at: SocketAddr) -> Result<Self, Failure> {
        let name = format!("{command:?}");
        let mut running = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(at).is_err() {
            if let Some(ended) = running.0.try_wait()? {
                return Err(format!("{name} ended at once: {ended}").into());
            }
            if Instant::now() > patience {
                return Err(format!("nothing listens on {at} 10 s after the start of {name}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    fn cpu(&self) -> Duration {
        process::cpu_of_tree(self.0.id())
    }
}

/// An address that nobody listens on at the moment.
fn free() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// `program` on one core.
fn pinned(core: usize, program: impl AsRef<Path>) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("taskset");
    command.args(["-c", &core.min(cores - 1).to_string()]).arg(program.as_ref());
    command
}
