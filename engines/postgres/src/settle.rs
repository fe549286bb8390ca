//! Acknowledgements of any number of callers, as the columns of one call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dozen_store::{Ended, Settle, end_of, hint_of};
use tokio_postgres::Client;

use crate::call::{params, rows};
use crate::rows::{signed, signed_any};
use crate::shared::Shared;

/// What became of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Refused,
    Settled,
    /// And its key is free again.
    Freed,
}

impl Given {
    pub(crate) fn from_code(code: i32) -> Self {
        match code {
            0 => Self::Refused,
            1 => Self::Settled,
            _ => Self::Freed,
        }
    }

    pub(crate) fn is_good(self) -> bool {
        self != Self::Refused
    }
}

/// Whether it only acknowledges, as most do.
pub(crate) fn is_plain(settle: &Settle) -> bool {
    settle.ends.iter().all(|(_, ended)| *ended == Ended::Done)
}

/// Adds the names under which a hint is due.
pub(crate) fn touch(settle: &Settle, given: &[Given], touched: &mut HashSet<Arc<str>>) {
    let mut ends = given.iter().zip(&settle.ends).filter(|(given, _)| given.is_good()).peekable();
    let (mut comes_again, mut ended) = (false, false);
    for (given, (_, how)) in &mut ends {
        let retries = matches!(how, Ended::Retry { .. });
        comes_again |= retries || *given == Given::Freed;
        ended |= !retries;
    }
    if comes_again {
        touched.insert(hint_of(&settle.stream, &settle.reader));
    }
    if ended {
        touched.insert(end_of(&settle.stream, &settle.reader));
    }
}

/// The places of one call of `settle_many`.
#[derive(Default)]
pub(crate) struct Places<'a> {
    readers: HashMap<(i64, &'a str), i32>,
    streams: Vec<i64>,
    names: Vec<&'a str>,
    of: Vec<i32>,
    position: Vec<i64>,
    fence: Vec<i64>,
    now: Vec<i64>,
    seen: HashSet<(i32, i64, i64)>,
}

impl<'a> Places<'a> {
    /// Adds acknowledgements; gives for each its place in the call, or `None` where the same one stands there already: of two
    /// the second is too late.
    pub(crate) fn add(&mut self, stream: i64, settle: &'a Settle) -> Vec<Option<usize>> {
        let reader = *self.readers.entry((stream, &*settle.reader)).or_insert_with(|| {
            self.streams.push(stream);
            self.names.push(&settle.reader);
            i32::try_from(self.streams.len()).unwrap_or(i32::MAX)
        });
        let add = |(place, _): &(dozen_store::Place, Ended)| {
            let (position, fence) = (signed(place.position), signed_any(place.fence));
            if !self.seen.insert((reader, position, fence)) {
                return None;
            }
            self.of.push(reader);
            self.position.push(position);
            self.fence.push(fence);
            self.now.push(settle.now.0);
            Some(self.position.len() - 1)
        };
        settle.ends.iter().map(add).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Settles them; gives what became of each place.
    pub(crate) async fn send(
        &self,
        shared: &Shared,
        client: &Client,
    ) -> Result<Vec<Given>, tokio_postgres::Error> {
        let sql = shared.sql("select dozen.settle_many($1, $2, $3, $4, $5, $6)");
        let answer = rows(
            client,
            &sql,
            &params![self.streams => INT8_ARRAY, self.names => TEXT_ARRAY, self.of => INT4_ARRAY,
                     self.position => INT8_ARRAY, self.fence => INT8_ARRAY, self.now => INT8_ARRAY],
        )
        .await?;
        let mut given = vec![Given::Refused; self.position.len()];
        for number in answer[0].get::<_, Vec<i32>>(0) {
            let at = usize::try_from(number.unsigned_abs()).unwrap_or(0).wrapping_sub(1);
            if let Some(given) = given.get_mut(at) {
                *given = if number < 0 { Given::Freed } else { Given::Settled };
            }
        }
        Ok(given)
    }
}
