//! How a gateway meets the rows: what passed here is added, and what others added comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Timestamp;
use dozen_store::{Error, Expect};
use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Anchor, PAUSE, Record, Shared, instant, nanos};
use crate::keeper::Upkeep;
use crate::limit::key::hex;

/// Rows in one turn; the rest follows in the next, which begins at once.
const ROWS_MAX: usize = 512;
/// Rows at one time.
const ROWS_AT_ONCE: usize = 32;
/// How often a row that others write too is tried in one turn.
const TRIES: usize = 5;
/// How long a turn may take before the store counts as away.
const TURN_MAX: Duration = Duration::from_secs(1);

impl Shared {
    /// Adds what passed here to the row, and gives what the row holds then with its version. `None`: others were always
    /// faster, and the next turn tries again.
    async fn meet(&self, record: &Record, now: u64) -> Result<Option<(u64, Option<u64>)>, Error> {
        let key = format!("{}/{}", self.name, hex(&record.id));
        let own = record.own(now);
        let mut known = record.version.map(|version| (record.base, Some(version)));
        for _ in 0..TRIES {
            let (row, version) = match known.take() {
                Some(known) if own > 0 => known,
                _ => match self.table.get(&key).await? {
                    Some(row) => (self.read(&row.value, now), Some(row.version)),
                    None => (0, None),
                },
            };
            if own == 0 {
                return Ok(Some((row, version)));
            }
            let next = row.max(now) + own;
            let expires = Timestamp(i64::try_from(next / 1000).unwrap_or(i64::MAX));
            let expect = version.map_or(Expect::Absent, Expect::Version);
            let value = next.to_string().into_bytes();
            if let Some(version) = self.table.put(&key, value, expect, Some(expires)).await? {
                return Ok(Some((next, Some(version))));
            }
        }
        Ok(None)
    }

    /// What a row says; one that cannot be read says nothing, and is written anew.
    fn read(&self, value: &[u8], now: u64) -> u64 {
        let row = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
        row.unwrap_or(0).min(self.latest(now))
    }

    /// One look at the rows of all keys that somebody asked about; true when some are left for the next turn.
    async fn look(&self) -> Result<bool, Error> {
        let anchor = Anchor { at: instant(), wall: nanos(self.clock.now()) };
        self.anchor.store(Arc::new(anchor));
        let now = anchor.wall;
        let (mut taken, mut left) = (Vec::new(), false);
        let from = self.looks.fetch_add(1, Ordering::Relaxed);
        self.records.each(from, |hash, record| match record.touched {
            true if taken.len() < ROWS_MAX => taken.push((hash, *record)),
            touched => left |= touched,
        });
        if taken.is_empty() && self.away.load(Ordering::Relaxed) {
            self.table.get("").await?;
        }
        let meetings = taken.into_iter().map(async |(hash, record)| {
            let met = self.meet(&record, now).await;
            self.records.again(hash, |current| match met {
                Ok(Some((row, version))) => {
                    // What passed while the row was written stays our own.
                    let since = current.tat.saturating_sub(record.tat.max(now));
                    current.tat = if since > 0 { row.max(now) + since } else { row };
                    (current.base, current.version, current.touched) = (row, version, since > 0);
                }
                Ok(None) | Err(_) => current.version = None,
            });
            met.map(|_| ())
        });
        let mut meetings = futures::stream::iter(meetings).buffer_unordered(ROWS_AT_ONCE);
        let mut outcome = Ok(left);
        while let Some(met) = meetings.next().await {
            if let Err(error) = met {
                outcome = Err(error);
            }
        }
        outcome
    }
}

#[async_trait]
impl Upkeep for Shared {
    fn nudge(&self) -> Arc<Notify> {
        self.nudge.clone()
    }

    async fn turn(&self) -> Duration {
        let looked = timeout(TURN_MAX, self.look()).await;
        let problem = match &looked {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(dozen_core::chain(error)),
            Err(_) => Some(format!("it took longer than {TURN_MAX:?}")),
        };
        let was_away = self.away.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_away => {
                let (limit, then) = (&self.name, self.on_loss);
                tracing::warn!(limit, ?then, problem, "the store of a shared limit is away");
            }
            None if was_away => tracing::info!(limit = self.name, "the store of a shared limit is back"),
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
        match looked {
            Ok(Ok(true)) => Duration::ZERO,
            _ => self.sync - PAUSE,
        }
    }
}
