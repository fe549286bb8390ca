//! Questions to databases of others: one statement, its values bound, its rows as JSON.
//!
//! ```text
//!   select … where sku = $1 ──┐
//!   [ "A7" ] ─────────────────┴─► read-only transaction ─► rows, one by one ─► [{"sku":"A7","left":3}]
//!                                 deadline                 bound in rows and bytes
//! ```
//!
//! A database that belongs to somebody else is no store of ours: nothing is made in it, nothing is kept beside it, and it is
//! opened when it is asked for the first time. What is promised:
//! * *Values are bound.* They never become part of the text.
//! * *It reads.* SQLite is opened read-only, and PostgreSQL is asked within a read-only transaction, unless [`Access::Writes`]
//!   says otherwise. Then each statement is a transaction of its own.
//! * *It ends.* At the deadline the statement is interrupted, also in the server. An answer has at most so many rows and bytes;
//!   one that would have more is an error and not a part of it.
//! * *Numbers keep their digits.* What PostgreSQL calls `numeric` comes as it is written there.
//! * *Nothing is guessed.* SQLite keeps whatever bytes it was given as text: they are read in the charset that the database is
//!   said to have, UTF-8 without one, and what is nothing there is an error with its row and column. Two columns of one name
//!   are refused, since one of them would be lost.
//!
//! **On failure.** What the database refuses has its code (SQLSTATE, or SQLite's name for it) and no text, which may quote
//! data. A connection that failed is dropped; the next question opens another. There are as many as questions at one time, so
//! whoever asks bounds them.

mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_core::{Diagnose, Fault, Retry};
use encoding_rs::{Encoding, UTF_8};
use serde_json::Value;

/// Connections that are kept for the next question.
const IDLE_MAX: usize = 8;

/// Whether statements may change something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// They read.
    #[default]
    Reads,
    /// They may write; each is a transaction of its own.
    Writes,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// The statement, with `$1`, `$2`… for the values.
    pub text: String,
    /// The values. Lists and objects are bound as JSON.
    pub values: Vec<Value>,
    /// How long it may take.
    pub timeout: Duration,
    /// Rows of the answer, at most.
    pub rows_max: usize,
    /// Bytes of the answer, at most.
    pub bytes_max: usize,
}

/// A database of somebody else.
#[derive(Clone, Debug)]
pub struct Database(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Sqlite(Arc<sqlite::File>),
    Postgres(Arc<postgres::Server>),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address names no database that can be asked.
    #[error("{0}")]
    Address(String),
    /// It cannot be reached: nothing was asked.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was asked, and the connection was lost.
    #[error("the connection to the database was lost")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the database did not answer in time")]
    TimedOut,
    /// It refuses the statement, or these values.
    #[error("the database refuses the statement ({0})")]
    Refused(String),
    /// The answer has more rows than it may have.
    #[error("the answer has more than {0} rows")]
    ManyRows(usize),
    /// Two columns of the answer have the same name.
    #[error("two columns are called `{0}`; give one of them another name, with `as`")]
    SameName(String),
    /// A value that cannot be said in JSON.
    #[error("row {row}, column `{column}`: {why}")]
    Unreadable {
        /// Which row, from 1.
        row: usize,
        /// Which column.
        column: String,
        /// Why.
        why: String,
    },
    /// A value of the question that the database's charset has no signs for.
    #[error("value {place} has signs that {charset} has not")]
    NoSigns {
        /// Which value, from 1.
        place: usize,
        /// The charset.
        charset: &'static str,
    },
    /// The answer has more bytes than it may have.
    #[error("the answer is larger than {0} bytes")]
    Large(usize),
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut => Fault::Dependency,
            _ => Fault::Caller,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut => Retry::Later,
            _ => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        "foreign-database"
    }
}

impl Database {
    /// The database at `address`: `sqlite:FILE`, where a relative path starts from `folder`, or `postgres://…` with the options
    /// of the store's addresses for TLS. Opens nothing.
    pub fn at(address: &str, folder: &Path, access: Access) -> Result<Self, Error> {
        Self::written_in(None, address, folder, access)
    }

    /// The same, for a file of SQLite whose texts are in `charset`, by its name. A server of PostgreSQL converts its texts by
    /// itself.
    pub fn written_in(
        charset: Option<&str>,
        address: &str,
        folder: &Path,
        access: Access,
    ) -> Result<Self, Error> {
        let unknown = |label: &str| Error::Address(format!("there is no charset `{label}`"));
        let named = |label: &str| Encoding::for_label(label.as_bytes()).ok_or_else(|| unknown(label));
        let encoding = charset.map(named).transpose()?.unwrap_or(UTF_8);
        if encoding.output_encoding() != encoding {
            return Err(Error::Address("SQLite converts UTF-16 by itself: leave the charset out".into()));
        }
        if let Some(path) = address.strip_prefix("sqlite:") {
            let file = sqlite::File::new(file(path, folder)?, access, encoding);
            return Ok(Self(Kind::Sqlite(Arc::new(file))));
        }
        if charset.is_some() {
            return Err(Error::Address(
                "PostgreSQL converts its texts by itself: leave the charset out".into(),
            ));
        }
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            let server = postgres::Server::new(address, access)?;
            return Ok(Self(Kind::Postgres(Arc::new(server))));
        }
        Err(Error::Address("write `sqlite:` and a file, or `postgres://user@host/database`".into()))
    }

    /// Asks. The answer is a list of objects in JSON, one for each row. Dropping the future ends the question.
    pub async fn ask(&self, question: Question) -> Result<Bytes, Error> {
        match &self.0 {
            Kind::Sqlite(file) => file.ask(question).await,
            Kind::Postgres(server) => server.ask(question).await,
        }
    }
}

fn file(path: &str, folder: &Path) -> Result<PathBuf, Error> {
    match path.trim_start_matches("//") {
        "" | ":memory:" => Err(Error::Address("it names no file; write `sqlite:legacy.db`".into())),
        path if path.contains('?') => Err(Error::Address("a file of others has no options".into())),
        path => Ok(folder.join(path)),
    }
}

/// Rows as they become a document, within their bounds.
struct Rows {
    text: Vec<u8>,
    count: usize,
    rows_max: usize,
    bytes_max: usize,
}

impl Rows {
    fn new(question: &Question) -> Self {
        let Question { rows_max, bytes_max, .. } = *question;
        Self { text: vec![b'['], count: 0, rows_max, bytes_max }
    }

    /// One more row, as JSON.
    fn add(&mut self, row: &[u8]) -> Result<(), Error> {
        if self.count >= self.rows_max {
            return Err(Error::ManyRows(self.rows_max));
        }
        if self.count > 0 {
            self.text.push(b',');
        }
        self.text.extend_from_slice(row);
        self.count += 1;
        if self.text.len() >= self.bytes_max {
            return Err(Error::Large(self.bytes_max));
        }
        Ok(())
    }

    fn done(mut self) -> Bytes {
        self.text.push(b']');
        self.text.into()
    }
}
