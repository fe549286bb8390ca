//! The numbers of streams, which never change.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_core::RwLock;
use dozen_store::{Error, Op};

use crate::call::{params, rows};
use crate::error::{Doing, translate};
use crate::shared::Shared;

/// Names that are remembered; beyond that they are asked for again.
const NAMES_MAX: usize = 65_536;

#[derive(Default)]
pub(crate) struct Names {
    streams: RwLock<HashMap<Arc<str>, i64>>,
}

impl Names {
    fn get(&self, name: &str) -> Option<i64> {
        self.streams.read().get(name).copied()
    }

    fn put(&self, name: &Arc<str>, number: i64) {
        let mut streams = self.streams.write();
        if streams.len() >= NAMES_MAX {
            streams.clear();
        }
        streams.insert(name.clone(), number);
    }

    /// The database was put back: other numbers may stand for other names.
    pub(crate) fn clear(&self) {
        self.streams.write().clear();
    }
}

/// The stream that an operation is about.
pub(crate) fn stream_of(op: &Op) -> Option<&Arc<str>> {
    match op {
        Op::Append(append) => Some(&append.stream),
        Op::OpenReader(open) => Some(&open.stream),
        Op::CloseReader(close) => Some(&close.stream),
        Op::Seek(seek) => Some(&seek.stream),
        Op::Claim(claim) => Some(&claim.stream),
        Op::Settle(settle) => Some(&settle.stream),
        Op::Extend(extend) => Some(&extend.stream),
        Op::Revise(revise) => Some(&revise.stream),
        Op::Trim(trim) => Some(&trim.stream),
        Op::Compact(compact) => Some(&compact.stream),
        Op::Pause(pause) => Some(&pause.stream),
        Op::Put(_) | Op::Require(_) | Op::Remove(_) | Op::Mark(_) | Op::Execute(_) | Op::Select(_) => None,
    }
}

impl Shared {
    /// Finds the numbers of the streams that these operations are about. A name that is new gets its number in a transaction
    /// of its own, so that nobody waits for a transaction under way to learn it; such a stream is none until it has an entry
    /// or a reader.
    pub(crate) async fn resolve<'a>(&self, ops: impl Iterator<Item = &'a Op>) -> Result<(), Error> {
        for name in ops.filter_map(stream_of) {
            if self.names.get(name).is_some() {
                continue;
            }
            check(name)?;
            let client = self.lane(name).client().await?;
            let sql = self.sql("select dozen.stream_number($1)");
            let found = rows(&client, &sql, &params![&**name => TEXT]).await;
            let found = found.map_err(|error| translate(self.location(), Doing::Working, &error))?;
            self.names.put(name, found[0].get(0));
        }
        Ok(())
    }

    /// The number of a stream that was resolved before.
    pub(crate) fn stream(&self, name: &str) -> i64 {
        // Forgotten only when the names were cleared in between: a number that no stream has.
        self.names.get(name).unwrap_or(0)
    }
}

/// Text as the server can keep it: it knows no character 0.
pub(crate) fn check(text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::Invalid(
            "PostgreSQL cannot keep the character U+0000 in a name, id, key or attribute".into(),
        ));
    }
    Ok(())
}
