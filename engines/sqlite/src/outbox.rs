//! The outbox of other programs: a view in the file that takes inserts. What it does stands in `outbox.sql`; a second view, in
//! `admitted.sql`, takes what the library has checked already.
//!
//! A program with its own connection inserts there in its own transaction. The trigger gives the position under SQLite's write
//! lock, as the writer does, so the order of commits is the order of reading whoever commits.

use std::sync::Arc;

use dozen_store::Error;
use rusqlite::{Connection, OptionalExtension};

use crate::ops::{Scribe, sql};

/// The views and what makes each of them and its trigger, which is called like the view and `_insert`.
const VIEWS: [(&str, &str); 2] =
    [("outbox", include_str!("outbox.sql")), ("dozen_admitted", include_str!("admitted.sql"))];
/// By which a view is known as ours, whatever version made it.
const MARK: &str = "made by dozen";

/// The text by which something was made that is called `name`; empty where SQLite made it by itself.
fn made_by(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("select ifnull(sql, '') from sqlite_schema where name = ?1 collate nocase")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Makes the views, or makes one anew when this binary has another text for it than the file. What an application has under
/// the name of the outbox stays as it is: it then has no outbox, and is told.
pub(crate) fn install(connection: &Connection) -> rusqlite::Result<()> {
    for (name, sql) in VIEWS {
        let view = made_by(connection, name)?;
        if view.as_ref().is_some_and(|text| !text.contains(MARK)) {
            tracing::warn!(
                "the store has an `{name}` that is not dozen's: what is inserted there is not published"
            );
            continue;
        }
        // SQLite keeps the text of each statement (but for the case of its first words), so it tells whether it is this one.
        let now = sql.to_ascii_lowercase();
        let is_same =
            |text: Option<String>| text.is_some_and(|text| now.contains(&text.to_ascii_lowercase()));
        if !(is_same(view) && is_same(made_by(connection, &format!("{name}_insert"))?)) {
            drop_view(connection, name)?;
            connection.execute_batch(sql)?;
        }
    }
    Ok(())
}

/// Removes the views that are ours, and their triggers with them.
pub(crate) fn remove(connection: &Connection) -> rusqlite::Result<()> {
    VIEWS.iter().try_for_each(|(name, _)| drop_view(connection, name))
}

fn drop_view(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    match made_by(connection, name)? {
        Some(text) if text.contains(MARK) => connection.execute_batch(&format!("drop view {name}")),
        _ => Ok(()),
    }
}

impl Scribe<'_> {
    /// Runs the caller's own SQL, which may publish through the outbox: the file must say what was given so far, and what it
    /// gives must be known here afterwards.
    pub(crate) fn own_sql<T>(
        &mut self,
        run: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.changed = true;
        let connection = self.connection;
        let before = self.memory.head;
        self.memory.uncounted.flush(connection).map_err(sql(self))?;
        if self.memory.head_written != before {
            let write = connection.prepare_cached("update dozen_stream set position = ?1 where stream = 0");
            write.and_then(|mut statement| statement.execute([before])).map_err(sql(self))?;
            self.memory.head_written = before;
        }
        let result = run(connection)?;
        let head = connection
            .prepare_cached("select position from dozen_stream where stream = 0")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(sql(self))?;
        if head != before {
            (self.memory.head, self.memory.head_written) = (head, head);
            let streams: Vec<Arc<str>> = connection
                .prepare_cached("select name from dozen_stream where position > ?1 and stream > 0")
                .and_then(|mut statement| statement.query_map([before], |row| row.get(0))?.collect())
                .map_err(sql(self))?;
            streams.iter().for_each(|stream| self.touch(stream));
        }
        Ok(result)
    }
}
