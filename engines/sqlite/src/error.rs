//! SQLite's errors in the store's words.

use std::path::Path;
use std::time::Duration;

use dozen_store::Error;
use rusqlite::ErrorCode;

/// How long a writer waits for another process before it gives up.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Turns an error of SQLite into one that says what to do.
pub(crate) fn translate(path: &Path, error: &rusqlite::Error) -> Error {
    let location = path.display().to_string();
    let problem = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt { location, problem },
        Some(ErrorCode::ReadOnly) => Error::ReadOnly { location },
        Some(ErrorCode::DiskFull) => Error::Full { location },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Busy { location, waited: BUSY_WAIT }
        }
        Some(ErrorCode::CannotOpen) => Error::Open {
            location,
            problem: format!("{problem}; check that the folder exists and that you may write there"),
        },
        _ => Error::Failed { location, problem },
    }
}
