//! Keeps children running, until they are stopped or belong to somebody else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Backoff;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::child::{Alive, Ended, Life, dismiss};
use super::state::{Child, State};
use super::{Children, Order};

/// Between two starts of one child.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(30) };
/// A child that lived this long has proved that it can; its next crash counts as the first.
const PROVED: Duration = Duration::from_secs(60);

impl Children {
    /// Keeps one child running until it is told to stop, or to let go of it. What ran in its place ends first.
    async fn keep(
        self: Arc<Self>,
        at: usize,
        mut alive: Option<Alive>,
        before: Option<Alive>,
        stop: Stop,
        leave: CancellationToken,
    ) -> Option<Alive> {
        let plan = &self.plans[at];
        let guard = self.guard.get()?;
        if let Some(before) = before {
            dismiss(before, guard, &stop, self.deadline).await;
        }
        let mut failures = 0;
        while !stop.is_stopping() {
            let born = Instant::now();
            let life = Life { children: &self, plan, at, guard, stop: &stop, leave: &leave };
            let why = match life.live(alive.take()).await {
                Ended::Asked => break,
                Ended::Released(alive) => return Some(alive),
                Ended::Unasked(why) => why,
            };
            if born.elapsed() >= PROVED {
                failures = 0;
            }
            failures += 1;
            if !plan.restart {
                tracing::error!("{}: {why}; not started again (`restart: never`)", plan.label);
                self.change(at, |child| child.state = State::Stopped { why });
                return None;
            }
            let wait = BACKOFF.delay(failures, self.ids.random());
            tracing::error!("{}: {why}; starting it again in {:.1}s", plan.label, wait.as_secs_f64());
            self.change(at, |child| child.state = State::Restarting { wait, why });
            tokio::select! {
                () = stop.soft.cancelled() => break,
                () = leave.cancelled() => return None,
                () = tokio::time::sleep(wait) => self.change(at, |child| {
                    child.restarts += 1;
                    child.state = State::Starting;
                }),
            }
        }
        self.change(at, |child| child.state = State::Stopped { why: "dozen is stopping".into() });
        None
    }

    /// Keeps all of them, those that run already among them, until they are stopped (`None`) or let go of.
    async fn keep_all(
        self: &Arc<Self>,
        mut alive: Vec<Alive>,
        stop: &Stop,
        ready: &mut Option<Ready>,
        ordered: &mut mpsc::Receiver<Order>,
    ) -> Option<(Vec<Alive>, oneshot::Sender<Vec<Alive>>)> {
        let leave = CancellationToken::new();
        let stops: Vec<Stop> =
            self.plans.iter().map(|_| Stop { soft: Default::default(), hard: stop.hard.clone() }).collect();
        let mut keepers = JoinSet::new();
        for (at, (plan, stop)) in self.plans.iter().zip(&stops).enumerate() {
            let mut of = |identity: Option<u64>| {
                let is = |one: &Alive| plan.is(&one.service, one.instance, identity.or(one.identity));
                alive.iter().position(is).map(|at| alive.swap_remove(at))
            };
            let own = of(None);
            // The same service, as another file started it.
            let before = if own.is_none() { of(Some(plan.identity)) } else { None };
            if own.is_none() {
                let is_done =
                    matches!(self.states.borrow()[at].state, State::Stopped { .. }) && !plan.restart;
                if is_done {
                    continue; // another dozen has seen its end
                }
                self.change(at, |child| (child.state, child.pid) = (State::Starting, None));
            }
            keepers.spawn(self.clone().keep(at, own, before, stop.clone(), leave.clone()));
        }
        // Nobody needs them any more, and nobody waits for their end.
        for gone in alive {
            let (children, stop) = (self.clone(), stop.clone());
            keepers.spawn(async move {
                dismiss(gone, children.guard.get()?, &stop, children.deadline).await;
                None
            });
        }
        if let Some(ready) = ready.take() {
            tokio::select! {
                () = self.settled() => ready.ready(),
                () = stop.soft.cancelled() => drop(ready),
            }
        }
        let reply = loop {
            tokio::select! { biased;
                () = stop.soft.cancelled() => break None,
                order = ordered.recv() => if let Some(Order::Release(reply)) = order {
                    break Some(reply);
                },
            }
        };
        match &reply {
            Some(_) => leave.cancel(),
            None => self.stop_in_order(&stops, stop).await,
        }
        let mut left = Vec::new();
        while let Some(kept) = keepers.join_next().await {
            left.extend(kept.ok().flatten());
        }
        reply.map(|reply| (left, reply))
    }

    /// Returns when each child is healthy or has shown for the first time that it is not.
    async fn settled(&self) {
        let settled = |child: &Child| child.state != State::Starting;
        // The sender is `self`: the channel cannot close.
        let _ = self.states().wait_for(|children| children.iter().all(settled)).await;
    }

    /// Asks the children to stop, the last first. One that is deaf delays those before it by its share of the
    /// deadline, so that each is asked before anything is cut.
    async fn stop_in_order(&self, stops: &[Stop], hard: &Stop) {
        let share = self.deadline / u32::try_from(stops.len() + 1).unwrap_or(u32::MAX);
        for (at, stop) in stops.iter().enumerate().rev() {
            stop.soft.cancel();
            let mut states = self.states();
            let ended = states.wait_for(|children| matches!(children[at].state, State::Stopped { .. }));
            tokio::select! {
                _ = ended => {}
                () = tokio::time::sleep(share) => {}
                () = hard.hard.cancelled() => {}
            }
        }
    }
}

#[async_trait]
impl Service for Children {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let mut ordered = self.ordered.lock().await;
        let mut ready = Some(ready);
        let mut owns = Some(Vec::new());
        if self.is_heir {
            // They run, and that is what everybody who starts after them waits for.
            if let Some(ready) = ready.take() {
                ready.ready();
            }
            owns = None;
        }
        loop {
            let alive = match owns.take() {
                Some(alive) => alive,
                None => tokio::select! { biased;
                    () = stop.soft.cancelled() => return Ok(()),
                    order = ordered.recv() => match order {
                        Some(Order::Take { standing, alive }) => {
                            self.learn(&standing);
                            alive
                        }
                        _ => continue,
                    },
                },
            };
            match self.keep_all(alive, &stop, &mut ready, &mut ordered).await {
                // Who asked may have given up by now; they are owned again by whoever takes them.
                Some((left, reply)) => owns = reply.send(left).err(),
                None => return Ok(()),
            }
        }
    }
}
