//! All features of an application, kept in step with the store.
//!
//! ```text
//!   gateway A   every look: publish my counts ─► read states and counts ─► judge ─► compare-and-set ─► journal
//!   gateway B        "                                                                    │
//!        ▲────────────── hint of the journal, or the next look ◄──────────────────────────┘
//! ```
//!
//! **One decision, many deciders.** Every gateway adds up the counts of all and judges by itself; whoever comes first writes,
//! and the row's version makes the second attempt void. There is no leader to lose.
//!
//! **How soon.** A look comes every [`RegistryOptions::look_every`], 300 ms unless said otherwise, and at each hint. A broken
//! threshold is published, judged and written within one look of the gateway that saw it, and followed by the others within
//! one more: below a second, plus the store's own time.
//!
//! **When the store is away** everything stays as it was; what is counted meanwhile is published later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use dozen_core::{Timestamp, chain, nearest};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_store::{Changes, Expect, Op, Store, TableRow};
use futures::future::select_all;

use crate::feature::Feature;
use crate::gate::{Evidence, Verdict, judge};
use crate::progress::{self, Progress};
use crate::retire;
use crate::rows::{self, COUNTS, Change, Published, STATES, UNMAPPED, USES};
use crate::sketch::Heavy;
use crate::stage::{Event, Order, Stage, State, step};
use crate::unmapped::Unmapped;
use crate::usage::Used;
use crate::writes::Feed;
use crate::{Error, FeatureOptions};

/// Features that are looked after.
const FEATURES_MAX: usize = 256;
/// How often an order is tried again when others change the feature at the same time.
const TRIES: usize = 5;
/// How often what was served is written down; what was counted is with every look.
const USE_EVERY: Duration = Duration::from_secs(5);
/// How long the counts of a gateway that is gone stay: longer than any stage should take.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);

/// How a registry keeps in step.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// The name of this gateway: the same after a restart, another one for each gateway.
    pub gateway: String,
    /// How often it looks.
    pub look_every: Duration,
}

impl RegistryOptions {
    /// A gateway of that name, with the usual times.
    pub fn new(gateway: impl Into<String>) -> Self {
        Self { gateway: gateway.into(), look_every: Duration::from_millis(300) }
    }
}

/// All features. Runs as a [`Service`].
pub struct Registry {
    store: Store,
    options: RegistryOptions,
    features: ArcSwap<BTreeMap<String, Arc<Feature>>>,
    unmapped: Unmapped,
    /// Of the looks: one at a time, and what the last one knew.
    looking: tokio::sync::Mutex<Looked>,
    /// Of all gateways, for reports.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Looked {
    /// Features whose own rows of an earlier run were taken in.
    resumed: BTreeSet<String>,
    published: BTreeMap<String, Published>,
    used: BTreeMap<String, Used>,
    /// What was served before a restart.
    before: BTreeMap<String, Used>,
    used_at: Option<Timestamp>,
}

#[derive(Clone, Default)]
struct Seen {
    used: BTreeMap<String, Used>,
    unmapped: Vec<Heavy>,
}

impl Registry {
    /// Checks all features; knows nothing of the store before its first look.
    pub fn new(
        store: Store,
        features: &BTreeMap<String, FeatureOptions>,
        options: RegistryOptions,
    ) -> Result<Arc<Self>, Error> {
        let registry = Arc::new(Self {
            store,
            options,
            features: ArcSwap::default(),
            unmapped: Unmapped::default(),
            looking: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        });
        registry.apply(features)?;
        Ok(registry)
    }

    /// Takes over a changed file, all of it or nothing. What is known of a feature stays; where its stage is not allowed any
    /// more, the next look takes it down to one that is.
    pub fn apply(&self, features: &BTreeMap<String, FeatureOptions>) -> Result<(), Error> {
        if features.len() > FEATURES_MAX {
            return Err(Error::TooMany { found: features.len(), features_max: FEATURES_MAX });
        }
        let (known, now) = (self.features.load(), self.store.clock().now());
        let mut fresh = BTreeMap::new();
        for (name, options) in features {
            let feature = match known.get(name) {
                Some(feature) if feature.options() == options => feature.clone(),
                Some(feature) => Arc::new(feature.with_options(options.clone(), now)?),
                None => Arc::new(Feature::new(name, options.clone(), now)?),
            };
            fresh.insert(name.clone(), feature);
        }
        self.features.store(Arc::new(fresh));
        Ok(())
    }

    /// Replaces a feature by one that compares in the domain's model, for example. Call it before the registry runs.
    pub fn replace(&self, feature: Feature) {
        let mut features = (**self.features.load()).clone();
        features.insert(feature.name().to_owned(), Arc::new(feature));
        self.features.store(Arc::new(features));
    }

    /// One feature. Cheap; a gateway may keep it until the file changes.
    pub fn feature(&self, name: &str) -> Option<Arc<Feature>> {
        self.features.load().get(name).cloned()
    }

    /// All features, by name.
    pub fn features(&self) -> Vec<Arc<Feature>> {
        self.features.load().values().cloned().collect()
    }

