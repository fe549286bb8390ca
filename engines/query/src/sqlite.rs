//! A file of SQLite.
//!
//! SQLite works on the thread that asks, so each question runs on one that may block, with a connection that nobody else has.
//! The connection looks at the clock, and at whether anybody still waits, every few thousand of its steps.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use encoding_rs::Encoding;
use rusqlite::types::{ToSql, ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use serde_json::{Map, Value};

use crate::{Access, Error, IDLE_MAX, Question, Rows};

/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 4_000;

#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    access: Access,
    /// What its texts are written in. SQLite itself does not look.
    encoding: &'static Encoding,
    idle: Mutex<Vec<(Which, Connection)>>,
}

/// Which file a path leads to, by device and number. One that is replaced by another is another.
type Which = (u64, u64);

/// Set when the one who asked has gone away.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl File {
    pub(crate) fn new(path: PathBuf, access: Access, encoding: &'static Encoding) -> Self {
        Self { path, access, encoding, idle: Mutex::default() }
    }

    pub(crate) async fn ask(self: &Arc<Self>, question: Question) -> Result<Bytes, Error> {
        let until = Instant::now() + question.timeout;
        let gone = Gone(Arc::default());
        let (file, is_gone) = (self.clone(), gone.0.clone());
        let asked = tokio::task::spawn_blocking(move || file.answer(&question, until, is_gone)).await;
        asked.unwrap_or_else(|error| Err(Error::Broken(error.into())))
    }

    fn answer(&self, question: &Question, until: Instant, is_gone: Arc<AtomicBool>) -> Result<Bytes, Error> {
        let which = self.which().map_err(|error| Error::Unreachable(error.into()))?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some((own, connection)) if own == which => connection,
            _ => self.open().map_err(|error| Error::Unreachable(error.into()))?,
        };
        let left = until.saturating_duration_since(Instant::now());
        let is_over = move || Instant::now() >= until || is_gone.load(Ordering::Relaxed);
        connection.progress_handler(STEPS, Some(is_over));
        let answered = connection
            .busy_timeout(left.max(Duration::from_millis(1)))
            .map_err(refused)
            .and_then(|()| self.within(&connection, || read(&connection, question, self.encoding)));
        connection.progress_handler(STEPS, None::<fn() -> bool>);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !matches!(answered, Err(Error::Broken(_))) {
            idle.push((which, connection));
        }
        answered
    }

    fn which(&self) -> std::io::Result<Which> {
        let data = std::fs::metadata(&self.path)?;
        Ok((data.dev(), data.ino()))
    }

    /// What writes is a transaction, which an answer that is refused undoes.
    fn within<T>(&self, connection: &Connection, ask: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        if self.access == Access::Reads {
            return ask();
        }
        let whole =
            Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(refused)?;
        let answer = ask()?;
        whole.commit().map_err(refused)?;
        Ok(answer)
    }

    /// The file has to be there: who asks makes none.
    fn open(&self) -> rusqlite::Result<Connection> {
        let access = match self.access {
            Access::Reads => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Writes => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }
}

fn read(connection: &Connection, question: &Question, encoding: &'static Encoding) -> Result<Bytes, Error> {
    let mut statement = connection.prepare_cached(&question.text).map_err(refused)?;
    for (at, value) in question.values.iter().enumerate() {
        let no_signs = Error::NoSigns { place: at + 1, charset: encoding.name() };
        let bound = bound(value, encoding).ok_or(no_signs)?;
        statement.raw_bind_parameter(at + 1, bound).map_err(refused)?;
    }
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    if let Some((_, twice)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(Error::SameName(twice.clone()));
    }
    let mut rows = Rows::new(question);
    let mut found = statement.raw_query();
    while let Some(row) = found.next().map_err(refused)? {
        let mut object = Map::new();
        for (at, name) in names.iter().enumerate() {
            let value = json(row.get_ref(at).map_err(refused)?, encoding);
            let unreadable = |why| Error::Unreadable { row: rows.count + 1, column: name.clone(), why };
            object.insert(name.clone(), value.map_err(unreadable)?);
        }
        rows.add(Value::Object(object).to_string().as_bytes())?;
    }
    Ok(rows.done())
}

/// `None` if the charset has no signs for it.
fn bound(value: &Value, encoding: &'static Encoding) -> Option<Bound> {
    let text = |text: &str| {
        let (bytes, _, is_lossy) = encoding.encode(text);
        (!is_lossy).then(|| Bound::Text(bytes.into_owned()))
    };
    Some(Bound::Plain(match value {
        Value::Null => Sql::Null,
        Value::Bool(truth) => Sql::Integer(i64::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Sql::Integer(number),
            (None, Some(number)) => Sql::Real(number),
            (None, None) => Sql::Text(number.to_string()),
        },
        Value::String(own) => return text(own),
        other => return text(&other.to_string()),
    }))
}

/// A value as it is bound. A text is bytes in the database's charset, which need not be UTF-8.
enum Bound {
    Plain(Sql),
    Text(Vec<u8>),
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Plain(value) => value.into(),
            Self::Text(bytes) => ValueRef::Text(bytes),
        }))
    }
}

/// The value in JSON; or why there is none.
fn json(value: ValueRef<'_>, encoding: &'static Encoding) -> Result<Value, String> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) if !number.is_finite() => return Err("the number is infinite".into()),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(bytes) => {
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            let problem = || {
                let name = encoding.name();
                format!("the text is not in {name}; say which `charset` the database is written in")
            };
            text.ok_or_else(problem)?.into()
        }
        ValueRef::Blob(bytes) => BASE64.encode(bytes).into(),
    })
}

fn refused(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::TimedOut
        }
        Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase) => Error::Unreachable(error.into()),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt) => Error::Broken(error.into()),
        Some(code) => Error::Refused(format!("{code:?}")),
        None => Error::Refused("Misuse".into()),
    }
}
