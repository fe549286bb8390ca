//! Appends of any number of callers, as the columns of one call.

use std::collections::HashMap;

use dozen_store::{Append, Error};
use tokio_postgres::Client;

use crate::call::{params, rows};
use crate::names::check;
use crate::shared::Shared;

/// The messages of one call of `append`.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    streams: Vec<i64>,
    /// Messages and bytes of each stream so far.
    counts: Vec<(i32, i64)>,
    places: HashMap<i64, usize>,
    of: Vec<i32>,
    nth: Vec<i32>,
    through: Vec<i64>,
    at: Vec<i64>,
    due: Vec<Option<i64>>,
    size: Vec<i32>,
    id: Vec<&'a str>,
    kind: Vec<&'a str>,
    key: Vec<Option<&'a str>>,
    attributes: Vec<&'a str>,
    data: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// Adds an append to the stream of that number; gives how many messages come before it and with it.
    pub(crate) fn add(&mut self, stream: i64, append: &'a Append) -> Result<(u64, u64), Error> {
        if append.records.is_empty() {
            return Err(Error::Invalid("an append needs a message".into()));
        }
        let before = self.id.len();
        let place = *self.places.entry(stream).or_insert_with(|| {
            self.streams.push(stream);
            self.counts.push((0, 0));
            self.streams.len() - 1
        });
        for record in &append.records {
            for text in [&record.id, &record.kind, &record.attributes].into_iter().chain(&record.key) {
                check(text)?;
            }
            let size = i32::try_from(record.data.len());
            let size = size.map_err(|_| Error::Invalid("a payload has at most 2 GiB".into()))?;
            let count = &mut self.counts[place];
            count.0 += 1;
            count.1 += i64::from(size);
            self.of.push(i32::try_from(place + 1).unwrap_or(i32::MAX));
            self.nth.push(count.0);
            self.through.push(count.1);
            self.at.push(append.at.0);
            self.due.push(append.due.map(|due| due.0));
            self.size.push(size);
            self.id.push(&record.id);
            self.kind.push(&record.kind);
            self.key.push(record.key.as_deref());
            self.attributes.push(&record.attributes);
            self.data.push(&record.data);
        }
        Ok((before as u64, self.id.len() as u64))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    /// Appends them; gives the position before the first.
    pub(crate) async fn send(&self, shared: &Shared, client: &Client) -> Result<u64, tokio_postgres::Error> {
        let sql = shared.sql("select dozen.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
        let given = rows(
            client,
            &sql,
            &params![
                self.streams => INT8_ARRAY, self.of => INT4_ARRAY, self.nth => INT4_ARRAY, self.through => INT8_ARRAY,
                self.at => INT8_ARRAY, self.due => INT8_ARRAY, self.size => INT4_ARRAY, self.id => TEXT_ARRAY,
                self.kind => TEXT_ARRAY, self.key => TEXT_ARRAY, self.attributes => TEXT_ARRAY, self.data => BYTEA_ARRAY
            ],
        )
        .await?;
        Ok(u64::try_from(given[0].get::<_, i64>(0)).unwrap_or(0))
    }
}
