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
//! **How soon.** A look comes every [`RegistryOptions::look_every`], 300 ms unless said otherwise, at each hint, and within 50 ms
//! once anything was counted against a new side that serves users. A broken threshold is published, judged and written in that
//! look, and the others follow its hint: a tenth of a second, plus the store's own time.
//!
//! **When the store is away** everything stays as it was; what is counted meanwhile is published later. A row that this version
//! cannot read is left out: its feature stays as it is, or its counts are missing, and all others go on.

mod inherit;
mod look;
mod noise;
mod observe;
mod order;
mod publish;
mod run;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use dozen_core::{chain, nearest};
use dozen_store::{Store, TableRow};
use serde::de::DeserializeOwned;

use crate::compare::Translator;
use crate::feature::Feature;
use crate::progress::{self, Progress};
use crate::rows;
use crate::sketch::Heavy;
use crate::unmapped::Unmapped;
use crate::usage::Used;
use crate::{Error, FeatureOptions};

/// How long the counts of a process that is gone stay: longer than any stage should take.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
/// Features that are looked after.
const FEATURES_MAX: usize = 256;
/// Rows that cannot be read, of which it is known that they were told.
const UNREAD_MAX: usize = 1_000;

/// How a registry keeps in step.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// The name of this gateway: the same after a restart, another one for each gateway.
    pub gateway: String,
    /// This process: another one after a restart.
    pub process: String,
    /// How often it looks.
    pub look_every: Duration,
}

impl RegistryOptions {
    /// A process of a gateway of that name, with the usual times.
    pub fn new(gateway: impl Into<String>, process: impl Into<String>) -> Self {
        let look_every = Duration::from_millis(300);
        Self { gateway: gateway.into(), process: process.into(), look_every }
    }
}

/// Finds a translator by its name. It is asked once for each feature that names it, so what it gives follows a changed file
/// by itself.
pub type Translators = Arc<dyn Fn(&str) -> Option<Arc<dyn Translator>> + Send + Sync>;

/// All features. Runs as a [`Service`].
pub struct Registry {
    store: Store,
    options: RegistryOptions,
    features: ArcSwap<BTreeMap<String, Arc<Feature>>>,
    translators: Option<Translators>,
    unmapped: Unmapped,
    /// Of the looks: one at a time, and what the last one knew.
    looking: tokio::sync::Mutex<publish::Looked>,
    /// Of all gateways, for reports.
    seen: Mutex<Seen>,
    /// Rows that cannot be read, and in which version: each is told once.
    unread: Mutex<BTreeMap<(String, String), u64>>,
}

/// The features of a changed file, judged.
#[derive(Clone)]
pub struct Prepared(BTreeMap<String, Arc<Feature>>);

impl Prepared {
    /// All of them.
    pub fn features(&self) -> impl Iterator<Item = &Arc<Feature>> {
        self.0.values()
    }
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
        Self::translated(store, features, options, None)
    }

    /// The same, where features may name translators; `translators` finds them.
    pub fn translated(
        store: Store,
        features: &BTreeMap<String, FeatureOptions>,
        options: RegistryOptions,
        translators: Option<Translators>,
    ) -> Result<Arc<Self>, Error> {
        let registry = Arc::new(Self {
            store,
            options,
            translators,
            features: ArcSwap::default(),
            unmapped: Unmapped::default(),
            looking: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            unread: Mutex::default(),
        });
        registry.apply(features)?;
        Ok(registry)
    }

    /// Takes over a changed file, all of it or nothing. What is known of a feature stays; where its stage is not allowed any
    /// more, the next look takes it down to one that is.
    pub fn apply(&self, features: &BTreeMap<String, FeatureOptions>) -> Result<(), Error> {
        self.prepare(features).map(|prepared| self.take_over(prepared))
    }

    /// Judges the features of a changed file. Nothing has changed until they are taken over.
    pub fn prepare(&self, features: &BTreeMap<String, FeatureOptions>) -> Result<Prepared, Error> {
        if features.len() > FEATURES_MAX {
            return Err(Error::TooMany { found: features.len(), features_max: FEATURES_MAX });
        }
        let (known, now) = (self.features.load(), self.store.clock().now());
        let mut fresh = BTreeMap::new();
        for (name, options) in features {
            let feature = match known.get(name) {
                Some(feature) if feature.options() == options => feature.clone(),
                Some(feature) => {
                    let changed = feature.with_options(options.clone(), now)?;
                    Arc::new(self.in_domain(changed, Some(feature.options()))?)
                }
                None => Arc::new(self.in_domain(Feature::new(name, options.clone(), now)?, None)?),
            };
            fresh.insert(name.clone(), feature);
        }
        Ok(Prepared(fresh))
    }

    /// What is taken over already.
    pub fn current(&self) -> Prepared {
        Prepared((**self.features.load()).clone())
    }

    /// Takes over what was prepared.
    pub fn take_over(&self, prepared: Prepared) {
        self.features.store(Arc::new(prepared.0));
    }

    /// Gives a feature the translators that it names, unless they are those that it had.
    fn in_domain(&self, feature: Feature, before: Option<&FeatureOptions>) -> Result<Feature, Error> {
        let Some(names) = feature.options().compare.translators.clone() else { return Ok(feature) };
        if before.is_some_and(|before| before.compare.translators.as_ref() == Some(&names)) {
            return Ok(feature);
        }
        let find = |name: &str| {
            let found = self.translators.as_ref().and_then(|translators| translators(name));
            found.ok_or_else(|| Error::Translator {
                feature: feature.name().to_owned(),
                translator: name.to_owned(),
            })
        };
        let (old, new) = (find(&names.old)?, find(&names.new)?);
        Ok(feature.in_domain(old, new))
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

    /// What a row says; `None` where it cannot be read. It is told, once, and keeps nobody from the others.
    fn readable<T: DeserializeOwned>(&self, table: &str, row: &TableRow) -> Option<T> {
        let error = match rows::read(&row.key, &row.value) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.len() >= UNREAD_MAX {
            unread.clear();
        }
        if unread.insert((table.to_owned(), row.key.clone()), row.version) != Some(row.version) {
            tracing::error!(table, row = row.key, error = chain(&error), "a row of the features is left out");
        }
        None
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("gateway", &self.options.gateway).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
