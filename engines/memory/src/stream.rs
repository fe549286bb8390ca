//! One stream: its entries, and what of them may be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use dozen_store::{Compact, Entry, Outcome, Start, Trim};

use crate::reader::Reader;

#[derive(Clone, Default)]
pub(crate) struct Stream {
    /// How many entries ever.
    pub(crate) appended: u64,
    /// Of the last one.
    pub(crate) position: u64,
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) readers: BTreeMap<Arc<str>, Reader>,
    /// Up to where the last compaction has looked.
    compacted: u64,
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

    /// Bytes of payload that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.record.data.len() as u64).sum()
    }

    pub(crate) fn trim(&mut self, trim: &Trim) -> Outcome {
        let needed = self.readers.values().map(Reader::needs_after).min().unwrap_or(u64::MAX);
        let mut excess = self.bytes().saturating_sub(trim.bytes_max.unwrap_or(u64::MAX));
        let mut gone = Vec::new();
        for entry in self.entries.values().take_while(|entry| entry.position <= needed) {
            if gone.len() < trim.limit && (entry.at < trim.before || excess > 0) {
                excess = excess.saturating_sub(entry.record.data.len() as u64);
                gone.push(entry.position);
            }
        }
        self.forget(&gone)
    }

    /// Looks at the next `limit` entries, going around.
    pub(crate) fn compact(&mut self, compact: &Compact) -> Outcome {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in self.entries.values() {
            if let Some(key) = &entry.record.key {
                last.insert(key, entry.position);
            }
        }
        let all = self.entries.range(self.compacted + 1..).chain(self.entries.range(..=self.compacted));
        let window: Vec<&Entry> = all.map(|(_, entry)| entry).take(compact.limit).collect();
        let is_replaced = |entry: &Entry| {
            let last = entry.record.key.as_deref().and_then(|key| last.get(key));
            last.is_some_and(|last| *last > entry.position)
        };
        let is_needed = |position| self.readers.values().any(|reader| reader.needs(position));
        let gone: Vec<u64> = window
            .iter()
            .filter(|entry| entry.at < compact.before && is_replaced(entry) && !is_needed(entry.position))
            .map(|entry| entry.position)
            .collect();
        self.compacted = window.last().map_or(0, |entry| entry.position);
        self.forget(&gone)
    }

    fn forget(&mut self, positions: &[u64]) -> Outcome {
        for position in positions {
            self.entries.remove(position);
            self.readers.values_mut().for_each(|reader| reader.forget(*position));
        }
        Outcome::Touched(positions.len() as u64)
    }
}
