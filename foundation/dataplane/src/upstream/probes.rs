//! The loop that asks endpoints whether they are well.
//!
//! ```text
//! Probes (one in a process) ── every second, or when told ──► who is in use, and is to be asked?
//!    │ one task for each service and address; it ends with its endpoint
//!    └─► wait (interval ± jitter) ─► GET path ─► Upstream::probed ─► the next pick knows
//! ```
//!
//! The number of routes and of workers does not matter: an endpoint is asked once in its interval by each process. At
//! most so many endpoints are probed, and at most so many asked at one time; endpoints beyond that count as not probed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Ids;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use http::Request;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::endpoint::EndpointState;
use super::health::HealthPolicy;
use super::{Upstream, Upstreams};
use crate::{Body, Client};

/// Endpoints that are probed.
const PROBED_MAX: usize = 10_000;
/// Questions under way at one time.
const ASKED_MAX: usize = 64;
/// How often the sets are looked at while nobody says that they changed.
const LOOK: Duration = Duration::from_secs(1);
/// The most of an answer that is read.
const ANSWER_MAX: usize = 64 * 1024;

/// Asks the endpoints of all services whose policy says so.
#[derive(Debug)]
pub struct Probes {
    upstreams: Arc<Upstreams>,
    client: Client,
    ids: Ids,
    turns: Semaphore,
}

/// A task, and the policy that it began with.
struct Probing {
    task: AbortHandle,
    policy: HealthPolicy,
}

impl Probes {
    /// For the services of `upstreams`; `ids` for the jitter.
    pub fn new(upstreams: Arc<Upstreams>, ids: Ids) -> Self {
        Self { upstreams, client: Client::new(), ids, turns: Semaphore::new(ASKED_MAX) }
    }

    /// Starts what is missing and ends what is no longer wanted.
    fn adjust(self: &Arc<Self>, tasks: &mut JoinSet<()>, probing: &mut HashMap<u64, Probing>) {
        let mut kept = HashMap::with_capacity(probing.len());
        for upstream in self.upstreams.all() {
            let roster = upstream.roster();
            let Some(policy) = &roster.policy.health else { continue };
            for member in &roster.members {
                if kept.len() >= PROBED_MAX {
                    break;
                }
                let id = member.state.id;
                let running = probing.remove(&id).filter(|running| {
                    let is_same = running.policy == *policy && !running.task.is_finished();
                    if !is_same {
                        running.task.abort();
                    }
                    is_same
                });
                let probe = || self.clone().probe(upstream.clone(), member.state.clone(), policy.clone());
                let running =
                    running.unwrap_or_else(|| Probing { task: tasks.spawn(probe()), policy: policy.clone() });
                kept.insert(id, running);
            }
        }
        for (_, gone) in std::mem::replace(probing, kept) {
            gone.task.abort();
        }
    }

    /// Asks one endpoint again and again.
    async fn probe(
        self: Arc<Self>,
        upstream: Arc<Upstream>,
        state: Arc<EndpointState>,
        policy: HealthPolicy,
    ) {
        // The first question soon, but not all at once.
        let mut wait =
            policy.wait(self.ids.random()).min(LOOK).mul_f32(self.ids.random() as f32 / u64::MAX as f32);
        loop {
            sleep(wait).await;
            let Ok(turn) = self.turns.acquire().await else { return };
            // The newest set may be without it.
            drop(upstream.roster());
            if !state.is_in_use() {
                return;
            }
            let asking = self.ask(&upstream, &state, &policy);
            let is_good = timeout(policy.timeout, asking).await.unwrap_or(false);
            drop(turn);
            upstream.probed(&state, is_good);
            wait = policy.wait(self.ids.random());
        }
    }

    async fn ask(&self, upstream: &Upstream, state: &EndpointState, policy: &HealthPolicy) -> bool {
        let request = Request::get(&policy.path).header("user-agent", "dozen-probe").body(Body::empty());
        let Ok(request) = request else { return false };
        // Asked as its requests are: a service of TLS that answers without it is not well.
        let client = self.client.over(upstream.transport());
        let answer = client.ask(&state.at, request, policy.timeout).await;
        let Ok(answer) = answer else { return false };
        let is_good = policy.expects(answer.status().as_u16());
        // Read to its end, so that the connection can be used again; a body that breaks off is no good answer.
        match answer.into_body().collect(ANSWER_MAX).await {
            Ok(_) | Err(crate::Error::BodyTooLarge { .. }) => is_good,
            Err(_) => false,
        }
    }
}

#[async_trait]
impl Service for Probes {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let (mut tasks, mut probing) = (JoinSet::new(), HashMap::new());
        ready.ready();
        loop {
            self.adjust(&mut tasks, &mut probing);
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                () = self.upstreams.changed.notified() => {}
                () = sleep(LOOK) => {}
            }
            while tasks.try_join_next().is_some() {}
        }
        // A question without an answer is no loss.
        tasks.shutdown().await;
        Ok(())
    }
}
