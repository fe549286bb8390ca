//! The journal: entries appended in a transaction, and readers that progress.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Clock, Message, Timestamp, Token};

use crate::{
    Append, Changes, Claim, ClaimState, ClaimStatus, Claimed, CloseReader, Compact, Ended, Engine, Entry,
    Error, Extend, Op, OpenReader, Outcome, Pause, Place, Query, ReaderStatus, Record, Revise, Revision,
    Seek, Settle, Sighting, Start, StreamStatus, Trim, end_of, hint_of,
};

/// The journal of a store, each call a transaction of its own. What must happen together with other things goes
/// through [`crate::Tx`] as an [`Op`].
///
/// The promises stand at [`Engine`].
#[derive(Clone)]
pub struct Journal {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
}

impl Journal {
    pub(crate) fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>) -> Self {
        Self { engine, clock }
    }

    async fn one(&self, op: Op) -> Result<(Outcome, Token), Error> {
        let mut committed = self.engine.commit(vec![op]).await?;
        let outcome = committed.outcomes.pop();
        Ok((outcome.ok_or_else(|| Error::Invalid("an engine gave no outcome".into()))?, committed.token))
    }

    /// Appends messages; durable when it returns.
    pub async fn append(&self, stream: &Arc<str>, messages: Vec<Message>) -> Result<Token, Error> {
        self.append_due(stream, messages, None).await
    }

    /// Appends messages that no reader is handed before `due`.
    pub async fn append_due(
        &self,
        stream: &Arc<str>,
        messages: Vec<Message>,
        due: Option<Timestamp>,
    ) -> Result<Token, Error> {
        let records = messages.into_iter().map(Record::from).collect();
        let append = Append { stream: stream.clone(), records, at: self.clock.now(), due };
        Ok(self.one(Op::Append(append)).await?.1)
    }

    /// Entries after a position, in commit order.
    pub async fn read(&self, stream: &Arc<str>, after: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        self.engine.query(Query::Read { stream: stream.clone(), after, limit }).await?.entries()
    }

    /// The last entries, oldest first.
    pub async fn tail(&self, stream: &Arc<str>, limit: usize) -> Result<Vec<Entry>, Error> {
        self.engine.query(Query::Tail { stream: stream.clone(), limit }).await?.entries()
    }

    /// Everything known of a message.
    pub async fn find(&self, id: &str) -> Result<Vec<Sighting>, Error> {
        self.engine.query(Query::Find { id: id.to_owned() }).await?.sightings()
    }

    /// The streams whose names begin with `prefix`.
    pub async fn streams(&self, prefix: &str) -> Result<Vec<StreamStatus>, Error> {
        self.engine.query(Query::Streams { prefix: prefix.to_owned() }).await?.streams()
    }

    /// The readers of the streams whose names begin with `prefix`.
    pub async fn readers(&self, prefix: &str) -> Result<Vec<ReaderStatus>, Error> {
        self.engine.query(Query::Readers { prefix: prefix.to_owned() }).await?.readers()
    }

    /// Where a reader stands.
    pub async fn standing(&self, stream: &Arc<str>, reader: &Arc<str>) -> Result<Option<u64>, Error> {
        let query = Query::Standing { stream: stream.clone(), reader: reader.clone() };
        self.engine.query(query).await?.standing()
    }

    /// Makes a reader where there is none, and says whether it did.
    pub async fn open(&self, stream: &Arc<str>, reader: &Arc<str>, start: Start) -> Result<bool, Error> {
        let open = OpenReader { stream: stream.clone(), reader: reader.clone(), start };
        self.one(Op::OpenReader(open)).await?.0.opened()
    }

    /// Forgets a reader and what it has in hand; says whether it was there.
    pub async fn close(&self, stream: &Arc<str>, reader: &Arc<str>) -> Result<bool, Error> {
        let close = CloseReader { stream: stream.clone(), reader: reader.clone() };
        Ok(self.one(Op::CloseReader(close)).await?.0.touched()? == 1)
    }

    /// Moves a reader.
    pub async fn seek(&self, stream: &Arc<str>, reader: &Arc<str>, start: Start) -> Result<(), Error> {
        let seek = Seek { stream: stream.clone(), reader: reader.clone(), start };
        self.one(Op::Seek(seek)).await.map(drop)
    }

    /// Takes messages under a lease, one of a key at a time; gives them, and when to look again if nothing new comes.
    pub async fn claim(
        &self,
        stream: &Arc<str>,
        reader: &Arc<str>,
        limit: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), Error> {
        let (stream, reader, now) = (stream.clone(), reader.clone(), self.clock.now());
        self.claim_as(Claim { stream, reader, limit, now, lease, per_key: 1, sifted: None }).await
    }

    /// Takes messages as `claim` says.
    pub async fn claim_as(&self, claim: Claim) -> Result<(Vec<Claimed>, Option<Timestamp>), Error> {
        self.one(Op::Claim(claim)).await?.0.claimed()
    }

    /// Lets a reader rest, or go on.
    pub async fn pause(&self, stream: &Arc<str>, reader: &Arc<str>, paused: bool) -> Result<(), Error> {
        let pause = Pause { stream: stream.clone(), reader: reader.clone(), paused };
        self.one(Op::Pause(pause)).await.map(drop)
    }

    /// Ends claims; says for each whether its lease was still good.
    pub async fn settle(
        &self,
        stream: &Arc<str>,
        reader: &Arc<str>,
        ends: Vec<(Place, Ended)>,
    ) -> Result<Vec<bool>, Error> {
        let settle = Settle { stream: stream.clone(), reader: reader.clone(), ends, now: self.clock.now() };
        self.one(Op::Settle(settle)).await?.0.settled()
    }

    /// Holds claims for `lease` from now; says for each whether its lease was still good.
    pub async fn extend(
        &self,
        stream: &Arc<str>,
        reader: &Arc<str>,
        places: Vec<Place>,
        lease: Duration,
    ) -> Result<Vec<bool>, Error> {
        let until = self.clock.now().after(lease);
        let extend = Extend { stream: stream.clone(), reader: reader.clone(), places, until };
        self.one(Op::Extend(extend)).await?.0.settled()
    }

    /// Claims of a reader in one state after a position, with their entries.
    pub async fn claims(
        &self,
        stream: &Arc<str>,
        reader: &Arc<str>,
        state: ClaimState,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(ClaimStatus, Option<Entry>)>, Error> {
        let query = Query::Claims { stream: stream.clone(), reader: reader.clone(), state, after, limit };
        self.engine.query(query).await?.claims()
    }

    /// Acts on dead letters; gives how many.
    pub async fn revise(
        &self,
        stream: &Arc<str>,
        reader: &Arc<str>,
        positions: Vec<u64>,
        limit: usize,
        revision: Revision,
    ) -> Result<u64, Error> {
        let now = self.clock.now();
        let revise =
            Revise { stream: stream.clone(), reader: reader.clone(), positions, limit, revision, now };
        self.one(Op::Revise(revise)).await?.0.touched()
    }

    /// Forgets what is old or too much, and finished; gives how many entries.
    pub async fn trim(
        &self,
        stream: &Arc<str>,
        before: Timestamp,
        bytes_max: Option<u64>,
        limit: usize,
    ) -> Result<u64, Error> {
        self.one(Op::Trim(Trim { stream: stream.clone(), before, bytes_max, limit })).await?.0.touched()
    }

    /// Forgets what later entries of the same key have replaced; gives how many entries.
    pub async fn compact(&self, stream: &Arc<str>, before: Timestamp, limit: usize) -> Result<u64, Error> {
        self.one(Op::Compact(Compact { stream: stream.clone(), before, limit })).await?.0.touched()
    }

    /// Hints that something was appended to `stream`.
    pub fn changes(&self, stream: &str) -> Changes {
        self.engine.changes(stream)
    }

    /// Hints that messages in the hands of `reader` were done, dropped or given up.
    pub fn ends_of(&self, stream: &str, reader: &str) -> Changes {
        self.engine.changes(&end_of(stream, reader))
    }

    /// Hints that `reader` has something again that it had before: a retry, a key that is free, a redriven dead letter.
    pub fn changes_of(&self, stream: &str, reader: &str) -> Changes {
        self.engine.changes(&hint_of(stream, reader))
    }
}
