//! What others have done: heard, where there is a connection that listens, and looked for in any case.
//!
//! The look is three sequences, which move whenever anything does. They move before the commit, so whoever finds them moved
//! hints now and once more at the next look. While nothing happens it is one statement in [`LOOK_MAX`], on the connection
//! that listens, where it also shows whether that still lives. Lost, the connection is made anew, and everything is hinted
//! at once it listens again.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dozen_core::Backoff;
use dozen_store::{Error, LOOK_MAX};
use tokio_postgres::{AsyncMessage, Client};

use crate::call::{params, rows};
use crate::error::{Doing, translate};
use crate::rows::unsigned;
use crate::shared::Shared;
use crate::tell::{ALL, BETWEEN};

/// Between two looks while something is going on and nobody listens for us.
const STEP: Duration = Duration::from_millis(10);
/// Between two looks while a transaction is under way that may leave something in the outbox.
const PENDING: Duration = Duration::from_millis(25);
/// A server that does not answer a look for this long has lost us.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the sequences said.
type Seen = [i64; 3];

/// Looks until the engine is dropped; says on `ready` when it first hears everything.
pub(crate) async fn run(shared: Arc<Shared>, us: String, ready: tokio::sync::oneshot::Sender<()>) {
    let mut ready = Some(ready);
    let mut looker = Looker { shared: &shared, seen: None, step: STEP, moved: false, pending: true };
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    let mut failures: u32 = 0;
    loop {
        let connected = connect(&shared, &us).await;
        if let Ok(client) = &connected {
            if ready.is_none() {
                // Whatever was said while nobody listened.
                shared.hints.touch_all();
                looker.pending = true;
            }
            if let Some(ready) = ready.take() {
                let _ = ready.send(());
            }
            if looker.watch(client).await {
                failures = 0;
            }
        }
        failures += 1;
        let random = failures.wrapping_mul(0x9E37_79B9).into();
        tokio::time::sleep(backoff.delay(failures, random)).await;
    }
}

async fn connect(shared: &Arc<Shared>, us: &str) -> Result<Client, Error> {
    if !shared.link.options.listen {
        return shared.link.connect().await;
    }
    let (client, mut connection) = shared.link.bare().await?;
    let (us, hearing) = (us.to_owned(), shared.clone());
    let closed = shared.link.closed.clone();
    shared.link.tasks.spawn(async move {
        let hear = async {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(said) = message {
                    hear(&hearing, &us, said.payload());
                }
            }
            // Lost: the one who looks is to see it now.
            hearing.look.notify_one();
        };
        tokio::select! { () = closed.cancelled() => {}, () = hear => {} }
    });
    let listen = format!("listen \"{}\"", shared.link.options.schema);
    let fail = |error: tokio_postgres::Error| translate(shared.location(), Doing::Working, &error);
    client.batch_execute(&listen).await.map_err(fail)?;
    Ok(client)
}

/// Another process, or anybody, has something to say. Nothing at all means: look.
fn hear(shared: &Shared, us: &str, payload: &str) {
    let mut parts = payload.split(BETWEEN);
    if payload.is_empty() {
        shared.look.notify_one();
    } else if parts.next() != Some(us) {
        let names: Vec<&str> = parts.collect();
        if names == [ALL] {
            shared.hints.touch_all();
        } else {
            shared.hints.touch(names.into_iter());
        }
    }
}

struct Looker<'a> {
    shared: &'a Shared,
    seen: Option<Seen>,
    step: Duration,
    /// Something had moved at the last look, and may have been committed since.
    moved: bool,
    /// A transaction may be about to leave something in the outbox.
    pending: bool,
}

impl Looker<'_> {
    /// Looks until the connection is lost; says whether it ever worked.
    async fn watch(&mut self, client: &Client) -> bool {
        let mut worked = false;
        loop {
            let look = tokio::time::timeout(PATIENCE, self.look(client)).await;
            if let Ok(Err(error)) = &look {
                tracing::debug!(%error, "a look at the store failed");
            }
            if !matches!(look, Ok(Ok(()))) {
                return worked;
            }
            worked = true;
            let wait = match (self.shared.link.options.listen, self.pending) {
                (_, true) => PENDING.min(self.step),
                (true, false) => LOOK_MAX,
                (false, false) => self.step,
            };
            tokio::select! {
                () = self.shared.look.notified() => self.pending = true,
                () = tokio::time::sleep(wait) => {}
            }
            if client.is_closed() {
                return worked;
            }
        }
    }

    async fn look(&mut self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let sql = self.shared.sql("select * from dozen.look()");
        let found = rows(client, &sql, &[]).await?;
        let now: Seen = [found[0].get(0), found[0].get(1), found[0].get(2)];
        let before = self.seen.replace(now);
        let moves = before.is_some_and(|before| before != now);
        if moves || self.moved {
            self.shared.hints.touch_all();
        }
        // While nobody listens for us each look is repeated less and less often, and all of them hint: a commit may take
        // longer than a step.
        self.step = if moves { STEP } else { (self.step * 3 / 2).min(LOOK_MAX) };
        self.moved = moves || (!self.shared.link.options.listen && self.step < LOOK_MAX);
        if self.pending || before.is_some_and(|before| before[2] != now[2]) {
            self.sequence(client).await?;
        }
        Ok(())
    }

    /// Makes entries of what strangers' transactions have left.
    async fn sequence(&mut self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let sql = self.shared.sql("select o_streams, o_pending, o_epoch from dozen.sequence($1)");
        let now = self.shared.link.options.clock.now().0;
        let found = rows(client, &sql, &params![now => INT8]).await?;
        let streams: Vec<String> = found[0].get(0);
        self.pending = found[0].get(1);
        let epoch = unsigned(found[0].get(2));
        if self.shared.epoch.swap(epoch, Ordering::AcqRel) != epoch {
            self.shared.names.clear();
        }
        self.shared.touch(streams.into_iter().map(Arc::from).collect());
        Ok(())
    }
}
