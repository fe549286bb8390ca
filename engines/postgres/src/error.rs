//! The server's errors in the store's words.

use std::time::Duration;

use dozen_store::{Error, Statement};
use tokio_postgres::error::SqlState;

/// How long a call waits for a lock or a place in the pool, at most.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(10);
/// How long a transaction may rest between two steps before the server ends it.
pub(crate) const REST_MAX: Duration = Duration::from_secs(60);

/// What a call was doing when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing that outlives the connection.
    Working,
    /// Its commit was on its way.
    Committing,
}

/// Turns an error of the driver into one that says what to do.
pub(crate) fn translate(location: &str, doing: Doing, error: &tokio_postgres::Error) -> Error {
    let location = location.to_owned();
    let Some(server) = error.as_db_error() else {
        // The socket's own words tell more than the driver's.
        let problem =
            std::error::Error::source(error).map_or(error.to_string(), |cause| format!("{error}: {cause}"));
        return match doing {
            Doing::Committing => Error::Unknown { problem },
            Doing::Working => Error::Failed { location, problem },
        };
    };
    let problem = server.message().to_owned();
    let code = server.code();
    match code.code() {
        "55P03" | "40001" | "40P01" => Error::Busy { location, waited: BUSY_WAIT },
        "53100" => Error::Full { location },
        "25006" => Error::ReadOnly { location },
        "25P03" => Error::TooSlow { limit: REST_MAX },
        "XX001" | "XX002" => Error::Corrupt { location, problem },
        // The server ends connections when it stops; whether it had committed before cannot be seen from here.
        "57P01" | "57P02" | "57P03" | "57P05" if doing == Doing::Committing => Error::Unknown { problem },
        _ if *code == SqlState::UNTRANSLATABLE_CHARACTER
            || *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE =>
        {
            Error::Invalid(format!("the store cannot keep this text: {problem}"))
        }
        _ => Error::Failed { location, problem: format!("{problem} ({})", code.code()) },
    }
}

/// The same for the caller's own statement. The server's details quote values, so they are left out.
pub(crate) fn of_statement(location: &str, statement: &Statement, error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(server) if !matches!(&server.code().code()[..2], "53" | "57" | "25" | "XX") => match server
            .code()
            .code()
        {
            "55P03" | "40001" | "40P01" => translate(location, Doing::Working, error),
            _ => Error::Statement { statement: statement.excerpt(), problem: server.message().to_owned() },
        },
        Some(_) => translate(location, Doing::Working, error),
        None if error.is_closed() => translate(location, Doing::Working, error),
        None => Error::Statement { statement: statement.excerpt(), problem: error.to_string() },
    }
}

/// Whether trying the same again may help, because the server chose one of two that stood in each other's way.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|server| matches!(server.code().code(), "40001" | "40P01"))
}
