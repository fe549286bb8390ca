//! The port that an engine implements.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Token;
use tokio::sync::watch;

use crate::{Answer, Error, Op, Outcome, Query};

/// What an engine can do beyond the promises that all of them keep. Cases of the conformance suite that need an
/// ability which is absent are shown as skipped, with this as the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The engine's name.
    pub engine: &'static str,
    /// What was committed outlives the process.
    pub durable: bool,
    /// Several processes may use one store at the same time.
    pub shared: bool,
    /// The caller's own SQL may stand in a transaction.
    pub sql: bool,
}

/// What a commit gives back.
#[derive(Clone, Debug)]
pub struct Committed {
    /// One outcome for each operation, in order.
    pub outcomes: Vec<Outcome>,
    /// Names this commit for those who wait for it.
    pub token: Token,
}

/// A store's engine. Each promise is a test of the same name in `testkit/conformance`, run against every engine.
///
/// * `append_is_the_callers` – an entry is visible if and only if the transaction that appended it committed.
/// * `commit_order_is_read_order` – a reader never steps over an entry that becomes visible later.
/// * `per_key_order_is_strict` – of one key, one message at a time is handed out, in the order of their positions.
/// * `a_parked_key_holds_what_follows` – and only that: other keys flow.
/// * `a_claim_is_fenced` – after a lease has passed on, its old holder settles nothing.
/// * `a_lease_that_ends_is_handed_out_again` – with one attempt more.
/// * `a_reader_with_nothing_in_hand_has_no_moment_to_wait_for` – so that an idle one asks nothing.
/// * `a_wake_up_is_a_hint` – a reader that misses all of them still sees every entry by asking.
/// * `a_lost_wake_up_is_made_up_for` – whatever happens to the way that wake-ups take, the hint comes within [`LOOK_MAX`] of
///   the commit. So nobody else needs to look in vain: an idle process costs one look of its engine.
/// * `a_failed_operation_leaves_nothing` – not of its transaction, and everything of its neighbours'.
/// * `a_dropped_transaction_leaves_nothing`.
/// * `a_delay_holds_one_message`, and `a_released_message_keeps_its_own_delay` – a message behind another of its key
///   waits for both.
/// * `a_clock_that_is_set_back_holds_nothing_up` – leases and retries are then measured by the clock as it is.
/// * `a_put_expects_what_it_says` – compare-and-set on table rows; an expired row is an absent one.
/// * `a_requirement_fails_the_whole` – and names the row.
/// * `a_mark_is_made_once` – however many try at the same time; it is kept for as long as it says, and forgotten by the day.
/// * `a_key_has_as_many_out_as_it_may` – and no more, in order.
/// * `what_is_sifted_out_leaves_no_trace` – nor is anything passed over that the caller has not looked at.
/// * `a_paused_reader_gets_nothing` – and all of it afterwards.
/// * `an_edit_is_the_readers_own`.
/// * `a_trim_spares_what_is_needed`, by age and by size, and `compaction_keeps_the_last_of_a_key`.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Runs a transaction that is known in full: all of `ops`, in order, or none.
    ///
    /// Durable when it returns `Ok`, except that a batch of nothing but claims and extensions may be lost with the
    /// machine's power: such a lease is given out again under another fence.
    async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error>;

    /// Opens a transaction that is decided step by step.
    async fn begin(&self) -> Result<Box<dyn EngineTx>, Error>;

    /// Reads from one snapshot of what is committed.
    async fn query(&self, query: Query) -> Result<Answer, Error>;

    /// Hints that something was appended to the stream `name`; for the name that [`hint_of`] gives, that one of its readers
    /// has something again that it had before; for the name that [`end_of`] gives, that claims of a reader have ended. By
    /// this process or another.
    fn changes(&self, name: &str) -> Changes;
}

/// Under which name an engine hints at one reader: a retry, a key that is free again, a dead letter that is redriven.
/// Apart from the stream's own, so that a thousand subscriptions do not wake for the retry of one.
pub fn hint_of(stream: &str, reader: &str) -> Arc<str> {
    format!("{stream}\n{reader}").into()
}

/// Under which name an engine hints that claims of a reader have ended for good: done, dropped or given up. For those who
/// wait for the outcome of a message.
pub fn end_of(stream: &str, reader: &str) -> Arc<str> {
    format!("{stream}\n{reader}\nend").into()
}

/// How long a hint may be missing: see [`Engine`].
pub const LOOK_MAX: Duration = Duration::from_secs(5);

/// A transaction under way. Dropped, it leaves nothing.
#[async_trait]
pub trait EngineTx: Send {
    /// Runs operations; later reads of this transaction see them.
    async fn apply(&mut self, ops: Vec<Op>) -> Result<Vec<Outcome>, Error>;

    /// Runs the last operations and commits.
    async fn commit(self: Box<Self>, ops: Vec<Op>) -> Result<Committed, Error>;
}

/// Hints, never more: a counter that moves when it is worth looking again.
pub type Changes = watch::Receiver<u64>;
