//! Calls of the database's functions, sent together.

use std::future::poll_fn;
use std::task::Poll;

use futures::future::BoxFuture;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

/// A parameter and its type: without a type the server would have to be asked for it first.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The parameters of a call: `params![stream => INT8, name => TEXT]`.
macro_rules! params {
    ($($value:expr => $type:ident),* $(,)?) => {
        [$((&$value as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::$type)),*]
    };
}
pub(crate) use params;

/// Runs one statement without a name; sent when it is first polled.
pub(crate) async fn rows(
    client: &Client,
    sql: &str,
    params: &[Param<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client.query_typed(sql, params).await
}

/// Runs calls so that they are sent in this order, in one go, and waits for all of their answers: one round trip.
pub(crate) async fn together<T>(mut calls: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut answers: Vec<Option<T>> = Vec::new();
    let mut sent = false;
    let mut waiting_for = 0;
    answers.resize_with(calls.len(), || None);
    poll_fn(|context| {
        // A call sends when it is polled for the first time. The server answers in order, so then only the first that has
        // no answer needs to be looked at.
        for at in waiting_for..calls.len() {
            if answers[at].is_some() {
                continue;
            }
            match calls[at].as_mut().poll(context) {
                Poll::Ready(answer) => answers[at] = Some(answer),
                Poll::Pending if sent => break,
                Poll::Pending => {}
            }
        }
        sent = true;
        while answers.get(waiting_for).is_some_and(Option::is_some) {
            waiting_for += 1;
        }
        if waiting_for == calls.len() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}
