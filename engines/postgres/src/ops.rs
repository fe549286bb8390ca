//! Operations as calls. Each is sent when its future is first polled.

use std::collections::HashSet;
use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_store::{Error, Expect, Mark, Op, Outcome, Put, Remove, Start, hint_of};
use futures::future::BoxFuture;
use tokio_postgres::{Client, Row};

use crate::call::{Param, params, rows};
use crate::error::{Doing, is_conflict, translate};
use crate::names::check;
use crate::rows::{self, signed, signed_any, unsigned};
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

    pub(crate) async fn all(&self, sql: &str, params: &[Param<'_>], op: &Op) -> Result<Vec<Row>, Failure> {
        let sql = self.shared.sql(sql);
        rows(self.client, &sql, params).await.map_err(|error| self.failure(op, &error))
    }

    pub(crate) async fn one(&self, sql: &str, params: &[Param<'_>], op: &Op) -> Result<Row, Failure> {
        let mut found = self.all(sql, params, op).await?;
        found.pop().ok_or_else(|| Error::Invalid("a function of the store gave no row".into()).into())
    }

    pub(crate) async fn count(&self, sql: &str, params: &[Param<'_>], op: &Op) -> Result<Effect, Failure> {
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
