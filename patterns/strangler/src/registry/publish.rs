//! What gateways tell each other of what they have served and counted: each writes rows of its own, and reads those of all.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dozen_store::Op;
use tokio::time::Instant;

use super::{KEEP, Registry, Seen};
use crate::Error;
use crate::feature::{Feature, Sampled};
use crate::rows::{self, COUNTS, Published, SAMPLES, UNMAPPED, USES};
use crate::sketch::{Heavy, Sketch};
use crate::usage::Used;

/// How often what was served is written down; what was counted is with every look.
const USE_EVERY: Duration = Duration::from_secs(5);
/// Differences of a feature that a gateway writes down, the latest.
const SAMPLED_MAX: usize = 16;
/// Paths that no feature takes, of all gateways together.
const UNMAPPED_MAX: usize = 100;

/// What the last look knew.
#[derive(Default)]
pub(super) struct Looked {
    /// Features that this process has begun with.
    pub(super) known: BTreeMap<String, Arc<Feature>>,
    /// Whether the paths that earlier processes have seen were taken in.
    pub(super) has_paths: bool,
    pub(super) published: BTreeMap<String, Published>,
    pub(super) used: BTreeMap<String, Used>,
    sampled: BTreeMap<String, Vec<Sampled>>,
    /// What was served before this process, as far as it was folded into its rows.
    pub(super) before: BTreeMap<String, Used>,
    /// By the clock that nobody sets back.
    pub(super) used_at: Option<Instant>,
}

/// How long a row of what was served is kept: as long as its silence may be a proof, and longer.
pub(super) fn use_kept(feature: &Feature) -> Duration {
    KEEP.saturating_add(feature.options().retire.after.unwrap_or_default())
}

impl Registry {
    /// Writes down what has been counted since the last look, in one commit. Says whether it was time for what was served, too.
    pub(super) async fn publish(&self, looked: &mut Looked) -> Result<bool, Error> {
        let now = self.store.clock().now();
        let expires = now.after(KEEP);
        let mut ops: Vec<Op> = Vec::new();
        let (mut published, mut used, mut sampled) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let writes_use = looked.used_at.is_none_or(|at| at.elapsed() >= USE_EVERY);
        for feature in self.features() {
            feature.turn(now);
            let (name, live) = (feature.name().to_owned(), feature.live());
            let counted = Published {
                epoch: live.state.epoch,
                window: live.window,
                closed: (*live.closed).clone(),
                current: live.tally.read(),
            };
            let gateway = format!("{name}/{}", self.options.gateway);
            if looked.published.get(&name) != Some(&counted) {
                ops.push(rows::put(COUNTS, self.row_of(&gateway), &counted, now, expires));
                published.insert(name.clone(), counted);
            }
            if writes_use {
                let mut served = feature.used();
                if let Some(before) = looked.before.get(&name) {
                    served.add(before);
                }
                if looked.used.get(&name) != Some(&served) {
                    let expires = now.after(use_kept(&feature));
                    ops.push(rows::put(USES, self.row_of(&gateway), &served, now, expires));
                    used.insert(name.clone(), served);
                }
                let mut latest = feature.differences();
                latest.drain(..latest.len().saturating_sub(SAMPLED_MAX));
                if !latest.is_empty() && looked.sampled.get(&name) != Some(&latest) {
                    ops.push(rows::put(SAMPLES, gateway, &latest, now, expires));
                    sampled.insert(name, latest);
                }
            }
        }
        let paths = self.unmapped.heaviest();
        if writes_use && !paths.is_empty() {
            ops.push(rows::put(UNMAPPED, self.row_of(&self.options.gateway), &paths, now, expires));
        }
        if !ops.is_empty() {
            self.store.commit(ops).await.map_err(Error::store("write down what was counted"))?;
        }
        looked.known.retain(|name, _| self.feature(name).is_some());
        looked.published.extend(published);
        looked.used.extend(used);
        looked.sampled.extend(sampled);
        if writes_use {
            looked.used_at = Some(Instant::now());
        }
        Ok(writes_use)
    }

    /// Adds up what all gateways have served.
    pub(super) async fn read_use(&self) -> Result<(), Error> {
        let mut seen = Seen::default();
        for row in rows::all(&self.store, USES).await? {
            if let Some((name, _)) = row.key.split_once('/') {
                let Some(used) = self.readable::<Used>(USES, &row) else { continue };
                seen.used.entry(name.to_owned()).or_default().add(&used);
            }
        }
        let mut unmapped = Sketch::new(UNMAPPED_MAX);
        for row in rows::all(&self.store, UNMAPPED).await? {
            for heavy in self.readable::<Vec<Heavy>>(UNMAPPED, &row).into_iter().flatten() {
                unmapped.add(&heavy.name, heavy.count, heavy.over, heavy.last);
            }
        }
        seen.unmapped = unmapped.heaviest();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }

    /// The row of this process, of those that begin with `gateway`.
    pub(super) fn row_of(&self, gateway: &str) -> String {
        match self.options.process.as_str() {
            "" => gateway.to_owned(),
            process => format!("{gateway}/{process}"),
        }
    }
}
