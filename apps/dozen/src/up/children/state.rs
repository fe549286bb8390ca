//! What is known of a child.

use std::time::Duration;

use dozen_core::Timestamp;

use super::plan::Plan;

/// What a child is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its process runs; it has not answered its first probe yet.
    Starting,
    /// It answers.
    Healthy,
    /// It answered before and does not now.
    Unhealthy {
        /// What the last probe saw.
        why: String,
    },
    /// It is not running, and will be started again.
    Restarting {
        /// How long until then.
        wait: Duration,
        /// Why it is not running.
        why: String,
    },
    /// It is not running, and will not be started again.
    Stopped {
        /// Why.
        why: String,
    },
}

/// One child as others see it.
#[derive(Clone, Debug)]
pub struct Child {
    /// The service of the file.
    pub service: String,
    /// Which instance, from 1.
    pub instance: u16,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// When that process was started.
    pub since: Option<Timestamp>,
    /// Where it listens.
    pub port: Option<u16>,
    /// What it is doing.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
    /// That of its plan; none where an earlier version of this program does not tell.
    pub(in crate::up) identity: Option<u64>,
}

impl Child {
    /// One that has no process yet.
    pub(super) fn unborn(plan: &Plan) -> Self {
        Self {
            service: plan.service.clone(),
            instance: plan.instance,
            pid: None,
            since: None,
            port: plan.port,
            state: State::Starting,
            restarts: 0,
            identity: Some(plan.identity),
        }
    }

    /// Whether it is what is planned, as far as can be told.
    pub(super) fn is(&self, plan: &Plan) -> bool {
        plan.is(&self.service, self.instance, self.identity)
    }
}
