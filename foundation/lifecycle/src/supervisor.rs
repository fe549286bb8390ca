//! Starts services, waits for them, stops them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::chain;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::Stop;

/// Any error that can be sent to another task.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A part of the process with a life of its own.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Runs until `stop.soft` is cancelled and what was in flight is done, or `stop.hard` is cancelled.
    ///
    /// Calls [`Ready::ready`] once it can do its work. Dropping `ready` unsaid means that it never will.
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError>;
}

/// Says that a service can do its work.
#[derive(Debug)]
pub struct Ready(watch::Sender<bool>);

impl Ready {
    /// A signal and the end to wait on, for running a service without a supervisor.
    pub fn channel() -> (Self, watch::Receiver<bool>) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), receiver)
    }

    /// It can.
    pub fn ready(self) {
        self.0.send_replace(true);
    }
}

/// How a process ended.
#[derive(Debug, Default)]
pub struct Report {
    /// The service that ended or failed while nobody asked it to, and why.
    pub failed: Option<(String, String)>,
    /// The services that had to be cut because they did not end by the deadline.
    pub cut: Vec<String>,
}

impl Report {
    /// Whether everything ended when it was asked to, by itself.
    pub fn is_clean(&self) -> bool {
        self.failed.is_none() && self.cut.is_empty()
    }
}

struct Running {
    name: String,
    task: Id,
    stop: Stop,
    ready: watch::Receiver<bool>,
    ended: bool,
}

/// Owns services, from start to end.
pub struct Supervisor {
    tasks: JoinSet<Result<(), BoxError>>,
    running: Vec<Running>,
    deadline: Duration,
    grace: Duration,
}

impl Supervisor {
    /// Services get `deadline` to drain, in all, before what is left is cut.
    pub fn new(deadline: Duration) -> Self {
        Self { tasks: JoinSet::new(), running: Vec::new(), deadline, grace: Duration::from_secs(1) }
    }

    /// Starts a service. Later ones stop first.
    pub fn start(&mut self, name: impl Into<String>, service: Arc<dyn Service>) {
        let stop = Stop::new();
        let (ready, watching) = Ready::channel();
        let task = self.tasks.spawn(service.run(stop.clone(), ready)).id();
        self.running.push(Running { name: name.into(), task, stop, ready: watching, ended: false });
    }

    /// Returns when every service is ready; fails with the first that never will be.
    pub async fn ready(&mut self) -> Result<(), Report> {
        for at in 0..self.running.len() {
            if self.running[at].ready.wait_for(|ready| *ready).await.is_err() {
                return Err(Report { failed: Some(self.ending_of(at).await), ..Report::default() });
            }
        }
        Ok(())
    }

    /// Why the service at `at`, which dropped its readiness, ended.
    async fn ending_of(&mut self, at: usize) -> (String, String) {
        let name = self.running[at].name.clone();
        while let Some(done) = self.tasks.join_next_with_id().await {
            let (id, why) = outcome(done);
            if let Some(running) = self.running.iter_mut().find(|running| running.task == id) {
                running.ended = true;
                if running.name == name {
                    return (name, why.unwrap_or_else(|| "ended before it was ready".into()));
                }
            }
        }
        (name, "ended before it was ready".into())
    }

