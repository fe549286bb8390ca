//! When to look: a registry as a service.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::chain;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_store::Changes;
use futures::future::select_all;
use tokio::time::{Instant, sleep, sleep_until};

use super::Registry;
use crate::rows;

/// How often it is asked, without the store, whether somebody waits for too long or something speaks against a new side.
const SWEEP: Duration = Duration::from_millis(50);

impl Registry {
    /// Hints that a feature was changed by somebody else.
    fn hints(&self) -> Vec<Changes> {
        let journal = self.store.journal();
        self.features().iter().map(|feature| journal.changes(&rows::stream(feature.name()))).collect()
    }

    /// Returns when it is time to look: after a while, or once something was counted against a new side that serves users.
    async fn due(&self) {
        let until = Instant::now() + self.options.look_every;
        if self.features.load().is_empty() {
            return sleep_until(until).await;
        }
        let mut speaks_against = false;
        while !speaks_against && Instant::now() < until {
            sleep_until(until.min(Instant::now() + SWEEP)).await;
            let now = Instant::now();
            // Each is swept, whatever is found at another.
            self.features.load().values().for_each(|feature| speaks_against |= feature.sweep(now));
        }
    }
}

#[async_trait]
impl Service for Registry {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut fails = false;
        let mut hints = self.hints();
        let mut watched = self.features.load_full();
        while !stop.is_stopping() {
            // Where nothing moves, nobody asks the store.
            let looked = match self.features.load().is_empty() {
                true => Ok(()),
                false => self.look().await,
            };
            match looked {
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
                (hint, ..) = hinted => match hint {
                    // Somebody has ordered something: perhaps to forget.
                    Ok(_) => self.looking.lock().await.used_at = None,
                    // An engine that is gone has no hints any more, and must not be asked without a pause.
                    Err(_) => sleep(self.options.look_every).await,
                },
                () = self.due() => {}
            }
        }
        // What was served and learnt in the last seconds is worth a last word.
        let mut looked = self.looking.lock().await;
        looked.used_at = None;
        let said = match self.publish(&mut looked).await {
            Ok(_) => self.share_noise().await,
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            tracing::warn!(error = chain(&error), "the last counts of the features are lost");
        }
        Ok(())
    }
}
