//! Everything that a store holds, and the operations on it that need no reader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_store::{
    Answer, Entry, Error, Expect, Op, Outcome, Put, Query, Remove, Sighting, Start, StreamStatus, TableRow,
    Trim, hint_of,
};

use crate::reader::Reader;

/// The most that one query gives, whatever it asks for.
const LIMIT_MAX: usize = 10_000;

#[derive(Clone, Default)]
pub(crate) struct State {
    /// The last position given.
    pub(crate) head: u64,
    pub(crate) fence: u64,
    pub(crate) streams: BTreeMap<Arc<str>, Stream>,
    records: BTreeMap<(Arc<str>, String), TableRow>,
}

#[derive(Clone, Default)]
pub(crate) struct Stream {
    pub(crate) appended: u64,
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) readers: BTreeMap<Arc<str>, Reader>,
}

impl Stream {
    /// The position at which a reader begins.
    pub(crate) fn standing(&self, start: Start, head: u64) -> u64 {
        match start {
            Start::Earliest => 0,
            Start::Latest => head,
            Start::After(position) => position,
            Start::At(at) => {
                let first = self.entries.values().find(|entry| entry.at >= at);
                first.map_or(head, |entry| entry.position - 1)
            }
        }
    }
}

impl State {
    pub(crate) fn apply(&mut self, op: &Op, touched: &mut BTreeSet<Arc<str>>) -> Result<Outcome, Error> {
        match op {
            Op::Append(append) => {
                if append.records.is_empty() {
                    return Err(Error::Invalid("an append needs a message".into()));
                }
                let first = self.head + 1;
                let stream = self.streams.entry(append.stream.clone()).or_default();
                for record in &append.records {
                    self.head += 1;
                    stream.appended += 1;
                    let entry =
                        Entry { position: self.head, at: append.at, due: append.due, record: record.clone() };
                    stream.entries.insert(self.head, entry);
                }
                touched.insert(append.stream.clone());
                Ok(Outcome::Appended { first, last: self.head })
            }
            Op::OpenReader(open) => {
                let head = self.head;
                let stream = self.streams.entry(open.stream.clone()).or_default();
                let new = !stream.readers.contains_key(&open.reader);
                if new {
                    let position = stream.standing(open.start, head);
                    stream.readers.insert(open.reader.clone(), Reader::at(position));
                }
                Ok(Outcome::Opened(new))
            }
            Op::CloseReader(close) => {
                let stream = self.streams.entry(close.stream.clone()).or_default();
                Ok(Outcome::Touched(u64::from(stream.readers.remove(&close.reader).is_some())))
            }
            Op::Seek(seek) => {
                let head = self.head;
                let stream = self.streams.entry(seek.stream.clone()).or_default();
                let position = stream.standing(seek.start, head);
                reader(stream, &seek.stream, &seek.reader)?.seek(position);
                touched.insert(hint_of(&seek.stream, &seek.reader));
                Ok(Outcome::Touched(1))
            }
            Op::Claim(claim) => {
                let mut fence = self.fence;
                let stream = self.streams.entry(claim.stream.clone()).or_default();
                let mut own = std::mem::take(reader(stream, &claim.stream, &claim.reader)?);
                let outcome = own.claim(claim, &stream.entries, &mut fence);
                stream.readers.insert(claim.reader.clone(), own);
                self.fence = fence;
                Ok(outcome)
            }
            Op::Settle(settle) => {
                let stream = self.streams.entry(settle.stream.clone()).or_default();
                touched.insert(hint_of(&settle.stream, &settle.reader));
                Ok(reader(stream, &settle.stream, &settle.reader)?.settle(settle))
            }
            Op::Extend(extend) => {
                let stream = self.streams.entry(extend.stream.clone()).or_default();
                Ok(reader(stream, &extend.stream, &extend.reader)?.extend(extend))
            }
            Op::Revise(revise) => {
                let stream = self.streams.entry(revise.stream.clone()).or_default();
                touched.insert(hint_of(&revise.stream, &revise.reader));
                Ok(reader(stream, &revise.stream, &revise.reader)?.revise(revise))
            }
            Op::Trim(trim) => Ok(self.trim(trim)),
            Op::Compact(_) | Op::Pause(_) | Op::Require(_) => {
                Err(Error::Unsupported { engine: "memory", what: "do this yet" })
            }
            Op::Put(put) => Ok(self.put(put)),
            Op::Remove(remove) => self.remove(remove),
            Op::Execute(_) | Op::Select(_) => {
                Err(Error::Unsupported { engine: "memory", what: "run SQL; it has no tables" })
            }
        }
    }