    /// Runs until `until` completes or a service ends unasked, then stops everything.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Report {
        let failed = tokio::select! {
            () = until => None,
            Some(done) = self.tasks.join_next_with_id() => Some(self.record(done)),
        };
        self.stop(failed).await
    }

    fn record(&mut self, done: Result<(Id, Result<(), BoxError>), JoinError>) -> (String, String) {
        let (id, why) = outcome(done);
        let name = match self.running.iter_mut().find(|running| running.task == id) {
            Some(running) => {
                running.ended = true;
                running.name.clone()
            }
            None => String::new(),
        };
        (name, why.unwrap_or_else(|| "ended although nobody asked it to".into()))
    }

    /// Stops everything, the last started first, and says what had to be cut.
    pub async fn stop(mut self, failed: Option<(String, String)>) -> Report {
        let mut report = Report { failed, cut: Vec::new() };
        let deadline = tokio::time::Instant::now() + self.deadline;
        for at in (0..self.running.len()).rev() {
            self.running[at].stop.soft.cancel();
            while !self.running[at].ended {
                match tokio::time::timeout_at(deadline, self.tasks.join_next_with_id()).await {
                    Ok(Some(done)) => self.note(done, &mut report),
                    Ok(None) => break,
                    Err(_) => break,
                }
            }
        }
        if self.running.iter().all(|running| running.ended) {
            return report;
        }
        for running in self.running.iter().filter(|running| !running.ended) {
            tracing::warn!(service = running.name, "did not end by the deadline; cutting it");
            report.cut.push(running.name.clone());
            running.stop.soft.cancel();
            running.stop.hard.cancel();
        }
        let grace = tokio::time::Instant::now() + self.grace;
        while let Ok(Some(done)) = tokio::time::timeout_at(grace, self.tasks.join_next_with_id()).await {
            self.note(done, &mut report);
        }
        self.tasks.shutdown().await;
        report
    }

    fn note(&mut self, done: Result<(Id, Result<(), BoxError>), JoinError>, report: &mut Report) {
        let (id, why) = outcome(done);
        let Some(running) = self.running.iter_mut().find(|running| running.task == id) else { return };
        running.ended = true;
        if let Some(why) = why {
            report.failed.get_or_insert((running.name.clone(), why));
        }
    }
}

/// Which task ended, and why if it failed.
fn outcome(done: Result<(Id, Result<(), BoxError>), JoinError>) -> (Id, Option<String>) {
    match done {
        Ok((id, Ok(()))) => (id, None),
        Ok((id, Err(error))) => (id, Some(chain(&*error))),
        Err(error) if error.is_panic() => (error.id(), Some("panicked".into())),
        Err(error) => (error.id(), Some("was cancelled".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Scripted {
        name: &'static str,
        deaf: bool,
        fails: Option<&'static str>,
        log: Arc<Mutex<Vec<&'static str>>>,
    }

    #[async_trait]
    impl Service for Scripted {
        async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
            if let Some(why) = self.fails {
                return Err(why.into());
            }
            ready.ready();
            if self.deaf {
                stop.hard.cancelled().await
            } else {
                stop.soft.cancelled().await
            }
            self.log.lock().expect("no test panics while it holds the log").push(self.name);
            Ok(())
        }
    }

    fn scripted(name: &'static str, log: &Arc<Mutex<Vec<&'static str>>>) -> Scripted {
        Scripted { name, deaf: false, fails: None, log: log.clone() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_started_stops_first() {
        let log = Arc::default();
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        supervisor.start("store", Arc::new(scripted("store", &log)));
        supervisor.start("gateway", Arc::new(scripted("gateway", &log)));
        supervisor.ready().await.unwrap();
        let report = supervisor.run(async {}).await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(*log.lock().unwrap(), ["gateway", "store"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deaf_service_is_cut_at_the_deadline_and_named() {
        let log = Arc::default();
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        supervisor.start("deaf", Arc::new(Scripted { deaf: true, ..scripted("deaf", &log) }));
        supervisor.start("quick", Arc::new(scripted("quick", &log)));
        let report = supervisor.run(async {}).await;
        assert_eq!(report.cut, ["deaf"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_becomes_ready_says_why() {
        let log = Arc::default();
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        let broken = Scripted { fails: Some("port 80 is taken"), ..scripted("broken", &log) };
        supervisor.start("broken", Arc::new(broken));
        let report = supervisor.ready().await.unwrap_err();
        assert_eq!(report.failed, Some(("broken".into(), "port 80 is taken".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_stops_the_rest() {
        let log = Arc::default();
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        supervisor.start("fine", Arc::new(scripted("fine", &log)));
        let broken = Scripted { fails: Some("disk on fire"), ..scripted("broken", &log) };
        supervisor.start("broken", Arc::new(broken));
        let report = supervisor.run(std::future::pending()).await;
        assert_eq!(report.failed, Some(("broken".into(), "disk on fire".into())));
        assert_eq!(*log.lock().unwrap(), ["fine"]);
    }
}
