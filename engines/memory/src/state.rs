//! Everything that a store holds, and what each operation does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_store::{
    Append, Entry, Error, Expect, Mark, Op, Outcome, Put, Remove, Revision, TableRow, end_of, hint_of,
};

use crate::reader::Reader;
use crate::stream::Stream;

#[derive(Clone, Default)]
pub(crate) struct State {
    /// The last position given.
    pub(crate) head: u64,
    pub(crate) fence: u64,
    pub(crate) streams: BTreeMap<Arc<str>, Stream>,
    pub(crate) records: BTreeMap<(Arc<str>, String), TableRow>,
    /// Marks, each with the day on which it is forgotten.
    pub(crate) marks: BTreeMap<(Arc<str>, String), i64>,
    /// The day up to which they have been.
    pub(crate) swept: i64,
}

impl State {
    /// Does one operation; adds to `touched` the names under which a hint is due.
    pub(crate) fn apply(&mut self, op: &Op, touched: &mut BTreeSet<Arc<str>>) -> Result<Outcome, Error> {
        match op {
            Op::Append(append) => {
                touched.insert(append.stream.clone());
                self.append(append)
            }
            Op::OpenReader(open) => {
                let head = self.head;
                let stream = self.stream(&open.stream);
                let new = !stream.readers.contains_key(&open.reader);
                if new {
                    let position = stream.standing(open.start, head);
                    stream.readers.insert(open.reader.clone(), Reader::at(position));
                }
                Ok(Outcome::Opened(new))
            }
            Op::CloseReader(close) => {
                let gone = self.stream(&close.stream).readers.remove(&close.reader);
                Ok(Outcome::Touched(u64::from(gone.is_some())))
            }
            Op::Seek(seek) => {
                let head = self.head;
                let position = self.stream(&seek.stream).standing(seek.start, head);
                self.reader(&seek.stream, &seek.reader)?.seek(position);
                touched.insert(hint_of(&seek.stream, &seek.reader));
                Ok(Outcome::Touched(1))
            }
            Op::Claim(claim) => {
                let mut fence = self.fence;
                let mut own = std::mem::take(self.reader(&claim.stream, &claim.reader)?);
                let stream = self.stream(&claim.stream);
                let outcome = own.claim(claim, &stream.entries, &mut fence);
                stream.readers.insert(claim.reader.clone(), own);
                self.fence = fence;
                Ok(outcome)
            }
            Op::Settle(settle) => {
                let outcome = self.reader(&settle.stream, &settle.reader)?.settle(settle);
                touched.insert(hint_of(&settle.stream, &settle.reader));
                touched.insert(end_of(&settle.stream, &settle.reader));
                Ok(outcome)
            }
            Op::Extend(extend) => Ok(self.reader(&extend.stream, &extend.reader)?.extend(extend)),
            Op::Revise(revise) => {
                let outcome = self.reader(&revise.stream, &revise.reader)?.revise(revise);
                touched.insert(hint_of(&revise.stream, &revise.reader));
                if revise.revision == Revision::Discard {
                    touched.insert(end_of(&revise.stream, &revise.reader));
                }
                Ok(outcome)
            }
            Op::Trim(trim) => {
                Ok(self.streams.get_mut(&trim.stream).map_or(Outcome::Touched(0), |s| s.trim(trim)))
            }
            Op::Compact(compact) => {
                Ok(self.streams.get_mut(&compact.stream).map_or(Outcome::Touched(0), |s| s.compact(compact)))
            }
            Op::Pause(pause) => {
                self.reader(&pause.stream, &pause.reader)?.paused = pause.paused;
                touched.insert(hint_of(&pause.stream, &pause.reader));
                Ok(Outcome::Touched(1))
            }
            Op::Put(put) => Ok(Outcome::Put(self.put(put))),
            Op::Require(put) => match self.put(put) {
                None => Err(Error::Unexpected { space: put.space.to_string(), key: put.key.clone() }),
                version => Ok(Outcome::Put(version)),
            },
            Op::Remove(remove) => self.remove(remove),
            Op::Mark(mark) => Ok(Outcome::Marked(self.mark(mark))),
            Op::Execute(_) | Op::Select(_) => {
                Err(Error::Unsupported { engine: "memory", what: "run SQL; it has no tables" })
            }
        }
    }

    fn stream(&mut self, name: &Arc<str>) -> &mut Stream {
        self.streams.entry(name.clone()).or_default()
    }

    fn reader(&mut self, stream: &Arc<str>, name: &Arc<str>) -> Result<&mut Reader, Error> {
        let found = self.streams.get_mut(stream).and_then(|stream| stream.readers.get_mut(name));
        found.ok_or_else(|| Error::NoReader { stream: stream.to_string(), reader: name.to_string() })
    }

    fn append(&mut self, append: &Append) -> Result<Outcome, Error> {
        if append.records.is_empty() {
            return Err(Error::Invalid("an append needs a message".into()));
        }
        let first = self.head + 1;
        let stream = self.streams.entry(append.stream.clone()).or_default();
        for record in &append.records {
            self.head += 1;
            stream.appended += 1;
            stream.position = self.head;
            let entry = Entry { position: self.head, at: append.at, due: append.due, record: record.clone() };
            stream.entries.insert(self.head, entry);
        }
        Ok(Outcome::Appended { first, last: self.head })
    }

    fn put(&mut self, put: &Put) -> Option<u64> {
        let place = (put.space.clone(), put.key.clone());
        let live = self.records.get(&place).filter(|row| is_live(row, put.now));
        let as_expected = match (put.expect, live) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(version), Some(row)) => row.version == version,
            (Expect::Absent, Some(_)) | (Expect::Version(_), None) => false,
        };
        if !as_expected {
            return None;
        }
        self.fence += 1;
        let row = TableRow {
            key: put.key.clone(),
            value: put.value.clone(),
            version: self.fence,
            expires: put.expires,
        };
        self.records.insert(place, row);
        Some(self.fence)
    }

    fn mark(&mut self, mark: &Mark) -> bool {
        let today = mark.today();
        if today > self.swept {
            self.marks.retain(|_, gone_by| *gone_by > today);
            self.swept = today;
        }
        let place = (mark.space.clone(), mark.key.clone());
        let is_new = self.marks.get(&place).is_none_or(|gone_by| *gone_by <= today);
        if is_new {
            self.marks.insert(place, mark.gone_by());
        }
        is_new
    }

    fn remove(&mut self, remove: &Remove) -> Result<Outcome, Error> {
        let place = (remove.space.clone(), remove.key.clone());
        let found = self.records.get(&place);
        let gone = match remove.expect {
            Expect::Any => found.is_some(),
            Expect::Version(version) => found.is_some_and(|row| row.version == version),
            Expect::Absent => {
                return Err(Error::Invalid("a removal cannot expect that nothing is there".into()));
            }
        };
        if gone {
            self.records.remove(&place);
        }
        Ok(Outcome::Touched(u64::from(gone)))
    }
}

/// Whether a row is there at `now`.
pub(crate) fn is_live(row: &TableRow, now: Timestamp) -> bool {
    row.expires.is_none_or(|expires| expires > now)
}
