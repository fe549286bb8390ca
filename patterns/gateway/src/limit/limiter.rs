//! A limit, ready to be asked.

use std::sync::Arc;

use dozen_core::duration;

use super::key::Keying;
use super::local::Local;
use super::shared::{Parts, Shared};
use super::{Decision, Gcra, LimitOptions, Policy, SharedHealth};
use crate::auth::{Identity, Reason, View};
use crate::keeper::Keeper;

/// A rate for each key, on this gateway or over several.
#[derive(Debug)]
pub struct Limiter {
    /// What clients see of it.
    pub policy: Policy,
    keying: Keying,
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    Here(Local),
    Together(Arc<Shared>),
}

impl Limiter {
    /// Makes it. `name` is what it is called in the store, the same on every gateway.
    pub(crate) fn compile(name: &str, options: &LimitOptions, keeper: &Keeper) -> Result<Self, String> {
        let keying = Keying::compile(&options.per)?;
        let policy = Policy::new(options.per.word(), options.rate);
        let burst = options.burst.unwrap_or(options.rate.count).get();
        let gcra = Gcra::new(options.rate, burst);
        let keys_max = options.keys_max.get();
        let here = || {
            let epoch = tokio::time::Instant::now().into_std();
            Counts::Here(Local::new(gcra, keys_max, epoch))
        };
        if !options.shared {
            return Ok(Self { policy, keying, counts: here() });
        }
        if options.sync.is_zero() || options.sync > options.rate.period {
            return Err(format!(
                "`sync: {}` must be longer than nothing and at most the rate's own time, {}",
                duration::text(options.sync),
                duration::text(options.rate.period)
            ));
        }
        let Some(store) = keeper.store() else {
            if keeper.is_rehearsal() {
                return Ok(Self { policy, keying, counts: here() });
            }
            return Err(
                "`shared: true` counts in the store, and there is none; say `store: …` or leave it out"
                    .into(),
            );
        };
        // The rate is part of the name: rows that count by another one mean something else.
        let shared = Arc::new(Shared::new(Parts {
            name: format!("{name} {} {burst}", options.rate),
            gcra,
            sync: options.sync,
            on_loss: options.on_store_loss,
            keys_max,
            store,
            members: keeper.members(store),
        }));
        keeper.keep(&shared);
        Ok(Self { policy, keying, counts: Counts::Together(shared) })
    }

    /// Counts a request, and says whether it passes. The only error is that the store is away, where that refuses.
    pub fn take(&self, view: &View<'_>, identity: &Identity) -> Result<Decision, Reason> {
        let key = self.keying.of(view, identity);
        match &self.counts {
            Counts::Here(local) => Ok(local.take(&key, view.started)),
            Counts::Together(shared) => shared.take(&key, view.started),
        }
    }

    /// How it is, if it is shared.
    pub(crate) fn health(&self) -> Option<SharedHealth> {
        match &self.counts {
            Counts::Here(_) => None,
            Counts::Together(shared) => Some(shared.health()),
        }
    }

    /// Whether it can be asked before it is known who asks.
    pub(crate) fn is_early(&self) -> bool {
        !self.keying.needs_identity()
    }
}
