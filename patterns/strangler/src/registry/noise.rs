//! What gateways tell each other of the old side's noise: one row for each feature, to which each adds what it has learnt.

use std::sync::Arc;

use dozen_store::{Expect, TableRow};

use super::{KEEP, Registry};
use crate::Error;
use crate::feature::Feature;
use crate::noise::Learnt;
use crate::rows::{self, NOISE};

impl Registry {
    /// Adds what was learnt here since the last time to what all gateways know, and takes over what the others have learnt.
    ///
    /// Whoever was overtaken adds next time. If the store does not say whether it has taken something, it is added once more:
    /// that changes how much is known, and hardly what.
    pub(super) async fn share_noise(&self) -> Result<(), Error> {
        let rows = rows::all(&self.store, NOISE).await?;
        for feature in self.features() {
            let Some((row, stored)) = self.noise_in(&rows, &feature) else { continue };
            let noise = feature.noise_of();
            let Some((merged, written)) = noise.merged(&stored) else {
                noise.follow(stored, &Learnt::default());
                continue;
            };
            let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
            let expires = self.store.clock().now().after(KEEP);
            let table = self.store.table(NOISE);
            let taken = table.put(feature.name(), rows::json(&merged), expect, Some(expires)).await;
            match taken.map_err(Error::store("write down what was learnt of noise"))? {
                Some(_) => noise.follow(merged, &written),
                None => noise.follow(stored, &Learnt::default()),
            }
        }
        Ok(())
    }

    /// Takes over what all gateways know, and adds nothing.
    pub(super) async fn observe_noise<'f>(
        &self,
        features: impl Iterator<Item = &'f Arc<Feature>>,
    ) -> Result<(), Error> {
        let rows = rows::all(&self.store, NOISE).await?;
        for feature in features {
            if let Some((_, stored)) = self.noise_in(&rows, feature) {
                feature.noise_of().follow(stored, &Learnt::default());
            }
        }
        Ok(())
    }

    /// The row of a feature, and what it says; `None` where it cannot be read.
    fn noise_in<'r>(
        &self,
        rows: &'r [TableRow],
        feature: &Feature,
    ) -> Option<(Option<&'r TableRow>, Learnt)> {
        let row = rows.iter().find(|row| row.key == feature.name());
        match row {
            Some(row) => Some((Some(row), self.readable(NOISE, row)?)),
            None => Some((None, Learnt::default())),
        }
    }
}