    /// Where requests are noted that no feature takes.
    pub fn unmapped(&self) -> &Unmapped {
        &self.unmapped
    }

    /// Does what somebody orders, and writes down who and why. Every gateway follows within a second.
    pub async fn order(&self, name: &str, order: Order, who: &str, why: &str) -> Result<State, Error> {
        let feature = self.known(name)?;
        for _ in 0..TRIES {
            let (row, state) = self.stored(&feature).await?;
            let now = self.store.clock().now();
            let next = step(name, &state, feature.bounds(), &Event::Ordered(order), (who, why), now)?;
            let Some(next) = next else { return Ok(state) };
            let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
            if rows::change(&self.store, name, (Some(&state), &next), expect).await? {
                feature.adopt(next.clone());
                return Ok(next);
            }
        }
        Err(Error::Raced { feature: name.to_owned() })
    }

    /// The latest changes of a feature, oldest first.
    pub async fn history(&self, name: &str, limit: usize) -> Result<Vec<Change>, Error> {
        self.known(name)?;
        let entries = self.store.journal().tail(&rows::stream(name), limit).await;
        let entries = entries.map_err(Error::store(format!("read the journal of feature `{name}`")))?;
        entries.iter().map(|entry| rows::read(name, &entry.record.data)).collect()
    }

    /// How far everything has come, as of the last look.
    pub fn progress(&self) -> Progress {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress::report(&self.features(), &seen.used, seen.unmapped, self.store.clock().now())
    }

    fn known(&self, name: &str) -> Result<Arc<Feature>, Error> {
        self.feature(name).ok_or_else(|| {
            let features = self.features.load();
            let known = nearest(name, features.keys().map(String::as_str));
            Error::Unknown { name: name.to_owned(), known }
        })
    }

    /// The stored state of a feature, or the one that it begins with.
    async fn stored(&self, feature: &Feature) -> Result<(Option<TableRow>, State), Error> {
        let name = feature.name();
        let row = self.store.table(STATES).get(name).await;
        let row = row.map_err(Error::store(format!("read feature `{name}`")))?;
        let state = match &row {
            Some(row) => rows::read(name, &row.value)?,
            None => feature.state(),
        };
        Ok((row, state))
    }

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
    async fn publish(&self, looked: &mut Looked) -> Result<bool, Error> {
        let now = self.store.clock().now();
        let expires = now.after(KEEP);
        let mut ops: Vec<Op> = Vec::new();
        let (mut published, mut used) = (BTreeMap::new(), BTreeMap::new());
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
                    used.insert(name, served);
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
        if writes_use {
            looked.used_at = Some(now);
        }
        Ok(writes_use)
    }

    /// Adds up what all gateways have served.
    async fn read_use(&self) -> Result<(), Error> {
        let mut seen = Seen::default();
        for row in rows::all(&self.store, USES).await? {
            if let Some((name, _)) = row.key.split_once('/') {
                seen.used.entry(name.to_owned()).or_default().add(&rows::read::<Used>(name, &row.value)?);
            }
        }
        let mut unmapped = crate::sketch::Sketch::new(100);
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
        let mut evidence = gathered(name, state.epoch, counts)?;
        if feature.options().writes.authority.is_some() {
            evidence.lag = Some(Feed::new(&self.store, name).lag().await?);
        }
        let judgement = judge(&feature.options().advance, stage, &evidence);
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

    /// Hints that a feature was changed by somebody else.
    fn hints(&self) -> Vec<Changes> {
        let journal = self.store.journal();
        self.features().iter().map(|feature| journal.changes(&rows::stream(feature.name()))).collect()
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

#[async_trait]
impl Service for Registry {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut fails = false;
        let mut hints = self.hints();
        let mut watched = self.features.load_full();
        while !stop.is_stopping() {
            match self.look().await {
                Ok(()) => fails = false,
                // Said once, not with each look.
                Err(error) if !fails => {
                    fails = true;
                    tracing::warn!(
                        error = chain(&error),
                        "features stay as they are: the store does not answer"
                    );
                }
                Err(_) => {}
            }
            if !Arc::ptr_eq(&watched, &self.features.load()) {
                (hints, watched) = (self.hints(), self.features.load_full());
            }
            let hinted = async {
                match hints.is_empty() {
                    true => std::future::pending().await,
                    false => select_all(hints.iter_mut().map(|hint| Box::pin(hint.changed()))).await,
                }
            };
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                // An engine that is gone has no hints any more, and must not be asked without a pause.
                (hint, ..) = hinted => if hint.is_err() { tokio::time::sleep(self.options.look_every).await },
                () = tokio::time::sleep(self.options.look_every) => {}
            }
        }
        // What was served in the last seconds is worth a last word.
        let mut looked = self.looking.lock().await;
        looked.used_at = None;
        if let Err(error) = self.publish(&mut looked).await {
            tracing::warn!(error = chain(&error), "the last counts of the features are lost");
        }
        Ok(())
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("gateway", &self.options.gateway).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
