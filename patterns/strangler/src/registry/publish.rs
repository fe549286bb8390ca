//! What gateways tell each other of what they have served and counted: each writes rows of its own, and reads those of all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_store::Op;

use super::{Registry, Seen};
use crate::Error;
use crate::feature::Sampled;
use crate::rows::{self, COUNTS, Published, SAMPLES, UNMAPPED, USES};
use crate::sketch::{Heavy, Sketch};
use crate::usage::Used;

/// How often what was served is written down; what was counted is with every look.
const USE_EVERY: Duration = Duration::from_secs(5);
/// How long the counts of a gateway that is gone stay: longer than any stage should take.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
/// Differences of a feature that a gateway writes down, the latest.
const SAMPLED_MAX: usize = 16;
/// Paths that no feature takes, of all gateways together.
const UNMAPPED_MAX: usize = 100;

/// What the last look knew.
#[derive(Default)]
pub(super) struct Looked {
    /// Features whose own rows of an earlier run were taken in.
    resumed: BTreeSet<String>,
    published: BTreeMap<String, Published>,
    used: BTreeMap<String, Used>,
    sampled: BTreeMap<String, Vec<Sampled>>,
    /// What was served before a restart.
    before: BTreeMap<String, Used>,
    pub(super) used_at: Option<Timestamp>,
}

impl Registry {
    /// Goes on with what this gateway has counted before it was restarted.
    pub(super) async fn resume(&self, looked: &mut Looked) -> Result<(), Error> {
        let fresh: Vec<_> =
            self.features().into_iter().filter(|feature| !looked.resumed.contains(feature.name())).collect();
        for feature in fresh {
            let name = feature.name();
            let key = self.row_of(name);
            let doing = || Error::store(format!("read the counts of feature `{name}`"));
            if let Some(row) = self.store.table(COUNTS).get(&key).await.map_err(doing())? {
                let Published { epoch, mut closed, current, .. } = rows::read(name, &row.value)?;
                closed.add(&current);
                feature.resume(epoch, closed);
            }
            if let Some(row) = self.store.table(USES).get(&key).await.map_err(doing())? {
                looked.before.insert(name.to_owned(), rows::read(name, &row.value)?);
            }
            looked.resumed.insert(name.to_owned());
        }
        Ok(())
    }

    /// Writes down what has been counted since the last look, in one commit. Says whether it was time for what was served, too.
    pub(super) async fn publish(&self, looked: &mut Looked) -> Result<bool, Error> {
        let now = self.store.clock().now();
        let expires = now.after(KEEP);
        let mut ops: Vec<Op> = Vec::new();
        let (mut published, mut used, mut sampled) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let writes_use = looked.used_at.is_none_or(|at| now.since(at) >= USE_EVERY);
        for feature in self.features() {
            feature.turn(now);
            let (name, live) = (feature.name().to_owned(), feature.live());
            let counted = Published {
                epoch: live.state.epoch,
                window: live.window,
                closed: (*live.closed).clone(),
                current: live.tally.read(),
            };
            if looked.published.get(&name) != Some(&counted) {
                ops.push(rows::put(COUNTS, self.row_of(&name), &counted, now, expires));
                published.insert(name.clone(), counted);
            }
            if writes_use {
                let mut served = feature.used();
                if let Some(before) = looked.before.get(&name) {
                    served.add(before);
                }
                if looked.used.get(&name) != Some(&served) {
                    ops.push(rows::put(USES, self.row_of(&name), &served, now, expires));
                    used.insert(name.clone(), served);
                }
                let mut latest = feature.differences();
                latest.drain(..latest.len().saturating_sub(SAMPLED_MAX));
                if !latest.is_empty() && looked.sampled.get(&name) != Some(&latest) {
                    ops.push(rows::put(SAMPLES, self.row_of(&name), &latest, now, expires));
                    sampled.insert(name, latest);
                }
            }
        }
        if writes_use && self.unmapped.total() > 0 {
            ops.push(rows::put(
                UNMAPPED,
                self.options.gateway.clone(),
                &self.unmapped.heaviest(),
                now,
                expires,
            ));
        }
        if !ops.is_empty() {
            self.store.commit(ops).await.map_err(Error::store("write down what was counted"))?;
        }
        looked.published.extend(published);
        looked.used.extend(used);
        looked.sampled.extend(sampled);
        if writes_use {
            looked.used_at = Some(now);
        }
        Ok(writes_use)
    }

    /// Adds up what all gateways have served.
    pub(super) async fn read_use(&self) -> Result<(), Error> {
        let mut seen = Seen::default();
        for row in rows::all(&self.store, USES).await? {
            if let Some((name, _)) = row.key.split_once('/') {
                seen.used.entry(name.to_owned()).or_default().add(&rows::read::<Used>(name, &row.value)?);
            }
        }
        let mut unmapped = Sketch::new(UNMAPPED_MAX);
        for row in rows::all(&self.store, UNMAPPED).await? {
            for heavy in rows::read::<Vec<Heavy>>(&row.key, &row.value)? {
                unmapped.add(&heavy.name, heavy.count, heavy.over, heavy.last);
            }
        }
        seen.unmapped = unmapped.heaviest();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }

    fn row_of(&self, feature: &str) -> String {
        format!("{feature}/{}", self.options.gateway)
    }
}
