//! One look: what a gateway reads, judges and does.

use std::sync::PoisonError;

use dozen_core::Timestamp;
use dozen_store::{Expect, TableRow};

use super::Registry;
use crate::feature::Feature;
use crate::gate::{Evidence, Judgement, Verdict, judge};
use crate::rows::{self, COUNTS, Published, STATES};
use crate::stage::{Event, Stage, State, step};
use crate::writes::Feed;
use crate::{Error, retire};

impl Registry {
    /// One look: publishes, reads, judges, and acts on what it finds.
    pub async fn look(&self) -> Result<(), Error> {
        let mut looked = self.looking.lock().await;
        self.follow().await?;
        self.inherit(&mut looked).await?;
        let is_time = self.publish(&mut looked).await?;
        if is_time {
            self.read_use().await?;
        }
        let counts = rows::all(&self.store, COUNTS).await?;
        let mut failed = None;
        for feature in self.features() {
            // What is wrong with one must not keep another from going back.
            if let Err(error) = self.consider(&feature, &counts).await {
                failed.get_or_insert(error);
            }
        }
        if is_time {
            self.share_noise().await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Takes over the stored states, and makes those that are not there.
    async fn follow(&self) -> Result<(), Error> {
        let features: Vec<_> =
            self.features().into_iter().map(|feature| (feature.adopted(), feature)).collect();
        let stored = rows::all(&self.store, STATES).await?;
        for (since, feature) in features {
            let name = feature.name();
            let now = self.store.clock().now();
            let Some(row) = stored.iter().find(|row| row.key == name) else {
                let first = State { entered: now, ..feature.state() };
                // If another gateway was first, the next look follows it.
                if rows::change(&self.store, name, (None, &first), Expect::Absent).await? {
                    feature.adopt(first, since);
                }
                continue;
            };
            let Some(state) = self.readable::<State>(STATES, row) else { continue };
            let why = "the file does not allow its stage any more";
            let bounded = step(name, &state, feature.bounds(), &Event::Bounded, ("file", why), now)?;
            let state = match bounded {
                Some(next) if self.write(&feature, &state, row.version, &next).await? => next,
                _ => state,
            };
            if feature.adopt(state.clone(), since) {
                let (stage, why) = (state.effective(), &state.why);
                tracing::info!(feature = name, %stage, who = state.who, why, "a feature has another stage");
            }
        }
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
        let mut evidence = self.gathered(feature, state.epoch, counts);
        if feature.options().writes.authority.is_some() {
            evidence.lag = Some(Feed::new(&self.store, name).lag().await?);
        }
        Ok(judge(&feature.options().advance, state.effective(), &evidence))
    }

    /// Does what the gate says, if the feature still is where the gate has judged it.
    async fn act(&self, feature: &Feature, judged: &State, event: &Event, why: &str) -> Result<(), Error> {
        let since = feature.adopted();
        let row = self.store.table(STATES).get(feature.name()).await;
        let row = row.map_err(Error::store(format!("read feature `{}`", feature.name())))?;
        let Some(row) = row else { return Ok(()) };
        let Some(state) = self.readable::<State>(STATES, &row).filter(|state| state == judged) else {
            return Ok(());
        };
        let now = self.store.clock().now();
        let Some(next) = step(feature.name(), &state, feature.bounds(), event, ("gate", why), now)? else {
            return Ok(());
        };
        if self.write(feature, &state, row.version, &next).await? {
            match event {
                Event::Failed => {
                    tracing::warn!(feature = feature.name(), stage = %next.stage, why, "a threshold is broken")
                }
                _ => tracing::info!(feature = feature.name(), stage = %next.stage, why, "a feature goes on"),
            }
            feature.adopt(next, since);
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

    /// What all gateways have counted of a feature in an epoch. The window is that of our own clock: one gateway whose clock is
    /// wrong blinds none of the others.
    fn gathered(&self, feature: &Feature, epoch: u64, counts: &[TableRow]) -> Evidence {
        let of = |row: &&TableRow| row.key.split_once('/').is_some_and(|(name, _)| name == feature.name());
        let published = counts.iter().filter(of).filter_map(|row| self.readable::<Published>(COUNTS, row));
        let published: Vec<Published> = published.filter(|counted| counted.epoch == epoch).collect();
        let window = feature.window_at(self.store.clock().now());
        let mut evidence = Evidence { window, ..Evidence::default() };
        for counted in &published {
            evidence.whole.add(&counted.closed);
            evidence.whole.add(&counted.current);
            // A gateway that is still in the window before adds nothing to this one.
            if counted.window == window {
                evidence.recent.add(&counted.current);
            }
        }
        evidence
    }
}
