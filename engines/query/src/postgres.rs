//! A database of PostgreSQL.
//!
//! Values are sent as texts without a type, and the server reads each as what the statement needs at its place. It makes the
//! JSON, too, so that every type of the database comes as the database itself would write it.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use dozen_postgres::{Connector, Options};
use futures::{StreamExt as _, pin_mut};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::{Access, Error, IDLE_MAX, Question, Rows};

/// Beyond the deadline the server ends a statement by itself, after so long.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Server {
    connector: Connector,
    access: Access,
    idle: Mutex<Vec<Client>>,
}

impl Server {
    pub(crate) fn new(address: &str, access: Access) -> Result<Self, Error> {
        let options = Options::parse(address).map_err(|error| Error::Address(dozen_core::chain(&error)))?;
        Ok(Self { connector: Connector::new(options), access, idle: Mutex::default() })
    }

    /// A connection is kept only after an answer that came whole: dropping one ends what runs in it.
    pub(crate) async fn ask(self: &Arc<Self>, question: Question) -> Result<Bytes, Error> {
        let until = Instant::now() + question.timeout;
        let limit = (question.timeout + GRACE).as_millis();
        let begun = timeout_at(until, self.begun(&format!("set local statement_timeout = {limit}"))).await;
        let client = begun.unwrap_or(Err(Error::TimedOut))?;
        let answered = timeout_at(until, self.answer(&client, &question)).await;
        let answered = answered.unwrap_or(Err(Error::TimedOut));
        if matches!(answered, Ok(_) | Err(Error::Refused(_))) {
            let ended = timeout_at(until, client.batch_execute("rollback")).await;
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(ended, Ok(Ok(()))) && idle.len() < IDLE_MAX {
                idle.push(client);
            }
        }
        answered
    }

    /// A connection on which a transaction with these settings has begun. One that was kept may have died meanwhile, which
    /// shows when it begins: nothing was asked on it yet, so another one is taken.
    async fn begun(&self, settings: &str) -> Result<Client, Error> {
        let begin = match self.access {
            Access::Reads => "begin read only",
            Access::Writes => "begin",
        };
        let begin = format!("{begin}; {settings}");
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(client) = kept else { break };
            if client.batch_execute(&begin).await.is_ok() {
                return Ok(client);
            }
        }
        let client = self.connector.connect().await.map_err(|error| Error::Unreachable(error.into()))?;
        client.batch_execute(&begin).await.map_err(failed)?;
        Ok(client)
    }

    async fn answer(&self, client: &Client, question: &Question) -> Result<Bytes, Error> {
        // The line end closes a comment that the statement may end with.
        let text = format!(
            "with dozen_answer as ({}\n) select row_to_json(dozen_answer)::text from dozen_answer",
            question.text
        );
        let values: Vec<Bound> = question.values.iter().map(Bound::of).collect();
        let statement = client.prepare(&text).await.map_err(failed)?;
        if statement.params().len() != values.len() {
            return Err(Error::Refused("08P01".into()));
        }
        let found = client.query_raw(&statement, &values).await.map_err(failed)?;
        let mut rows = Rows::new(question);
        pin_mut!(found);
        while let Some(row) = found.next().await {
            let row = row.map_err(failed)?;
            let text: &str = row.try_get(0).map_err(failed)?;
            rows.add(text.as_bytes())?;
        }
        if self.access == Access::Writes {
            client.batch_execute("commit").await.map_err(failed)?;
        }
        Ok(rows.done())
    }
}

/// A value as a text that the server reads.
#[derive(Debug)]
struct Bound(Option<String>);

impl Bound {
    fn of(value: &Value) -> Self {
        Self(match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    }
}

impl ToSql for Bound {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn failed(error: tokio_postgres::Error) -> Error {
    let Some(code) = error.code().map(|code| code.code().to_owned()) else {
        return Error::Broken(error.into());
    };
    match code.as_str() {
        "57014" => Error::TimedOut,
        code if matches!(&code[..2], "08" | "53" | "57" | "58" | "XX") => Error::Broken(error.into()),
        _ => Error::Refused(code),
    }
}
