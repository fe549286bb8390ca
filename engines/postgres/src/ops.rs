//! Operations as calls. Each is sent when its future is first polled.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use dozen_core::Timestamp;
use dozen_store::{
    Claim, Claimed, Ended, Error, Expect, Extend, Mark, Op, Outcome, Place, Put, Record, Remove, Revise,
    Revision, Settle, Start, end_of, hint_of,
};
use futures::future::BoxFuture;
use tokio_postgres::{Client, Row};

use crate::call::{Param, params, rows};
use crate::error::{Doing, is_conflict, translate};
use crate::names::check;
use crate::rows::{self, signed, signed_any, unsigned};
use crate::settle::{self, Given};
use crate::shared::Shared;

/// Why an operation failed, and whether its whole transaction may succeed if it is tried once more.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, again: false }
    }
}

/// What an operation gave, and where a hint is due if its transaction commits.
pub(crate) struct Effect {
    pub(crate) outcome: Outcome,
    pub(crate) touched: HashSet<Arc<str>>,
}

impl From<Outcome> for Effect {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, touched: HashSet::new() }
    }
}

/// One operation, on whose connection it is.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) client: &'a Client,
    /// What it is doing when a call fails: committing, where the call is a transaction of its own.
    pub(crate) doing: Doing,
}

