//! What can be asked of a state.

use std::sync::Arc;

use dozen_store::{Answer, Entry, Error, Query, Sighting, StreamStatus};

use crate::state::{State, is_live};
use crate::stream::Stream;

/// The most that one query gives, whatever it asks for.
const LIMIT_MAX: usize = 10_000;

impl State {
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
            Query::Streams { prefix } => {
                let streams = self.under(prefix).map(|(name, stream)| StreamStatus {
                    stream: name.to_string(),
                    appended: stream.appended,
                    position: stream.position,
                    bytes: stream.bytes(),
                });
                Answer::Streams(streams.collect())
            }
            Query::Readers { prefix } => Answer::Readers(
                self.under(prefix)
                    .flat_map(|(name, stream)| {
                        stream.readers.iter().map(|(reader, own)| own.status(name, reader, &stream.entries))
                    })
                    .collect(),
            ),
            Query::Standing { stream: name, reader } => {
                Answer::Standing(stream(name).readers.get(reader).map(|own| own.position))
            }
            Query::Claims { stream: name, reader, state, after, limit } => {
                let stream = stream(name);
                let limit = (*limit).min(LIMIT_MAX);
                let reader = stream.readers.get(reader);
                Answer::Claims(
                    reader.map(|own| own.claims(*state, *after, limit, &stream.entries)).unwrap_or_default(),
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

    /// The streams whose names begin with `prefix`.
    fn under(&self, prefix: &str) -> impl Iterator<Item = (&Arc<str>, &Stream)> {
        self.streams.iter().filter(move |(name, _)| name.starts_with(prefix))
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
