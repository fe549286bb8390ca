//! How features stand in the store.
//!
//! ```text
//!  table  feature            NAME              the state: stage, hold, epoch, who, why        changed by compare-and-set
//!         feature-counts     NAME/GATEWAY/ID   what a process has counted in an epoch         written by that process
//!         feature-use        NAME/GATEWAY/ID   what it has served, and callers of the old     written by that process
//!         feature-unmapped   GATEWAY/ID        paths that no feature takes                    written by that process
//!         feature-samples    NAME/GATEWAY      its latest differences                         written by that gateway
//!         feature-noise      NAME              what replays have taught, added up             changed by compare-and-set
//!  stream feature/NAME                         one entry for each change: who, when, why      with the change, in one commit
//! ```
//!
//! One gateway may be two processes for a while, when a new binary takes over from an old one: each counts for itself, and
//! whoever reads adds up. What processes have left behind that are gone is folded into the row of a later one.

use std::sync::Arc;

use dozen_core::{Message, Timestamp};
use dozen_store::{Append, Expect, Op, Put, Record, Store, TableRow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::gate::Counts;
use crate::stage::{Hold, Stage, State};

pub(crate) const STATES: &str = "feature";
pub(crate) const COUNTS: &str = "feature-counts";
pub(crate) const USES: &str = "feature-use";
pub(crate) const UNMAPPED: &str = "feature-unmapped";
pub(crate) const SAMPLES: &str = "feature-samples";
pub(crate) const NOISE: &str = "feature-noise";

/// Rows of one table that are read.
const ROWS_MAX: usize = 10_000;
const PAGE: usize = 1_000;

/// One change of a feature, as its journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The stage before; none at the beginning.
    pub from: Option<Stage>,
    /// The stage after.
    pub to: Stage,
    /// What holds it there.
    pub hold: Option<Hold>,
    /// Whoever changed it: a person, or `gate`.
    pub who: String,
    /// And why.
    pub why: String,
}

/// What a gateway has counted of a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) epoch: u64,
    pub(crate) window: u64,
    /// In the windows before.
    pub(crate) closed: Counts,
    /// In this one.
    pub(crate) current: Counts,
}

/// The stream of a feature's changes.
pub(crate) fn stream(feature: &str) -> Arc<str> {
    format!("feature/{feature}").into()
}

/// Writes a state and its journal entry, in one commit, if the row is still as expected. Says whether it was.
pub(crate) async fn change(
    store: &Store,
    feature: &str,
    (before, state): (Option<&State>, &State),
    expect: Expect,
) -> Result<bool, Error> {
    let now = store.clock().now();
    let (from, to, hold) = (before.map(|before| before.stage), state.stage, state.hold);
    let change = Change { at: now, from, to, hold, who: state.who.clone(), why: state.why.clone() };
    let (space, key, value) = (STATES.into(), feature.to_owned(), json(state));
    told(store, feature, Put { space, key, value, expect, expires: None, now }, &change).await
}

/// Writes a row of a feature and tells the journal of it, in one commit, if the row is still as expected. Says whether it was.
pub(crate) async fn told(store: &Store, feature: &str, put: Put, change: &Change) -> Result<bool, Error> {
    // One id a change: the table's version makes it unique.
    let version = match put.expect {
        Expect::Version(version) => version,
        _ => 0,
    };
    let (space, now) = (&put.space, put.now);
    let mut entry = Message::new(
        format!("{space}-{feature}-{version}-{}", now.0),
        "/dozen/features",
        "dozen.feature.changed",
    );
    entry.time = Some(now);
    entry.subject = Some(feature.to_owned());
    let entry = entry.with_data(Some("application/json"), json(change));
    let append = Append { stream: stream(feature), records: vec![Record::from(entry)], at: now, due: None };
    match store.commit(vec![Op::Require(put), Op::Append(append)]).await {
        Ok(_) => Ok(true),
        Err(dozen_store::Error::Unexpected { .. }) => Ok(false),
        Err(error) => Err(Error::store(format!("change feature `{feature}`"))(error)),
    }
}

/// A row to write, whatever is there.
pub(crate) fn put(
    space: &str,
    key: String,
    value: &impl Serialize,
    now: Timestamp,
    expires: Timestamp,
) -> Op {
    Op::Put(Put {
        space: space.into(),
        key,
        value: json(value),
        expect: Expect::Any,
        expires: Some(expires),
        now,
    })
}

/// All rows of a table, up to a bound.
pub(crate) async fn all(store: &Store, space: &str) -> Result<Vec<TableRow>, Error> {
    let table = store.table(space);
    let mut rows: Vec<TableRow> = Vec::new();
    while rows.len() < ROWS_MAX {
        let after = rows.last().map_or(String::new(), |row| row.key.clone());
        let page =
            table.list(&after, PAGE).await.map_err(Error::store(format!("read the table `{space}`")))?;
        let is_last = page.len() < PAGE;
        rows.extend(page);
        if is_last {
            break;
        }
    }
    Ok(rows)
}

/// What a row says.
pub(crate) fn read<T: DeserializeOwned>(feature: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|source| Error::Stored { feature: feature.to_owned(), source })
}

pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    // Plain structs with text keys: there is nothing in them that JSON could not say.
    serde_json::to_vec(value).unwrap_or_default()
}
