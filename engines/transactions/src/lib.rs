//! Publish in a transaction of your own, on a connection of your own.
//!
//! ```text
//!   let tx = connection.transaction()?;                    your driver, your pool, your rows
//!   tx.execute("insert into orders …", [])?;
//!   outbox.publish_on(&mut Rusqlite(&tx), "orders", event).await?;
//!   tx.commit()?;                                          order and event: both, or neither
//! ```
//!
//! Each driver has a feature and a wrapper around its transaction, because neither the driver nor the port is ours to join
//! otherwise. All a wrapper does is insert one row into the outbox; for another driver, write the same statement.
//!
//! The connection must lead to the file or the database that is the store. Two copies of SQLite in one process must not open
//! one file: each closes the other's locks (<https://sqlite.org/howtocorrupt.html>, §2.2.1). Cargo sees to that, as only one
//! version of `libsqlite3-sys` can be linked: rusqlite 0.37 and sqlx 0.9 agree on 0.35.

#[cfg(feature = "tokio-postgres")]
mod postgres;
#[cfg(feature = "rusqlite")]
mod sqlite;
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
mod sqlx;

#[cfg(feature = "sqlx-postgres")]
pub use crate::sqlx::SqlxPostgres;
#[cfg(feature = "sqlx-sqlite")]
pub use crate::sqlx::SqlxSqlite;
#[cfg(feature = "tokio-postgres")]
pub use postgres::TokioPostgres;
#[cfg(feature = "rusqlite")]
pub use sqlite::Rusqlite;

/// The row of an outbox in SQLite: the view for rows that were admitted by whoever made them, so that nothing is checked twice.
#[cfg(any(feature = "rusqlite", feature = "sqlx-sqlite"))]
const SQLITE: &str = "insert into dozen_admitted (id, aggregatetype, aggregateid, type, payload, headers) \
                      values (?1, ?2, ?3, ?4, ?5, ?6)";

/// The row of an outbox in PostgreSQL. The payload goes as bytes, so that what is read is what was sent; and it was admitted by
/// whoever made the row, so the outbox need not look at it again.
#[cfg(any(feature = "tokio-postgres", feature = "sqlx-postgres"))]
const POSTGRES: &str = "insert into dozen.outbox (id, aggregatetype, aggregateid, type, data, headers, admitted) \
                        values ($1, $2, $3, $4, $5, $6::text::jsonb, true)";

/// What the driver said, in the store's words.
#[cfg(any(
    feature = "rusqlite",
    feature = "tokio-postgres",
    feature = "sqlx-postgres",
    feature = "sqlx-sqlite"
))]
fn failed(sql: &str, error: &dyn std::error::Error) -> dozen_store::Error {
    // A driver's first line is often `db error`, and what happened stands in the source.
    let mut problem = error.to_string();
    if let Some(source) = error.source() {
        problem = format!("{problem}: {source}");
    }
    dozen_store::Error::Statement { statement: sql.chars().take(120).collect(), problem }
}
