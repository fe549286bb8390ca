//! Looking without touching: for commands and pages beside the gateways.

use std::sync::Arc;

use super::{Prepared, Registry};
use crate::Error;
use crate::feature::{Feature, Sampled};
use crate::rows::{self, COUNTS, SAMPLES, STATES};
use crate::stage::Stage;

impl Registry {
    /// Takes over what the store says of all features, and writes nothing: whoever only looks must not be counted as a gateway,
    /// nor decide anything.
    pub async fn observe(&self) -> Result<(), Error> {
        self.observe_those(&self.features()).await?;
        self.read_use().await
    }

    /// The same of features that are not taken over yet, so that none is served as it began long ago.
    pub async fn observe_prepared(&self, prepared: &Prepared) -> Result<(), Error> {
        self.observe_those(&prepared.features().cloned().collect::<Vec<_>>()).await
    }

    async fn observe_those(&self, features: &[Arc<Feature>]) -> Result<(), Error> {
        let features: Vec<_> = features.iter().map(|feature| (feature.adopted(), feature)).collect();
        let (states, counts) = (rows::all(&self.store, STATES).await?, rows::all(&self.store, COUNTS).await?);
        self.observe_noise(features.iter().map(|(_, feature)| *feature)).await?;
        for (since, feature) in features {
            let row = states.iter().find(|row| row.key == feature.name());
            if let Some(state) = row.and_then(|row| self.readable(STATES, row)) {
                feature.adopt(state, since);
            }
            let state = feature.state();
            if !matches!(state.effective(), Stage::Off | Stage::Retired) {
                feature.judged(self.judgement(feature, &state, &counts).await?);
            }
        }
        Ok(())
    }

    /// The latest differences that each gateway has written down, oldest first. They are some seconds behind.
    pub async fn samples(&self, name: &str) -> Result<Vec<Sampled>, Error> {
        self.known(name)?;
        let mut all: Vec<Sampled> = Vec::new();
        for row in rows::all(&self.store, SAMPLES).await? {
            if row.key.split_once('/').is_some_and(|(feature, _)| feature == name) {
                all.extend(self.readable::<Vec<Sampled>>(SAMPLES, &row).into_iter().flatten());
            }
        }
        all.sort_by_key(|sampled| sampled.at);
        Ok(all)
    }
}
