//! Group commit for strangers: everybody who only appends and acknowledges shares one transaction with whoever waits.

use std::collections::HashSet;
use std::sync::Arc;

use dozen_store::{Committed, Error, Op, Outcome};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Client;

use crate::append::Columns;
use crate::call::together;
use crate::error::{Doing, translate};
use crate::settle::{self, Given, Places};
use crate::shared::Shared;
use crate::single;

/// Callers in one group, at most: bounds how long the first waits for the last.
pub(crate) const GROUP_MAX: usize = 1_024;

/// A transaction that is known in full, and whom to tell.
pub(crate) struct Job {
    pub(crate) ops: Vec<Op>,
    pub(crate) reply: oneshot::Sender<Result<Committed, Error>>,
}

/// Whether a transaction can share another's: nothing in it depends on what it finds but for its own leases.
pub(crate) fn is_shareable(ops: &[Op]) -> bool {
    !ops.is_empty()
        && ops.iter().all(|op| match op {
            Op::Append(append) => !append.records.is_empty(),
            Op::Settle(settle) => settle::is_plain(settle),
            _ => false,
        })
}

/// Where an operation's outcome is found in the answers of the group's calls.
enum Found {
    Appended(u64, u64),
    Settled(Vec<Option<usize>>),
}

/// Runs until nobody can ask any more.
pub(crate) async fn run(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Job>, lane: crate::link::Lane) {
    let mut jobs = Vec::with_capacity(GROUP_MAX);
    while inbox.recv_many(&mut jobs, GROUP_MAX).await > 0 {
        // Whoever has gone before anything happened is not served.
        jobs.retain(|job| !job.reply.is_closed());
        shared.pool.settled().await;
        let mut touched = HashSet::new();
        let result = commit(&shared, &lane, &jobs, &mut touched).await;
        match result {
            Ok((outcomes, position)) => {
                shared.touch(touched);
                let token = shared.token(position);
                for (job, outcomes) in jobs.drain(..).zip(outcomes) {
                    let _ = job.reply.send(Ok(Committed { outcomes, token: token.clone() }));
                }
            }
            Err((_, true)) => {
                // One of them has spoiled it for all, or waits for somebody. Each for itself then, and none for another.
                for job in jobs.drain(..) {
                    let shared = shared.clone();
                    shared.link.tasks.clone().spawn(async move {
                        let result = single::run(&shared, &job.ops).await;
                        let _ = job.reply.send(result);
                    });
                }
            }
            Err((error, false)) => {
                for job in jobs.drain(..) {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

type Outcomes = (Vec<Vec<Outcome>>, u64);

/// One commit with all of them. An error comes with whether nothing of it has happened, and each may be tried alone.
async fn commit(
    shared: &Shared,
    lane: &crate::link::Lane,
    jobs: &[Job],
    touched: &mut HashSet<Arc<str>>,
) -> Result<Outcomes, (Error, bool)> {
    if jobs.is_empty() {
        return Ok((Vec::new(), 0));
    }
    // A name that cannot be resolved is one caller's alone.
    shared.resolve(jobs.iter().flat_map(|job| &job.ops)).await.map_err(|error| {
        let is_one = matches!(error, Error::Invalid(_));
        (error, is_one)
    })?;
    let client = lane.client().await.map_err(|error| (error, false))?;
    let mut columns = Columns::default();
    let mut places = Places::default();
    let mut found = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut own = Vec::with_capacity(job.ops.len());
        for op in &job.ops {
            match op {
                Op::Append(append) => {
                    let range =
                        columns.add(shared.stream(&append.stream), append).map_err(|error| (error, true))?;
                    own.push(Found::Appended(range.0, range.1));
                    if !touched.contains(&append.stream) {
                        touched.insert(append.stream.clone());
                    }
                }
                Op::Settle(settle) => {
                    own.push(Found::Settled(places.add(shared.stream(&settle.stream), settle)))
                }
                _ => return Err((Error::Invalid("a transaction that cannot be shared".into()), true)),
            }
        }
        found.push(own);
    }
    let (head, given) = send(shared, &client, &columns, &places).await.map_err(|error| {
        let is_one = error
            .as_db_error()
            .is_some_and(|server| !matches!(&server.code().code()[..2], "53" | "57" | "XX"));
        (translate(shared.location(), Doing::Committing, &error), is_one)
    })?;
    let mut last = 0;
    let outcomes = jobs.iter().zip(found).map(|(job, found)| {
        let outcomes = job.ops.iter().zip(found).map(|(op, found)| match (op, found) {
            (_, Found::Appended(before, with)) => {
                last = last.max(head + with);
                Outcome::Appended { first: head + before + 1, last: head + with }
            }
            (op, Found::Settled(at)) => {
                let own: Vec<Given> = at
                    .into_iter()
                    .map(|at| at.and_then(|at| given.get(at).copied()).unwrap_or(Given::Refused))
                    .collect();
                if let Op::Settle(settle) = op {
                    settle::touch(settle, &own, touched);
                }
                Outcome::Settled(own.into_iter().map(Given::is_good).collect())
            }
        });
        outcomes.collect()
    });
    Ok((outcomes.collect(), last))
}

/// The group's calls, as one transaction and one round trip.
async fn send(
    shared: &Shared,
    client: &Client,
    columns: &Columns<'_>,
    places: &Places<'_>,
) -> Result<(u64, Vec<Given>), tokio_postgres::Error> {
    if places.is_empty() {
        return Ok((columns.send(shared, client).await?, Vec::new()));
    }
    if columns.is_empty() {
        return Ok((0, places.send(shared, client).await?));
    }
    // The append stands last: its lock keeps all other appends waiting.
    enum Answer {
        Nothing,
        Given(Vec<Given>),
        Head(u64),
    }
    let answers = together(vec![
        Box::pin(async { client.batch_execute("begin").await.map(|()| Answer::Nothing) }),
        Box::pin(async { places.send(shared, client).await.map(Answer::Given) }),
        Box::pin(async { columns.send(shared, client).await.map(Answer::Head) }),
        Box::pin(async { client.batch_execute("commit").await.map(|()| Answer::Nothing) }),
    ]);
    let (mut head, mut given) = (0, Vec::new());
    for answer in answers.await {
        match answer? {
            Answer::Nothing => {}
            Answer::Given(answer) => given = answer,
            Answer::Head(answer) => head = answer,
        }
    }
    Ok((head, given))
}
