//! Dead letters: to look at, to correct, to hand out again, to forget.

use std::sync::Arc;

use dozen_core::{Message, Timestamp, chain};
use dozen_store::{ClaimState, ClaimStatus, Entry, Failure, Journal, Record, Revision, Store};

use crate::{Error, Keyring, Part, Rate};

/// Dead letters that are looked at in one step.
const PAGE: usize = 500;

/// A message that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The name to redrive, edit or discard it by.
    pub position: u64,
    /// The stream that it is in.
    pub stream: Arc<str>,
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
    fn of(stream: &Arc<str>, (claim, entry): (ClaimStatus, Option<Entry>)) -> Option<Self> {
        Some(Self {
            position: claim.position,
            stream: stream.clone(),
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
    /// Those after this position: where the page before ended.
    pub after: u64,
    /// So many at most; `None` is all.
    pub limit: Option<usize>,
}

impl Selection {
    /// These positions.
    pub fn positions(positions: impl Into<Vec<u64>>) -> Self {
        Self { positions: positions.into(), ..Self::default() }
    }

    /// The oldest of them, so many at most.
    pub fn oldest(limit: usize) -> Self {
        Self { limit: Some(limit), ..Self::default() }
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

/// The dead letters of a queue or a subscription: of its readers, in their order.
pub struct DeadLetters {
    journal: Journal,
    parts: Arc<[Part]>,
    /// Whose they are, for errors: "queue `mails`".
    whose: String,
    keys: Option<Keyring>,
    seals: bool,
}

impl DeadLetters {
    /// The dead letters of the readers `parts`, which are those of `whose`: "queue `mails`".
    pub fn of(store: &Store, parts: Arc<[Part]>, whose: impl Into<String>) -> Self {
        Self { journal: store.journal(), parts, whose: whose.into(), keys: None, seals: false }
    }

    /// Opens sealed payloads with these keys, and seals what is edited: where the original was sealed, and everywhere if
    /// `seals`.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Keyring>, seals: bool) -> Self {
        (self.keys, self.seals) = (keys, seals);
        self
    }

    /// The same for each of its readers alone.
    pub fn each(&self) -> Vec<Self> {
        let alone = |part: &Part| {
            let (journal, whose, keys) = (self.journal.clone(), self.whose.clone(), self.keys.clone());
            Self { journal, parts: [part.clone()].into(), whose, keys, seals: self.seals }
        };
        self.parts.iter().map(alone).collect()
    }

    /// Those that `selection` means, oldest first of each reader.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        let limit = selection.limit.unwrap_or(usize::MAX);
        for part in self.parts.iter() {
            let mut after = selection.after;
            while letters.len() < limit {
                let mut page = self.page(part, after).await?;
                let Some(last) = page.last() else { break };
                after = last.position;
                page.iter_mut().for_each(|letter| self.open(letter));
                letters.extend(page.into_iter().filter(|letter| selection.means(letter)));
            }
        }
        letters.truncate(limit);
        Ok(letters)
    }

    async fn page(&self, part: &Part, after: u64) -> Result<Vec<DeadLetter>, Error> {
        let claims = self.journal.claims(&part.stream, &part.reader, ClaimState::Parked, after, PAGE).await;
        let claims = claims.map_err(|error| self.failed("look into", error))?;
        Ok(claims.into_iter().filter_map(|claim| DeadLetter::of(&part.stream, claim)).collect())
    }

    fn open(&self, letter: &mut DeadLetter) {
        if let (Some(message), Some(keys)) = (letter.message.as_mut(), &self.keys)
            && let Err(error) = keys.unseal(message)
        {
            tracing::warn!(position = letter.position, error = chain(&error), "a dead letter stays sealed");
        }
    }

    /// Hands them out again, with their attempts counted anew; `per_second` at most, if given.
    pub async fn redrive(&self, selection: &Selection, per_second: Option<f64>) -> Result<Redriven, Error> {
        self.revise(selection, per_second, &Revision::Redrive).await
    }

    /// Forgets them; what they held back goes on.
    pub async fn discard(&self, selection: &Selection) -> Result<Redriven, Error> {
        self.revise(selection, None, &Revision::Discard).await
    }

    /// How many `selection` means: what a revision would act on.
    pub async fn dry_run(&self, selection: &Selection) -> Result<Redriven, Error> {
        let matched = self.list(selection).await?.len() as u64;
        Ok(Redriven { matched, done: 0 })
    }

    /// Gives the one at `position` another type, other attributes and another payload; its id and key stay. It is handed
    /// out with them when it is redriven. Says whether it was there.
    pub async fn edit(&self, position: u64, mut message: Message) -> Result<bool, Error> {
        let Some(found) = self.at(position).await? else { return Ok(false) };
        if let Some(found) = found.message {
            let sealed = self.seals || Keyring::is_sealed(&found);
            // A seal is bound to the id, and the id that counts is that of the entry.
            message.id = found.id;
            if let (true, Some(keys)) = (sealed, &self.keys) {
                keys.seal(&mut message).map_err(|error| Error::Invalid(chain(&error)))?;
            }
        }
        let revision = Revision::Edit(Record::from(message));
        Ok(self.revise_at(vec![position], &revision).await? > 0)
    }

    /// The one at `position`, as it is stored.
    async fn at(&self, position: u64) -> Result<Option<DeadLetter>, Error> {
        for part in self.parts.iter() {
            let page = self.page(part, position.saturating_sub(1)).await?;
            if let Some(letter) = page.into_iter().next().filter(|letter| letter.position == position) {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    async fn revise(
        &self,
        selection: &Selection,
        per_second: Option<f64>,
        revision: &Revision,
    ) -> Result<Redriven, Error> {
        let letters = self.list(selection).await?;
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
        for Part { stream, reader } in self.parts.iter() {
            let (positions, limit) = (positions.clone(), positions.len());
            let revised = self.journal.revise(stream, reader, positions, limit, revision.clone()).await;
            done += revised.map_err(|error| self.failed("revise dead letters of", error))?;
        }
        Ok(done)
    }

    fn failed(&self, doing: &str, error: dozen_store::Error) -> Error {
        Error::engine(format!("{doing} {}", self.whose), error)
    }
}
