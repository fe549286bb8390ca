//! One look: what a gateway publishes, reads, judges and does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_store::{Expect, Op, TableRow};

use super::{Registry, Seen};
use crate::feature::{Feature, Sampled};
use crate::gate::{Evidence, Judgement, Verdict, judge};
use crate::rows::{self, COUNTS, Published, SAMPLES, STATES, UNMAPPED, USES};
use crate::sketch::{Heavy, Sketch};
use crate::stage::{Event, Stage, State, step};
use crate::usage::Used;
use crate::writes::Feed;
use crate::{Error, retire};

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
    /// One look: publishes, reads, judges, and acts on what it finds.
    pub async fn look(&self) -> Result<(), Error> {
        let mut looked = self.looking.lock().await;
        self.follow().await?;
        self.resume(&mut looked).await?;
        if self.publish(&mut looked).await? {
            self.read_use().await?;
        }
        let counts = rows::all(&self.store, COUNTS).await?;
        for feature in self.features() {
            self.consider(&feature, &counts).await?;
        }
        Ok(())
    }

    /// Takes over the stored states, and makes those that are not there.
    async fn follow(&self) -> Result<(), Error> {
        let stored = rows::all(&self.store, STATES).await?;
        for feature in self.features() {
            let name = feature.name();
            let now = self.store.clock().now();
            let Some(row) = stored.iter().find(|row| row.key == name) else {
                let first = State { entered: now, ..feature.state() };
                // If another gateway was first, the next look follows it.
                if rows::change(&self.store, name, (None, &first), Expect::Absent).await? {
                    feature.adopt(first);
                }
                continue;
            };
            let state: State = rows::read(name, &row.value)?;
            let why = "the file does not allow its stage any more";
            let bounded = step(name, &state, feature.bounds(), &Event::Bounded, ("file", why), now)?;
            let state = match bounded {
                Some(next) if self.write(&feature, &state, row.version, &next).await? => next,
                _ => state,
            };
            if feature.adopt(state.clone()) {
                let (stage, why) = (state.effective(), &state.why);
                tracing::info!(feature = name, %stage, who = state.who, why, "a feature has another stage");
            }
        }
        Ok(())
    }

    /// Goes on with what this gateway has counted before it was restarted.
    async fn resume(&self, looked: &mut Looked) -> Result<(), Error> {
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

    /// Judges one feature by the counts of all gateways, and moves it where that is due.
    async fn consider(&self, feature: &Feature, counts: &[TableRow]) -> Result<(), Error> {
        let (name, state) = (feature.name(), feature.state());
        let stage = state.effective();
        if matches!(stage, Stage::Off | Stage::Retired) {
            return Ok(());
        }
        let judgement = self.judgement(feature, &state, counts).await?;
        let reason = judgement.reason();
        let judged = match judgement.verdict {
            Verdict::Pass => Some((Event::Passed, reason)),
            Verdict::Fail => Some((Event::Failed, reason)),
            Verdict::Unknown => None,
        };
        feature.judged(judgement);
        let now = self.store.clock().now();
        let unused = self.unused(feature, &state, now).map(|proof| (Event::Unused, proof));
        for (event, why) in judged.into_iter().chain(unused) {
            if step(name, &state, feature.bounds(), &event, ("gate", &why), now)?.is_some() {
                return self.act(feature, &state, &event, &why).await;
            }
        }
        Ok(())
    }

    /// What the gate says of a feature, by the counts of all gateways.
    pub(super) async fn judgement(
        &self,
        feature: &Feature,
        state: &State,
        counts: &[TableRow],
    ) -> Result<Judgement, Error> {
        let name = feature.name();
        let mut evidence = gathered(name, state.epoch, counts)?;
        if feature.options().writes.authority.is_some() {
            evidence.lag = Some(Feed::new(&self.store, name).lag().await?);
        }
        Ok(judge(&feature.options().advance, state.effective(), &evidence))
    }

    /// Does what the gate says, if the feature still is where the gate has judged it.
    async fn act(&self, feature: &Feature, judged: &State, event: &Event, why: &str) -> Result<(), Error> {
        let (row, state) = self.stored(feature).await?;
        if state != *judged {
            return Ok(());
        }
        let now = self.store.clock().now();
        let Some(next) = step(feature.name(), &state, feature.bounds(), event, ("gate", why), now)? else {
            return Ok(());
        };
        let Some(row) = row else { return Ok(()) };
        if self.write(feature, &state, row.version, &next).await? {
            match event {
                Event::Failed => {
                    tracing::warn!(feature = feature.name(), stage = %next.stage, why, "a threshold is broken")
                }
                _ => tracing::info!(feature = feature.name(), stage = %next.stage, why, "a feature goes on"),
            }
            feature.adopt(next);
        }
        Ok(())
    }

    async fn write(
        &self,
        feature: &Feature,
        before: &State,
        version: u64,
        next: &State,
    ) -> Result<bool, Error> {
        rows::change(&self.store, feature.name(), (Some(before), next), Expect::Version(version)).await
    }

    /// Why the old system may be retired, where it may.
    fn unused(&self, feature: &Feature, state: &State, now: Timestamp) -> Option<String> {
        let after = feature.options().retire.after?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        retire::unused(state, seen.used.get(feature.name())?, after, now)
    }

    fn row_of(&self, feature: &str) -> String {
        format!("{feature}/{}", self.options.gateway)
    }
}

/// What all gateways have counted of a feature in an epoch.
fn gathered(name: &str, epoch: u64, counts: &[TableRow]) -> Result<Evidence, Error> {
    let mut published: Vec<Published> = Vec::new();
    for row in counts {
        if row.key.split_once('/').is_some_and(|(feature, _)| feature == name) {
            published.push(rows::read(name, &row.value)?);
        }
    }
    published.retain(|counted| counted.epoch == epoch);
    let mut evidence = Evidence {
        window: published.iter().map(|counted| counted.window).max().unwrap_or(0),
        ..Evidence::default()
    };
    for counted in &published {
        evidence.whole.add(&counted.closed);
        evidence.whole.add(&counted.current);
        // A gateway that is still in the window before adds nothing to this one.
        if counted.window == evidence.window {
            evidence.recent.add(&counted.current);
        }
    }
    Ok(evidence)
}