impl<'a> Caller<'a> {
    /// Does one operation other than an append. The streams it names must have been resolved.
    pub(crate) fn apply(self, op: &'a Op) -> BoxFuture<'a, Result<Effect, Failure>> {
        Box::pin(async move {
            match op {
                Op::Append(_) => Err(Error::Invalid("appends are sent together".into()).into()),
                Op::OpenReader(open) => {
                    check(&open.reader)?;
                    let (how, value) = start(open.start);
                    let sql = "select dozen.open_reader($1, $2, $3, $4)";
                    let stream = self.shared.stream(&open.stream);
                    let params = params![stream => INT8, &*open.reader => TEXT, how => INT4, value => INT8];
                    Ok(Outcome::Opened(self.one(sql, &params, op).await?.get(0)).into())
                }
                Op::CloseReader(close) => {
                    let stream = self.shared.stream(&close.stream);
                    let sql = "select dozen.close_reader($1, $2)";
                    self.count(sql, &params![stream => INT8, &*close.reader => TEXT], op).await
                }
                Op::Seek(seek) => {
                    let (how, value) = start(seek.start);
                    let stream = self.shared.stream(&seek.stream);
                    let sql = "select dozen.seek($1, $2, $3, $4)";
                    self.one(
                        sql,
                        &params![stream => INT8, &*seek.reader => TEXT, how => INT4, value => INT8],
                        op,
                    )
                    .await?;
                    let touched = HashSet::from([hint_of(&seek.stream, &seek.reader)]);
                    Ok(Effect { outcome: Outcome::Touched(1), touched })
                }
                Op::Claim(claim) => self.claim(claim, op).await,
                Op::Settle(settle) => self.settle(settle, op).await,
                Op::Extend(extend) => self.extend(extend, op).await,
                Op::Revise(revise) => self.revise(revise, op).await,
                Op::Trim(trim) => {
                    let stream = self.shared.stream(&trim.stream);
                    let bytes = trim.bytes_max.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
                    let limit = i64::try_from(trim.limit).unwrap_or(i64::MAX);
                    let sql = "select dozen.trim($1, $2, $3, $4)";
                    let params = params![stream => INT8, trim.before.0 => INT8, bytes => INT8, limit => INT8];
                    self.count(sql, &params, op).await
                }
                Op::Compact(compact) => {
                    let stream = self.shared.stream(&compact.stream);
                    let limit = i64::try_from(compact.limit).unwrap_or(i64::MAX);
                    let sql = "select dozen.compact($1, $2, $3)";
                    self.count(sql, &params![stream => INT8, compact.before.0 => INT8, limit => INT8], op)
                        .await
                }
                Op::Pause(pause) => {
                    let stream = self.shared.stream(&pause.stream);
                    let sql = "select dozen.pause($1, $2, $3)";
                    self.one(sql, &params![stream => INT8, &*pause.reader => TEXT, pause.paused => BOOL], op)
                        .await?;
                    let touched = HashSet::from([hint_of(&pause.stream, &pause.reader)]);
                    Ok(Effect { outcome: Outcome::Touched(1), touched })
                }
                Op::Put(put) => self.put(put, false, op).await,
                Op::Require(put) => self.put(put, true, op).await,
                Op::Remove(remove) => self.remove(remove, op).await,
                Op::Mark(mark) => self.mark(mark, op).await,
                Op::Execute(statement) => {
                    let changed = rows::execute(self.shared.location(), self.client, statement).await?;
                    Ok(Outcome::Touched(changed).into())
                }
                Op::Select(statement) => {
                    let found = rows::select(self.shared.location(), self.client, statement).await?;
                    Ok(Outcome::Rows(found).into())
                }
            }
        })
    }

    async fn all(&self, sql: &str, params: &[Param<'_>], op: &Op) -> Result<Vec<Row>, Failure> {
        let sql = self.shared.sql(sql);
        rows(self.client, &sql, params).await.map_err(|error| self.failure(op, &error))
    }

    async fn one(&self, sql: &str, params: &[Param<'_>], op: &Op) -> Result<Row, Failure> {
        let mut found = self.all(sql, params, op).await?;
        found.pop().ok_or_else(|| Error::Invalid("a function of the store gave no row".into()).into())
    }

    async fn count(&self, sql: &str, params: &[Param<'_>], op: &Op) -> Result<Effect, Failure> {
        let count = self.one(sql, params, op).await?.get::<_, i64>(0);
        Ok(Outcome::Touched(unsigned(count)).into())
    }

    /// What a failed call means for this operation.
    pub(crate) fn failure(&self, op: &Op, error: &tokio_postgres::Error) -> Failure {
        let code = error.as_db_error().map(|server| server.code().code());
        let error_of = match (code, op) {
            (Some("DZ001"), op) => no_reader(op),
            (Some("DZ002"), Op::Require(put)) => {
                Some(Error::Unexpected { space: put.space.to_string(), key: put.key.clone() })
            }
            _ => None,
        };
        Failure {
            error: error_of.unwrap_or_else(|| translate(self.shared.location(), self.doing, error)),
            again: is_conflict(error),
        }
    }

    async fn claim(&self, claim: &Claim, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&claim.stream);
        let until = claim.now.after(claim.lease);
        let limit = i32::try_from(claim.limit).unwrap_or(i32::MAX);
        let lease = until.0.saturating_sub(claim.now.0);
        let per_key = i32::try_from(claim.per_key.max(1)).unwrap_or(i32::MAX);
        let after = claim.sifted.as_ref().map(|sifted| signed(sifted.after));
        let (sifted, wanted): (Option<Vec<i64>>, Option<Vec<bool>>) = match &claim.sifted {
            None => (None, None),
            Some(sifted) => {
                let (positions, wanted) =
                    sifted.entries.iter().map(|(position, wanted)| (signed(*position), *wanted)).unzip();
                (Some(positions), Some(wanted))
            }
        };
        let alone = self.doing == Doing::Committing;
        let sql = "select * from dozen.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let params = params![
            stream => INT8, &*claim.reader => TEXT, limit => INT4, claim.now.0 => INT8, lease => INT8, per_key => INT4,
            after => INT8, sifted => INT8_ARRAY, wanted => BOOL_ARRAY, alone => BOOL
        ];
        let mut found = self.all(sql, &params, op).await?;
        let last = found.pop().ok_or_else(|| Error::Invalid("a claim gave no row".into()))?;
        let next_due = last.get::<_, Option<i64>>(9).map(Timestamp);
        let claims = found
            .iter()
            .map(|row| Claimed {
                place: Place { position: unsigned(row.get(0)), fence: unsigned(row.get(1)) },
                attempts: u32::try_from(row.get::<_, i32>(2)).unwrap_or(0),
                until,
                at: Timestamp(row.get(3)),
                record: Record {
                    id: row.get(4),
                    kind: row.get(5),
                    key: row.get(6),
                    attributes: row.get(7),
                    data: Bytes::from(row.get::<_, Vec<u8>>(8)),
                },
            })
            .collect();
        Ok(Outcome::Claimed { claims, next_due }.into())
    }

    async fn settle(&self, settle: &Settle, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&settle.stream);
        let given: Vec<Given> = if settle::is_plain(settle) {
            let mut places = settle::Places::default();
            let at = places.add(stream, settle);
            let given =
                places.send(self.shared, self.client).await.map_err(|error| self.failure(op, &error))?;
            at.into_iter()
                .map(|at| at.and_then(|at| given.get(at).copied()).unwrap_or(Given::Refused))
                .collect()
        } else {
            let (positions, fences) = columns(settle.ends.iter().map(|(place, _)| place));
            let mut states: Vec<i32> = Vec::with_capacity(settle.ends.len());
            let (mut moments, mut errors) = (Vec::new(), Vec::new());
            for (_, ended) in &settle.ends {
                let (state, at, error) = match ended {
                    Ended::Done => (10, None, None),
                    Ended::Dropped(reason) => (11, None, Some(reason)),
                    Ended::Retry { at, error } => (1, Some(at.0), Some(error)),
                    Ended::Parked(error) => (3, None, Some(error)),
                };
                states.push(state);
                moments.push(at);
                errors.push(error.map(|error| error.replace('\0', "\u{fffd}")));
            }
            let sql = "select dozen.settle($1, $2, $3, $4, $5, $6, $7, $8)";
            let params = params![
                stream => INT8, &*settle.reader => TEXT, positions => INT8_ARRAY, fences => INT8_ARRAY,
                states => INT4_ARRAY, moments => INT8_ARRAY, errors => TEXT_ARRAY, settle.now.0 => INT8
            ];
            let codes: Vec<i32> = self.one(sql, &params, op).await?.get(0);
            codes.into_iter().map(Given::from_code).collect()
        };
        let mut touched = HashSet::new();
        settle::touch(settle, &given, &mut touched);
        Ok(Effect { outcome: Outcome::Settled(given.into_iter().map(Given::is_good).collect()), touched })
    }

    async fn extend(&self, extend: &Extend, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&extend.stream);
        let (positions, fences) = columns(extend.places.iter());
        let alone = self.doing == Doing::Committing;
        let sql = "select dozen.extend_claims($1, $2, $3, $4, $5, $6)";
        let params = params![
            stream => INT8, &*extend.reader => TEXT, positions => INT8_ARRAY, fences => INT8_ARRAY,
            extend.until.0 => INT8, alone => BOOL
        ];
        Ok(Outcome::Settled(self.one(sql, &params, op).await?.get(0)).into())
    }

