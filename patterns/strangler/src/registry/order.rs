//! Orders of people, and the journal in which all changes stand.

use dozen_store::{Expect, Put, TableRow};

use super::{KEEP, Registry};
use crate::Error;
use crate::feature::Feature;
use crate::noise::Learnt;
use crate::rows::{self, Change, NOISE, STATES};
use crate::stage::{Event, Order, State, step};

/// How often an order is tried again when others change the feature at the same time.
const TRIES: usize = 5;

impl Registry {
    /// Does what somebody orders, and writes down who and why. Every gateway follows within a second.
    pub async fn order(&self, name: &str, order: Order, who: &str, why: &str) -> Result<State, Error> {
        let feature = self.known(name)?;
        for _ in 0..TRIES {
            let since = feature.adopted();
            let (row, state) = self.stored(&feature).await?;
            let now = self.store.clock().now();
            let next = step(name, &state, feature.bounds(), &Event::Ordered(order), (who, why), now)?;
            let Some(next) = next else { return Ok(state) };
            let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
            if rows::change(&self.store, name, (Some(&state), &next), expect).await? {
                feature.adopt(next.clone(), since);
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

    /// Forgets what all gateways have learnt of the old side's noise, and writes down who wanted that and why. It is learnt
    /// anew, and until then comparisons do not count.
    pub async fn forget_noise(&self, name: &str, who: &str, why: &str) -> Result<(), Error> {
        let feature = self.known(name)?;
        for _ in 0..TRIES {
            let row = self.store.table(NOISE).get(name).await;
            let row = row.map_err(Error::store(format!("read the noise of feature `{name}`")))?;
            let (version, state) = (row.as_ref().map_or(0, |row| row.version), feature.state());
            let stored: Option<Learnt> = row.as_ref().and_then(|row| self.readable(NOISE, row));
            let (forgotten, now) = (Learnt::after(stored.as_ref(), version), self.store.clock().now());
            let (to, hold, who) = (state.stage, state.hold, who.to_owned());
            let why = format!("what was learnt of the old side's noise is forgotten: {why}");
            let change = Change { at: now, from: Some(to), to, hold, who, why };
            let put = Put {
                space: NOISE.into(),
                key: name.to_owned(),
                value: rows::json(&forgotten),
                expect: row.map_or(Expect::Absent, |row| Expect::Version(row.version)),
                expires: Some(now.after(KEEP)),
                now,
            };
            if rows::told(&self.store, name, put, &change).await? {
                feature.noise_of().follow(forgotten, &Learnt::default());
                return Ok(());
            }
        }
        Err(Error::Raced { feature: name.to_owned() })
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
}