    fn trim(&mut self, trim: &Trim) -> Outcome {
        let Some(stream) = self.streams.get_mut(&trim.stream) else { return Outcome::Touched(0) };
        let needed = stream.readers.values().map(Reader::needs_after).min().unwrap_or(u64::MAX);
        let gone: Vec<u64> = stream
            .entries
            .values()
            .filter(|entry| entry.position <= needed && entry.at < trim.before)
            .map(|entry| entry.position)
            .take(trim.limit)
            .collect();
        for position in &gone {
            stream.entries.remove(position);
            stream.readers.values_mut().for_each(|reader| reader.forget(*position));
        }
        Outcome::Touched(gone.len() as u64)
    }

    fn put(&mut self, put: &Put) -> Outcome {
        let place = (put.space.clone(), put.key.clone());
        let live = self.records.get(&place).filter(|row| is_live(row, put.now));
        let as_expected = match (put.expect, live) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(version), Some(row)) => row.version == version,
            (Expect::Absent, Some(_)) | (Expect::Version(_), None) => false,
        };
        if !as_expected {
            return Outcome::Put(None);
        }
        self.fence += 1;
        let row = TableRow {
            key: put.key.clone(),
            value: put.value.clone(),
            version: self.fence,
            expires: put.expires,
        };
        self.records.insert(place, row);
        Outcome::Put(Some(self.fence))
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

    pub(crate) fn answer(&self, query: &Query) -> Result<Answer, Error> {
        let none = Stream::default();
        let stream = |name: &Arc<str>| self.streams.get(name).unwrap_or(&none);
        Ok(match query {
            Query::Read { stream: name, after, limit } => Answer::Entries(
                stream(name)
                    .entries
                    .range(after.saturating_add(1)..)
                    .map(|(_, entry)| entry.clone())
                    .take((*limit).min(LIMIT_MAX))
                    .collect(),
            ),
            Query::Tail { stream: name, limit } => {
                let last = stream(name).entries.values().rev().take((*limit).min(LIMIT_MAX)).cloned();
                let mut entries: Vec<Entry> = last.collect();
                entries.reverse();
                Answer::Entries(entries)
            }
            Query::Find { id } => Answer::Sightings(self.find(id)),
            Query::Streams { prefix } => Answer::Streams(
                self.streams
                    .iter()
                    .filter(|(name, _)| name.starts_with(prefix.as_str()))
                    .map(|(name, stream)| StreamStatus {
                        stream: name.to_string(),
                        appended: stream.appended,
                        position: stream.entries.last_key_value().map_or(0, |(position, _)| *position),
                        bytes: stream.entries.values().map(|entry| entry.record.data.len() as u64).sum(),
                    })
                    .collect(),
            ),
            Query::Readers { prefix } => Answer::Readers(
                self.streams
                    .iter()
                    .filter(|(name, _)| name.starts_with(prefix.as_str()))
                    .flat_map(|(name, stream)| {
                        stream.readers.iter().map(|(reader, own)| own.status(name, reader, &stream.entries))
                    })
                    .collect(),
            ),
            Query::Claims { stream: name, reader, state, limit, .. } => {
                let stream = stream(name);
                let claims =
                    stream.readers.get(reader).map(|own| own.claims(*state, *limit)).unwrap_or_default();
                Answer::Claims(
                    claims
                        .into_iter()
                        .map(|claim| {
                            let entry = stream.entries.get(&claim.position).cloned();
                            (claim, entry)
                        })
                        .collect(),
                )
            }
            Query::Get { space, key, now } => {
                let row = self.records.get(&(space.clone(), key.clone()));
                Answer::TableRows(row.filter(|row| is_live(row, *now)).cloned().into_iter().collect())
            }
            Query::List { space, after, limit, now } => Answer::TableRows(
                self.records
                    .range((space.clone(), after.clone())..)
                    .take_while(|((found, _), _)| found == space)
                    .filter(|((_, key), row)| key > after && is_live(row, *now))
                    .map(|(_, row)| row.clone())
                    .take((*limit).min(LIMIT_MAX))
                    .collect(),
            ),
            Query::Select(_) => {
                return Err(Error::Unsupported { engine: "memory", what: "run SQL; it has no tables" });
            }
        })
    }

    fn find(&self, id: &str) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for (name, stream) in &self.streams {
            for entry in stream.entries.values().filter(|entry| entry.record.id == id) {
                let readers = stream
                    .readers
                    .iter()
                    .map(|(reader, own)| (reader.to_string(), own.claim_of(entry.position)))
                    .collect();
                sightings.push(Sighting { stream: name.to_string(), entry: entry.clone(), readers });
            }
        }
        sightings.sort_by_key(|sighting| sighting.entry.position);
        sightings
    }
}

fn is_live(row: &TableRow, now: Timestamp) -> bool {
    row.expires.is_none_or(|expires| expires > now)
}

fn reader<'a>(stream: &'a mut Stream, name: &Arc<str>, reader: &Arc<str>) -> Result<&'a mut Reader, Error> {
    stream
        .readers
        .get_mut(reader)
        .ok_or_else(|| Error::NoReader { stream: name.to_string(), reader: reader.to_string() })
}