    async fn revise(&self, revise: &Revise, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&revise.stream);
        let positions: Vec<i64> = revise.positions.iter().map(|position| signed(*position)).collect();
        let limit = i32::try_from(revise.limit).unwrap_or(i32::MAX);
        let (how, record) = match &revise.revision {
            Revision::Redrive => (1i32, None),
            Revision::Discard => (2, None),
            Revision::Edit(record) => (3, Some(record)),
        };
        let kind = record.map(|record| record.kind.as_str());
        let attributes = record.map(|record| record.attributes.as_str());
        let data = record.map(|record| &record.data[..]);
        for text in [kind, attributes].into_iter().flatten() {
            check(text)?;
        }
        let sql = "select dozen.revise($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let params = params![
            stream => INT8, &*revise.reader => TEXT, positions => INT8_ARRAY, limit => INT4, how => INT4,
            kind => TEXT, attributes => TEXT, data => BYTEA, revise.now.0 => INT8
        ];
        let mut effect = self.count(sql, &params, op).await?;
        effect.touched.insert(hint_of(&revise.stream, &revise.reader));
        if how == 2 {
            effect.touched.insert(end_of(&revise.stream, &revise.reader));
        }
        Ok(effect)
    }

    async fn put(&self, put: &Put, must: bool, op: &Op) -> Result<Effect, Failure> {
        check(&put.space)?;
        check(&put.key)?;
        let (expect, version) = match put.expect {
            Expect::Any => (0i32, 0),
            Expect::Absent => (1, 0),
            Expect::Version(version) => (2, signed_any(version)),
        };
        let expires = put.expires.map(|expires| expires.0);
        let sql = "select dozen.put($1, $2, $3, $4, $5, $6, $7, $8)";
        let params = params![
            &*put.space => TEXT, put.key => TEXT, put.value => BYTEA, expect => INT4, version => INT8, expires => INT8,
            put.now.0 => INT8, must => BOOL
        ];
        let version: Option<i64> = self.one(sql, &params, op).await?.get(0);
        Ok(Outcome::Put(version.map(unsigned)).into())
    }

    async fn mark(&self, mark: &Mark, op: &Op) -> Result<Effect, Failure> {
        check(&mark.space)?;
        check(&mark.key)?;
        self.shared.days_are_over(mark.today());
        let sql = "select dozen.mark($1, $2, $3, $4)";
        let params = params![
            &*mark.space => TEXT, mark.key => TEXT, mark.gone_by() => INT8, mark.today() => INT8
        ];
        Ok(Outcome::Marked(self.one(sql, &params, op).await?.get(0)).into())
    }

    async fn remove(&self, remove: &Remove, op: &Op) -> Result<Effect, Failure> {
        let version = match remove.expect {
            Expect::Any => None,
            Expect::Version(version) => Some(signed_any(version)),
            Expect::Absent => {
                return Err(Error::Invalid("a removal cannot expect that nothing is there".into()).into());
            }
        };
        check(&remove.key)?;
        let sql = "select dozen.remove($1, $2, $3)";
        self.count(sql, &params![&*remove.space => TEXT, remove.key => TEXT, version => INT8], op).await
    }
}

fn columns<'a>(places: impl Iterator<Item = &'a Place>) -> (Vec<i64>, Vec<i64>) {
    places.map(|place| (signed(place.position), signed_any(place.fence))).unzip()
}

fn start(start: Start) -> (i32, i64) {
    match start {
        Start::Earliest => (0, 0),
        Start::Latest => (1, 0),
        Start::After(position) => (2, signed(position)),
        Start::At(Timestamp(at)) => (3, at),
    }
}

fn no_reader(op: &Op) -> Option<Error> {
    let (stream, reader) = match op {
        Op::Claim(claim) => (&claim.stream, &claim.reader),
        Op::Settle(settle) => (&settle.stream, &settle.reader),
        Op::Extend(extend) => (&extend.stream, &extend.reader),
        Op::Revise(revise) => (&revise.stream, &revise.reader),
        Op::Seek(seek) => (&seek.stream, &seek.reader),
        Op::Pause(pause) => (&pause.stream, &pause.reader),
        _ => return None,
    };
    Some(Error::NoReader { stream: stream.to_string(), reader: reader.to_string() })
}
