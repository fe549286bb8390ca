//! Which processes a configuration asks for, and the environment that each gets.

use std::path::PathBuf;
use std::time::Duration;

use dozen_core::Fnv;

use crate::config::{App, Origin};

/// One process to keep running.
#[derive(Clone)]
pub struct Plan {
    /// The service.
    pub service: String,
    /// Which instance of it, from 1.
    pub instance: u16,
    /// What its lines are prefixed with: the service, and the instance where there are several.
    pub label: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The command as it may be shown.
    pub shown: String,
    /// Where it runs.
    pub dir: PathBuf,
    /// On top of the inherited environment.
    pub env: Vec<(String, String)>,
    /// Where it listens.
    pub port: Option<u16>,
    /// What to ask it.
    pub health: Option<String>,
    /// Whether it is started again.
    pub restart: bool,
    /// How long it may take to become healthy.
    pub start_timeout: Duration,
    /// The same for each process that this one could be: what it is started with, as far as the file says.
    pub identity: u64,
}

impl Plan {
    /// Whether it plans this instance of this service, and a process of this identity, if that is known.
    pub(super) fn is(&self, service: &str, instance: u16, identity: Option<u64>) -> bool {
        (service, instance) == (self.service.as_str(), self.instance)
            && identity.is_none_or(|identity| identity == self.identity)
    }
}

/// A number for `parts`: the same from one version of this program to the next, because both speak of it.
fn identity(parts: &[&str]) -> u64 {
    // A byte that no text has ends each part.
    Fnv::of(parts.iter().flat_map(|part| part.bytes().chain([0xff])))
}

/// One plan for each instance of each service that is to be started, in the order of the file.
pub fn plans(app: &App) -> Vec<Plan> {
    let mut plans = Vec::new();
    for service in &app.services {
        let Origin::Run(run) = &service.origin else { continue };
        for (port, instance) in run.ports().into_iter().zip(1u16..) {
            let mut env = vec![
                ("APP_ID".to_owned(), service.name.clone()),
                ("DOZEN_SERVICE".to_owned(), service.name.clone()),
                ("DOZEN_STORE".to_owned(), app.store_url()),
                ("DOZEN_REGISTRY".to_owned(), format!("http://{}", app.registry)),
            ];
            if let Some(port) = port {
                env.push(("PORT".to_owned(), port.to_string()));
                env.push(("APP_PORT".to_owned(), port.to_string()));
            }
            if let Some(sidecar) = service.sidecar {
                env.push(("DAPR_HTTP_PORT".to_owned(), sidecar.port().to_string()));
                env.push(("DAPR_HTTP_ENDPOINT".to_owned(), format!("http://{sidecar}")));
                env.push(("DOZEN_URL".to_owned(), format!("http://{sidecar}")));
            }
            // Only what differs by the file, in the order in which it was first told to processes that run today.
            let told = ["PORT", "DOZEN_URL", "DOZEN_STORE", "DOZEN_REGISTRY"];
            let told = told.iter().filter_map(|name| env.iter().find(|(known, _)| known == name));
            let dir = run.dir.to_string_lossy();
            let mut parts: Vec<&str> = run.command.iter().map(String::as_str).chain([&*dir]).collect();
            parts.extend(told.chain(&run.env).flat_map(|(name, value)| [name.as_str(), value]));
            let identity = identity(&parts);
            env.extend(run.env.iter().cloned());
            plans.push(Plan {
                service: service.name.clone(),
                instance,
                label: match run.instances {
                    1 => service.name.clone(),
                    _ => format!("{}.{instance}", service.name),
                },
                command: run.command.clone(),
                shown: run.shown.clone(),
                dir: run.dir.clone(),
                env,
                port,
                health: service.health.clone(),
                restart: run.restart,
                start_timeout: run.start_timeout,
                identity,
            });
        }
    }
    plans
}
