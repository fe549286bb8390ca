//! The dead letters of a queue.

use std::sync::Arc;

use dozen_core::Message;
use dozen_messaging::{DeadLetter, DeadLetters, Error, Part, Redriven, Selection};

use crate::Queue;

impl Queue {
    pub(crate) fn dead(&self) -> DeadLetters {
        let part = |stream: &Arc<str>| Part { stream: stream.clone(), reader: self.reader.clone() };
        let parts = self.streams.iter().map(part).collect();
        DeadLetters::of(&self.store, parts, format!("queue `{}`", self.name))
            .with_keys(self.keys.clone(), self.options.sealed)
    }

    /// Its dead letters, oldest first of each priority, `limit` at most.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.dead().list(&Selection::oldest(limit)).await
    }

    /// The dead letters that `selection` means.
    pub async fn dead_letters_where(&self, selection: &Selection) -> Result<Vec<DeadLetter>, Error> {
        self.dead().list(selection).await
    }

    /// Hands dead letters out again, with their attempts counted anew; `per_second` at most, if given.
    pub async fn redrive(&self, selection: &Selection, per_second: Option<f64>) -> Result<Redriven, Error> {
        self.dead().redrive(selection, per_second).await
    }

    /// Forgets dead letters; what they held back goes on.
    pub async fn discard(&self, selection: &Selection) -> Result<Redriven, Error> {
        self.dead().discard(selection).await
    }

    /// How many dead letters `selection` means: what a revision would act on.
    pub async fn dry_run(&self, selection: &Selection) -> Result<Redriven, Error> {
        self.dead().dry_run(selection).await
    }

    /// Gives the dead letter at `position` another type, other attributes and another payload; its id and key stay. It
    /// is handed out with them when it is redriven. Says whether it was there.
    pub async fn edit(&self, position: u64, message: Message) -> Result<bool, Error> {
        self.dead().edit(position, message).await
    }
}
