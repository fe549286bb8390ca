//! One limit over several gateways, without asking anybody before answering.
//!
//! ```text
//!   gateway A                    row of a key in the store                  gateway B
//!   base ── own ──► tat   ───►   max(row, now) + own of A      ◄───   base ── own ──► tat
//!                         ◄───   … + own of B                  ───►
//!                     every `sync`, compare-and-set; nothing of it on a request's way
//! ```
//!
//! The row of a key holds the theoretical arrival time (see [`super::Gcra`]) of all gateways together, on the wall clock.
//! A gateway keeps what it read last (`base`) and where its own requests have moved that since (`tat`). A request is
//! decided on `tat` alone. Every `sync` the difference is added to the row, and what others added comes back.
//!
//! **Share.** Between two looks at the row a gateway lets through at most its share of what the row had left:
//! `max(1, room / gateways)`. Who has used up its share looks again at once, instead of at the next `sync`, and refuses
//! meanwhile. So a client that speaks to one gateway only gets all of its burst too, in a few looks.
//!
//! **The error.** Nothing that passes is ever left out of the row, so what passed too much is a debt: nothing more passes
//! until it is paid, and over a long time the rate is kept exactly. For a while, with `G` gateways and a burst of `B`, more
//! than `B + rate × time` can pass, by at most `2 × max(B, G)`:
//!
//! * Let `x` be the moment at which the true sum reaches the limit. A gateway goes on until it has seen a row with
//!   everything that passed before `x`. Its first look after `x` may still miss what others have not written yet; they
//!   write it within `sync`, so its second look does not.
//! * Between two looks it lets through at most a share, `max(1, B/G)`. That is two shares, for each of `G` gateways.
//!
//! Where all gateways have looked after the last change (the usual case, with one request in `sync` or fewer) the shares
//! are parts of the same room, and nothing passes too much but one request for each gateway where the room is smaller than
//! their number. Wall clocks that differ by `d` move the limit by `rate × d`. A gateway that has just started is not
//! counted by the others for some seconds, and one that dies takes with it what it had not written: a share each.
//!
//! **When the store is away** the file says what happens: `local` counts on this gateway alone, with the whole rate (so at
//! most `G` times the limit), `allow` lets everything pass, `deny` refuses with 503. It counts as away from a look that
//! failed until one that does not.

mod meeting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dozen_core::{Clock, Timestamp};
use dozen_store::{Store, Table};
use serde::Serialize;
use tokio::sync::Notify;

use super::keyed::{Keyed, Used};
use super::{Decision, Gcra, KeyOf, Members, OnStoreLoss};
use crate::auth::Reason;

/// The least time between two turns, however often somebody asks.
const PAUSE: Duration = Duration::from_millis(10);

/// A shared limit, as one gateway sees it.
pub(crate) struct Shared {
    name: String,
    gcra: Gcra,
    sync: Duration,
    on_loss: OnStoreLoss,
    table: Table,
    clock: Arc<dyn Clock>,
    members: Arc<Members>,
    records: Keyed<Record>,
    anchor: ArcSwap<Anchor>,
    away: AtomicBool,
    looks: AtomicUsize,
    nudge: Arc<Notify>,
}

/// What can be said of a shared limit, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SharedHealth {
    /// The limit: the route or plan, its place there, its rate and burst.
    pub limit: String,
    /// How many gateways count together, as far as this one knows.
    pub gateways: u32,
    /// Whether its store is away.
    pub away: bool,
}

/// One moment on both clocks. In between, the monotonic one counts on, so that a jump shows only from turn to turn.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: Instant,
    wall: u64,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
struct Record {
    id: [u8; 16],
    /// The row, as it was last read or written.
    base: u64,
    /// The same with what has passed here since.
    tat: u64,
    version: Option<u64>,
    /// Whether somebody asked since the row was last met.
    touched: bool,
}

impl Used for Record {
    fn used_until(&self) -> u64 {
        self.tat
    }
}

impl Record {
    /// What has passed here and is not in the row, as a stretch of time; what has aged away is nothing.
    fn own(&self, now: u64) -> u64 {
        self.tat.saturating_sub(self.base.max(now))
    }
}

/// What a shared limit is made of.
pub(crate) struct Parts<'p> {
    pub(crate) name: String,
    pub(crate) gcra: Gcra,
    pub(crate) sync: Duration,
    pub(crate) on_loss: OnStoreLoss,
    pub(crate) keys_max: usize,
    pub(crate) store: &'p Store,
    pub(crate) members: Arc<Members>,
}

impl Shared {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let clock = parts.store.clock().clone();
        Self {
            name: parts.name,
            gcra: parts.gcra,
            sync: parts.sync.max(PAUSE),
            on_loss: parts.on_loss,
            table: parts.store.table("gateway-limit"),
            members: parts.members,
            records: Keyed::new(parts.keys_max),
            anchor: ArcSwap::from_pointee(Anchor { at: instant(), wall: nanos(clock.now()) }),
            away: AtomicBool::new(false),
            looks: AtomicUsize::new(0),
            nudge: Arc::default(),
            clock,
        }
    }

    /// Decides on the spot.
    pub(crate) fn take(&self, key: &KeyOf<'_>, started: Instant) -> Result<Decision, Reason> {
        let away = self.away.load(Ordering::Relaxed);
        match (away, self.on_loss) {
            (true, OnStoreLoss::Deny) => return Err(Reason::StoreAway),
            (true, OnStoreLoss::Allow) => {
                let (reset, retry_after) = (Duration::ZERO, Duration::ZERO);
                return Ok(Decision { passes: true, remaining: self.gcra.burst(), reset, retry_after });
            }
            _ => {}
        }
        let now = self.now(started);
        let gateways = if away { 1 } else { self.members.count() };
        let fresh = || Record { id: key.stable(), base: 0, tat: 0, version: None, touched: false };
        Ok(self.records.with(key, now, fresh, |record| {
            record.touched = true;
            record.tat = record.tat.min(self.latest(now));
            let (decision, next) = self.gcra.decide(record.tat, now);
            if decision.passes && !self.is_within_share(record, now, gateways) {
                self.nudge.notify_one();
                return Decision { passes: false, remaining: 0, retry_after: self.sync, ..decision };
            }
            record.tat = next;
            decision
        }))
    }

    /// How it is.
    pub(crate) fn health(&self) -> SharedHealth {
        let away = self.away.load(Ordering::Relaxed);
        SharedHealth { limit: self.name.clone(), gateways: self.members.count(), away }
    }

    fn is_within_share(&self, record: &Record, now: u64, gateways: u32) -> bool {
        let own = record.own(now).div_ceil(self.gcra.interval());
        let share = (self.gcra.room(record.base, now) / gateways).max(1);
        gateways == 1 || own < u64::from(share)
    }

    fn now(&self, started: Instant) -> u64 {
        let anchor = self.anchor.load();
        anchor.wall + duration_nanos(started.saturating_duration_since(anchor.at))
    }

    /// No debt reaches further than this, unless a clock has jumped.
    fn latest(&self, now: u64) -> u64 {
        let debt_max = u64::from(self.gcra.burst().max(self.members.count())).saturating_mul(4);
        now.saturating_add(self.gcra.interval().saturating_mul(debt_max))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.nudge.notify_one();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}

fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn nanos(moment: Timestamp) -> u64 {
    u64::try_from(moment.0).unwrap_or(0).saturating_mul(1000)
}

fn duration_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
