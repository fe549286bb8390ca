//! Dead letters: to look at, to correct, to hand out again, to forget.

use std::sync::Arc;

use dozen_core::{Message, Timestamp, chain};
use dozen_messaging::{Error, Rate};
use dozen_store::{ClaimState, ClaimStatus, Entry, Failure, Record, Revision};

use crate::Queue;

/// Dead letters that are looked at in one step.
const PAGE: usize = 500;

/// A message that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The name to redrive, edit or discard it by.
    pub position: u64,
    /// How often it was handed out.
    pub attempts: u32,
    /// When it was given up.
    pub ended: Option<Timestamp>,
    /// Why, oldest first.
    pub errors: Vec<Failure>,
    /// Whether its content was corrected by hand.
    pub edited: bool,
    /// The message. `None` when it cannot be read as one.
    pub message: Option<Message>,
}

impl DeadLetter {
    fn of((claim, entry): (ClaimStatus, Option<Entry>)) -> Option<Self> {
        Some(Self {
            position: claim.position,
            attempts: claim.attempts,
            ended: claim.ended,
            errors: claim.errors,
            edited: claim.edited,
            message: Message::try_from(entry?.record).ok(),
        })
    }
}

/// Which dead letters are meant. All conditions must hold; without any, all are meant.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// These positions.
    pub positions: Vec<u64>,
    /// Those of this message id.
    pub id: Option<String>,
    /// Those of this type.
    pub kind: Option<String>,
    /// Those of this key.
    pub key: Option<String>,
    /// Those whose last error contains this text.
    pub error: Option<String>,
    /// Those that were given up before this moment.
    pub before: Option<Timestamp>,
    /// So many at most; `None` is all.
    pub limit: Option<usize>,
}

impl Selection {
    /// These positions.
    pub fn positions(positions: impl Into<Vec<u64>>) -> Self {
        Self { positions: positions.into(), ..Self::default() }
    }

    /// Whether `letter` is meant.
    pub fn means(&self, letter: &DeadLetter) -> bool {
        let message = letter.message.as_ref();
        let last = letter.errors.last().map_or("", |failure| failure.error.as_str());
        (self.positions.is_empty() || self.positions.contains(&letter.position))
            && self.id.as_ref().is_none_or(|id| message.is_some_and(|message| message.id == *id))
            && self.kind.as_ref().is_none_or(|kind| message.is_some_and(|message| message.kind == *kind))
            && self.key.as_ref().is_none_or(|key| message.and_then(Message::key) == Some(key))
            && self.error.as_ref().is_none_or(|error| last.contains(error.as_str()))
            && self.before.is_none_or(|before| letter.ended.is_some_and(|ended| ended < before))
    }
}

/// What a revision of dead letters did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// How many were meant.
    pub matched: u64,
    /// How many were acted on: fewer when somebody else was quicker, none in a dry run.
    pub done: u64,
}

impl Queue {
    /// Its dead letters, oldest first of each priority, `limit` at most.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.dead_letters_where(&Selection { limit: Some(limit), ..Selection::default() }).await
    }

    /// The dead letters that `selection` means.
    pub async fn dead_letters_where(&self, selection: &Selection) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        let limit = selection.limit.unwrap_or(usize::MAX);
        for stream in self.streams.iter() {
            let mut after = 0;
            while letters.len() < limit {
                let page = self.page(stream, after).await?;
                let Some(last) = page.last() else { break };
                after = last.position;
                letters.extend(page.into_iter().filter(|letter| selection.means(letter)));
            }
        }
        letters.truncate(limit);
        Ok(letters)
    }

    async fn page(&self, stream: &Arc<str>, after: u64) -> Result<Vec<DeadLetter>, Error> {
        let claims = self.journal.claims(stream, &self.reader, ClaimState::Parked, after, PAGE).await;
        let claims = claims.map_err(|error| self.failed("look into", error))?;
        let open = |mut letter: DeadLetter| {
            if let (Some(message), Some(keys)) = (letter.message.as_mut(), &self.keys)
                && let Err(error) = keys.unseal(message)
            {
                tracing::warn!(
                    position = letter.position,
                    error = chain(&error),
                    "a dead letter stays sealed"
                );
            }
            letter
        };
        Ok(claims.into_iter().filter_map(DeadLetter::of).map(open).collect())
    }

    /// Hands dead letters out again, with their attempts counted anew; `per_second` at most, if given.
    pub async fn redrive(&self, selection: &Selection, per_second: Option<f64>) -> Result<Redriven, Error> {
        self.revise(selection, per_second, &Revision::Redrive).await
    }

    /// Forgets dead letters; what they held back goes on.
    pub async fn discard(&self, selection: &Selection) -> Result<Redriven, Error> {
        self.revise(selection, None, &Revision::Discard).await
    }

    /// How many dead letters `selection` means: what a revision would act on.
    pub async fn dry_run(&self, selection: &Selection) -> Result<Redriven, Error> {
        let matched = self.dead_letters_where(selection).await?.len() as u64;
        Ok(Redriven { matched, done: 0 })
    }

    /// Gives the dead letter at `position` another type, other attributes and another payload; its id and key stay. It
    /// is handed out with them when it is redriven. Says whether it was there.
    pub async fn edit(&self, position: u64, mut message: Message) -> Result<bool, Error> {
        if let Some(keys) = self.keys.as_ref().filter(|_| self.options.sealed) {
            keys.seal(&mut message).map_err(|error| Error::Invalid(chain(&error)))?;
        }
        let revision = Revision::Edit(Record::from(message));
        Ok(self.revise_at(vec![position], &revision).await? > 0)
    }

    async fn revise(
        &self,
        selection: &Selection,
        per_second: Option<f64>,
        revision: &Revision,
    ) -> Result<Redriven, Error> {
        let letters = self.dead_letters_where(selection).await?;
        let mut redriven = Redriven { matched: letters.len() as u64, done: 0 };
        let rate = per_second.map(Rate::new);
        let step = if rate.is_some() { 1 } else { PAGE };
        for letters in letters.chunks(step) {
            if let Some(rate) = &rate {
                rate.turn().await;
            }
            let positions = letters.iter().map(|letter| letter.position).collect();
            redriven.done += self.revise_at(positions, revision).await?;
        }
        Ok(redriven)
    }

    /// A position is that of one stream only: the others have no such dead letter.
    async fn revise_at(&self, positions: Vec<u64>, revision: &Revision) -> Result<u64, Error> {
        let mut done = 0;
        for stream in self.streams.iter() {
            let (positions, limit) = (positions.clone(), positions.len());
            let revised = self.journal.revise(stream, &self.reader, positions, limit, revision.clone()).await;
            done += revised.map_err(|error| self.failed("revise dead letters of", error))?;
        }
        Ok(done)
    }
}
