//! Systems of others, each asked as it is: over HTTP, with a statement, or with a message.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_anticorruption::{Foreign, ForeignAnswer, ForeignError, ForeignRequest, Http, Statement};
use dozen_core::{Ids, Message};
use dozen_dataplane::Caller;
use dozen_mapping::{Value, json};
use dozen_query::{Access, Database, Question};
use dozen_queue::{Queue, Sending, Sent, Step};
use http::{StatusCode, header};
use serde_json::Value as Json;

use crate::Error;
use crate::config::{App, Reach};

/// All providers of a file, by how they are reached. None has been touched before it is asked.
pub(crate) struct Others {
    http: Http,
    databases: BTreeMap<String, (Database, usize)>,
    queues: BTreeMap<String, Queue>,
    ids: Ids,
}

impl Others {
    /// Those of the file. `queues` are the file's own, by name.
    pub(crate) fn of(
        app: &App,
        caller: Caller,
        queues: &BTreeMap<String, Queue>,
        ids: &Ids,
    ) -> Result<Self, Error> {
        let (mut databases, mut asked) = (BTreeMap::new(), BTreeMap::new());
        for (name, reach) in &app.translators.reaches {
            match reach {
                Reach::Database { address, writes, rows_max, charset } => {
                    let access = if *writes { Access::Writes } else { Access::Reads };
                    let database =
                        Database::written_in(charset.as_deref(), address.url(), &app.folder, access);
                    let database = database.map_err(Error::pattern(format!("find the database `{name}`")))?;
                    databases.insert(name.clone(), (database, *rows_max));
                }
                Reach::Queue(queue) => {
                    asked.extend(queues.get(queue).map(|queue| (name.clone(), queue.clone())));
                }
            }
        }
        Ok(Self { http: Http::new(caller), databases, queues: asked, ids: ids.clone() })
    }
}

#[async_trait]
impl Foreign for Others {
    async fn ask(&self, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        let provider = &*asked.place.provider;
        if let Some((database, rows_max)) = self.databases.get(provider) {
            return queried(database, *rows_max, asked).await;
        }
        match self.queues.get(provider) {
            Some(queue) => self.sent(queue, asked).await,
            None => self.http.ask(asked).await,
        }
    }
}

async fn queried(
    database: &Database,
    rows_max: usize,
    asked: ForeignRequest,
) -> Result<ForeignAnswer, ForeignError> {
    let Some(statement) = &asked.statement else { return Err(unsendable("there is no statement")) };
    let question = Question {
        text: statement.text.clone(),
        values: values(statement, asked.request.body())?,
        timeout: asked.timeout,
        rows_max,
        bytes_max: asked.answer_max,
    };
    match database.ask(question).await {
        Ok(rows) => Ok(answer(StatusCode::OK, rows, Some("application/json"))),
        Err(dozen_query::Error::Refused(code)) => Ok(refused(&code)),
        Err(dozen_query::Error::TimedOut) => Err(ForeignError::TimedOut),
        Err(dozen_query::Error::ManyRows(_) | dozen_query::Error::Large(_)) => {
            Err(ForeignError::TooLarge(asked.answer_max))
        }
        Err(error @ dozen_query::Error::NoSigns { .. }) => Err(ForeignError::Unsendable(error.into())),
        Err(error @ (dozen_query::Error::SameName(_) | dozen_query::Error::Unreadable { .. })) => {
            Err(ForeignError::Unreadable(error.into()))
        }
        Err(error @ dozen_query::Error::Broken(_)) => Err(ForeignError::Broken(error.into())),
        Err(error) => Err(ForeignError::Unreachable(error.into())),
    }
}

/// The values in the order of their places. What is not there is null.
fn values(statement: &Statement, document: &Bytes) -> Result<Vec<Json>, ForeignError> {
    let text = std::str::from_utf8(document).map_err(|error| ForeignError::Unsendable(error.into()))?;
    let read = json::read(text, &dozen_mapping::Limits::default());
    let read = read.map_err(|error| ForeignError::Unsendable(error.into()))?;
    Ok(statement.names.iter().map(|name| read.get(name).map_or(Json::Null, bound)).collect())
}

/// What serde has no exact form for goes as text, which databases read as the number that it is.
fn bound(value: &Value) -> Json {
    match value {
        Value::Number(number) => {
            let near = value.approximate();
            let (shown, text) = (near.to_string(), number.to_string());
            if shown == text { near } else { text.into() }
        }
        other => other.approximate(),
    }
}

impl Others {
    /// Sends the document, and waits for the reply of whoever handles it. What nobody has taken when the time is over is dropped.
    async fn sent(&self, queue: &Queue, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        let began = Instant::now();
        let place = &asked.place;
        let (parts, document) = asked.request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let source = format!("/translators/{}", place.translator);
        let mut message =
            Message::new(self.ids.next().to_string(), source, format!("{}.{}", place.translator, place.call));
        message.time = Some(self.ids.clock().now());
        let message = message.with_data(kind, document);
        let id = message.id.clone();
        let expires = Some(self.ids.clock().now().after(asked.timeout));
        let sending = Sending { expires, ..Sending::default() };
        match queue.send_with(vec![message], sending).await {
            Ok(Sent::New(_) | Sent::Duplicate { .. }) => {}
            Err(error) => return Err(ForeignError::Unreachable(error.into())),
        }
        let left = asked.timeout.saturating_sub(began.elapsed());
        let completion = queue.completion(&id, left).await;
        let completion = completion.map_err(|error| ForeignError::Broken(error.into()))?;
        let Some(completion) = completion else { return Err(ForeignError::TimedOut) };
        let reply = completion.reply.unwrap_or_default();
        match completion.status.step {
            Step::Done if reply.len() > asked.answer_max => Err(ForeignError::TooLarge(asked.answer_max)),
            Step::Done => Ok(answer(StatusCode::OK, reply, None)),
            Step::Dead => Ok(refused("dead-letter")),
            _ => Err(ForeignError::TimedOut),
        }
    }
}

fn answer(status: StatusCode, document: Bytes, kind: Option<&'static str>) -> ForeignAnswer {
    let mut answer = http::Response::new(document);
    *answer.status_mut() = status;
    if let Some(kind) = kind {
        answer.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    }
    answer
}

/// What a database or a handler refuses, by its code.
fn refused(code: &str) -> ForeignAnswer {
    let document = serde_json::json!({ "code": code }).to_string();
    answer(StatusCode::UNPROCESSABLE_ENTITY, document.into(), Some("application/json"))
}

fn unsendable(why: &'static str) -> ForeignError {
    ForeignError::Unsendable(why.into())
}
