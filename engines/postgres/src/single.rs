//! A transaction that is known in full, on a connection of its own.

use std::collections::HashSet;
use std::sync::Arc;

use dozen_store::{Committed, Error, Op, Outcome};
use futures::future::BoxFuture;
use tokio_postgres::Client;

use crate::append::Columns;
use crate::call::together;
use crate::error::{Doing, translate};
use crate::ops::{Caller, Effect, Failure};
use crate::shared::Shared;

/// How often a transaction is tried that the server gave up for another one's sake.
const TRIES: u32 = 4;

/// Operations in the order in which they are sent: an append goes last, where that makes no difference to what stands behind
/// it, because its lock keeps all other appends waiting.
pub(crate) enum Step<'a> {
    One(usize, &'a Op),
    Appends(Box<Columns<'a>>, Vec<(usize, u64, u64)>),
}

/// What a step gave: outcomes with their places.
type Given = (Vec<(usize, Outcome)>, HashSet<Arc<str>>);

/// Puts operations in order. Their streams must have been resolved.
pub(crate) fn steps<'a>(shared: &Shared, ops: &'a [Op]) -> Result<Vec<Step<'a>>, Error> {
    let mut steps = Vec::new();
    let mut columns = Columns::default();
    let mut places = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        if let Op::Append(append) = op {
            let (before, with) = columns.add(shared.stream(&append.stream), append)?;
            places.push((at, before, with));
            continue;
        }
        let sees_appends = !matches!(
            op,
            Op::Put(_)
                | Op::Require(_)
                | Op::Remove(_)
                | Op::Mark(_)
                | Op::Settle(_)
                | Op::Extend(_)
                | Op::Pause(_)
                | Op::CloseReader(_)
        );
        if sees_appends && !columns.is_empty() {
            steps.push(Step::Appends(Box::new(std::mem::take(&mut columns)), std::mem::take(&mut places)));
        }
        steps.push(Step::One(at, op));
    }
    if !columns.is_empty() {
        steps.push(Step::Appends(Box::new(columns), places));
    }
    Ok(steps)
}

/// Does one step; also gives the last position that it wrote.
pub(crate) fn send<'a>(
    caller: Caller<'a>,
    step: &'a Step<'a>,
) -> BoxFuture<'a, Result<(Given, u64), Failure>> {
    match step {
        Step::One(at, op) => Box::pin(async move {
            let Effect { outcome, touched } = caller.apply(op).await?;
            Ok(((vec![(*at, outcome)], touched), 0))
        }),
        Step::Appends(columns, places) => Box::pin(async move {
            let head = columns.send(caller.shared, caller.client).await.map_err(|error| Failure {
                error: translate(caller.shared.location(), caller.doing, &error),
                again: crate::error::is_conflict(&error),
            })?;
            let outcomes = places.iter().map(|(at, before, with)| {
                (*at, Outcome::Appended { first: head + before + 1, last: head + with })
            });
            let last = places.last().map_or(0, |(_, _, with)| head + with);
            Ok(((outcomes.collect(), HashSet::new()), last))
        }),
    }
}

/// Begins, ends, or says anything else that gives nothing back.
pub(crate) fn say<'a>(
    caller: Caller<'a>,
    sql: &'a str,
    doing: Doing,
) -> BoxFuture<'a, Result<(Given, u64), Failure>> {
    Box::pin(async move {
        caller.client.batch_execute(sql).await.map_err(|error| Failure {
            error: translate(caller.shared.location(), doing, &error),
            again: crate::error::is_conflict(&error),
        })?;
        Ok(((Vec::new(), HashSet::new()), 0))
    })
}

/// Joins what steps gave, in the order of the operations.
pub(crate) fn join(
    answers: Vec<Result<(Given, u64), Failure>>,
    touched: &mut HashSet<Arc<str>>,
) -> Result<(Vec<Outcome>, u64), Failure> {
    let mut outcomes = Vec::new();
    let mut last = 0;
    for answer in answers {
        let ((given, names), position) = answer?;
        outcomes.extend(given);
        touched.extend(names);
        last = last.max(position);
    }
    outcomes.sort_by_key(|(at, _)| *at);
    Ok((outcomes.into_iter().map(|(_, outcome)| outcome).collect(), last))
}

/// Notes the streams that are appended to.
pub(crate) fn touch_appends(ops: &[Op], touched: &mut HashSet<Arc<str>>) {
    touched.extend(ops.iter().filter_map(|op| match op {
        Op::Append(append) => Some(append.stream.clone()),
        _ => None,
    }));
}

/// Whether a statement of the caller's may have left something in the outbox.
pub(crate) fn touches_outbox(ops: &[Op]) -> bool {
    ops.iter().any(|op| match op {
        Op::Execute(statement) | Op::Select(statement) => statement.sql.contains("outbox"),
        _ => false,
    })
}

/// Runs the transaction and hints at what it did.
pub(crate) async fn run(shared: &Shared, ops: &[Op]) -> Result<Committed, Error> {
    shared.pool.settled().await;
    shared.resolve(ops.iter()).await?;
    let mut tries = 0;
    loop {
        tries += 1;
        let failure = match ops {
            // The lease of one caller waits for no pool.
            [op] if op.is_transient() => {
                let client =
                    shared.lane(crate::names::stream_of(op).map_or("", |name| name)).client().await?;
                attempt(shared, &client, ops).await
            }
            _ => {
                let mut loan = shared.pool.lend().await?;
                loan.is_open = ops.len() != 1;
                let result = attempt(shared, &loan, ops).await;
                loan.is_open = false;
                result
            }
        };
        match failure {
            Ok(committed) => return Ok(committed),
            Err(failure) if failure.again && tries < TRIES => {}
            Err(failure) => return Err(failure.error),
        }
    }
}

async fn attempt(shared: &Shared, client: &Client, ops: &[Op]) -> Result<Committed, Failure> {
    let mut touched = HashSet::new();
    let steps = steps(shared, ops)?;
    // One call is a transaction by itself.
    let alone = steps.len() == 1;
    let doing = if alone { Doing::Committing } else { Doing::Working };
    let caller = Caller { shared, client, doing };
    let mut calls = Vec::with_capacity(steps.len() + 2);
    if !alone {
        calls.push(say(caller, "begin", Doing::Working));
    }
    calls.extend(steps.iter().map(|step| send(caller, step)));
    if !alone {
        // After a step that failed the server makes a rollback of it.
        calls.push(say(caller, "commit", Doing::Committing));
    }
    let (outcomes, position) = join(together(calls).await, &mut touched)?;
    touch_appends(ops, &mut touched);
    shared.touch(touched);
    if touches_outbox(ops) {
        shared.look.notify_one();
    }
    if ops.iter().any(|op| matches!(op, Op::Trim(_))) {
        shared.trimmed.notify_one();
    }
    Ok(Committed { outcomes, token: shared.token(position) })
}
