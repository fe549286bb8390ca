//! What the store remembers of a subscription, so that every process opens it in the same way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_messaging::{Error, Start, SubscriptionOptions};
use dozen_store::{Append, Expect, Op, Put, Record, Remove, Store, Trim};
use serde::{Deserialize, Serialize};

use crate::Pattern;

/// The table of subscriptions; a row's key is the pattern and the name.
pub(crate) const SPACE: &str = "subscription";
/// The same by name: a row's key is the name and the pattern, and its value is empty.
const NAMES: &str = "subscription-name";
/// Rows that are read in one step, and all that are read.
const PAGE: usize = 1_000;
const NAMESAKES: usize = 16;
const ROWS_MAX: usize = 100_000;

/// The settings of one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) start: Start,
    pub(crate) lease: Option<Duration>,
    pub(crate) filter: Option<String>,
    pub(crate) per_key: u32,
    pub(crate) paused: bool,
    /// When it was made: it hears of all that was published since.
    pub(crate) made: Timestamp,
}

/// A row as it was read.
pub(crate) struct Row {
    pub(crate) version: u64,
    pub(crate) settings: Remembered,
}

/// Which subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) pattern: Pattern,
    pub(crate) name: Arc<str>,
}

impl Key {
    pub(crate) fn new(pattern: &str, name: &str) -> Result<Self, Error> {
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "a subscription needs a name of 1 to 200 bytes without control characters".into(),
            ));
        }
        Ok(Self { pattern: Pattern::parse(pattern)?, name: name.into() })
    }

    pub(crate) fn row(&self) -> String {
        format!("{}\n{}", self.pattern, self.name)
    }

    fn parse(row: &str) -> Option<Self> {
        let (pattern, name) = row.split_once('\n')?;
        Self::new(pattern, name).ok()
    }

    /// The stream that hints at a change of it.
    pub(crate) fn stream(&self) -> Arc<str> {
        format!("subscription/{}/{}", self.pattern, self.name).into()
    }

    /// For errors.
    pub(crate) fn of(&self) -> String {
        format!("subscription `{}` of `{}`", self.name, self.pattern)
    }

    pub(crate) fn failed(&self, doing: &str, error: dozen_store::Error) -> Error {
        Error::engine(format!("{doing} {}", self.of()), error)
    }

    pub(crate) async fn read(&self, store: &Store) -> Result<Option<Row>, Error> {
        let row = store.table(SPACE).get(&self.row()).await;
        let Some(row) = row.map_err(|error| self.failed("look up", error))? else { return Ok(None) };
        let settings = serde_json::from_slice(&row.value).map_err(|error| {
            Error::Invalid(format!("what is remembered of {} cannot be read: {error}", self.of()))
        })?;
        Ok(Some(Row { version: row.version, settings }))
    }

    /// Writes its settings, or fails the transaction when the row is not as expected.
    pub(crate) fn write(&self, settings: &Remembered, expect: Expect, now: Timestamp) -> Result<Op, Error> {
        let value = serde_json::to_vec(settings)
            .map_err(|error| Error::Invalid(format!("the settings of {}: {error}", self.of())))?;
        Ok(Op::Require(Put { space: SPACE.into(), key: self.row(), value, expect, expires: None, now }))
    }

    /// Puts it among those of its name.
    pub(crate) fn name_it(&self, now: Timestamp) -> Op {
        Op::Put(Put {
            space: NAMES.into(),
            key: format!("{}\n{}", self.name, self.pattern),
            value: Vec::new(),
            expect: Expect::Any,
            expires: None,
            now,
        })
    }

    /// Forgets it.
    pub(crate) fn forget(&self) -> [Op; 2] {
        let remove = |space: &str, key| Op::Remove(Remove { space: space.into(), key, expect: Expect::Any });
        [remove(SPACE, self.row()), remove(NAMES, format!("{}\n{}", self.name, self.pattern))]
    }

    /// The patterns of all subscriptions of this name.
    pub(crate) async fn namesakes(&self, store: &Store) -> Result<Vec<Pattern>, Error> {
        let prefix = format!("{}\n", self.name);
        let mut after = prefix.clone();
        let mut found = Vec::new();
        while found.len() < ROWS_MAX {
            let rows = store.table(NAMES).list(&after, NAMESAKES).await;
            let rows = rows.map_err(|error| self.failed("look up", error))?;
            let patterns = rows.iter().map_while(|row| row.key.strip_prefix(&prefix));
            let before = found.len();
            found.extend(patterns.filter_map(|pattern| Pattern::parse(pattern).ok()));
            match rows.last() {
                Some(last) if found.len() == before + NAMESAKES => after.clone_from(&last.key),
                _ => break,
            }
        }
        Ok(found)
    }

    /// Tells those who have it open to look at its settings.
    pub(crate) fn hint(&self, now: Timestamp) -> [Op; 2] {
        hint(&self.stream(), &self.name, now)
    }
}

/// An entry that says no more than "look again", and the end of those before it.
pub(crate) fn hint(stream: &Arc<str>, about: &str, at: Timestamp) -> [Op; 2] {
    let message = dozen_core::Message::new(about, "/dozen/pubsub", "dozen.changed");
    let append = Append { stream: stream.clone(), records: vec![Record::from(message)], at, due: None };
    let trim = Trim { stream: stream.clone(), before: at, bytes_max: None, limit: PAGE };
    [Op::Append(append), Op::Trim(trim)]
}

impl Remembered {
    /// The settings of a new subscription.
    pub(crate) fn new(options: SubscriptionOptions, made: Timestamp) -> Self {
        let start = options.start;
        let fresh = Self { start, lease: None, filter: None, per_key: 1, paused: false, made };
        fresh.with(options)
    }

    /// The same with what `options` name.
    pub(crate) fn with(&self, options: SubscriptionOptions) -> Self {
        let mut changed = self.clone();
        changed.lease = options.lease.or(changed.lease);
        changed.per_key = options.per_key.unwrap_or(changed.per_key).max(1);
        if let Some(filter) = options.filter {
            changed.filter = Some(filter).filter(|text| !text.trim().is_empty());
        }
        changed
    }

    /// Where it begins on a topic that is declared after it was made.
    pub(crate) fn start_later(&self) -> dozen_store::Start {
        match self.start {
            Start::Latest => dozen_store::Start::At(self.made),
            start => start.into(),
        }
    }
}

/// All subscriptions that are remembered.
pub(crate) async fn all(store: &Store) -> Result<BTreeMap<Key, Remembered>, Error> {
    let mut found = BTreeMap::new();
    let mut after = String::new();
    while found.len() < ROWS_MAX {
        let rows = store.table(SPACE).list(&after, PAGE).await;
        let rows = rows.map_err(|error| Error::engine("list the subscriptions", error))?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.key);
        let read = |row: &dozen_store::TableRow| {
            Some((Key::parse(&row.key)?, serde_json::from_slice(&row.value).ok()?))
        };
        found.extend(rows.iter().filter_map(read));
        if rows.len() < PAGE {
            break;
        }
    }
    Ok(found)
}
