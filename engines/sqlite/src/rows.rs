//! How messages and values look in SQLite's columns.

use dozen_core::Timestamp;
use dozen_store::{ClaimState, ClaimStatus, Entry, Error, Record, Row, Statement, Value};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::schema::position_of;

/// A message id: a UUID takes 16 bytes instead of 36.
pub(crate) enum Id<'a> {
    Uuid([u8; 16]),
    Text(&'a str),
}

impl<'a> Id<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        uuid_bytes(text).map_or(Self::Text(text), Self::Uuid)
    }
}

impl ToSql for Id<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Uuid(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Text(text) => ToSqlOutput::from(*text),
        })
    }
}

/// The 16 bytes of a UUID in its canonical text form: lower case, hyphens in place. Any other text stays text, so that
/// what comes out is what went in.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0u8; 16];
    let mut digits = 0;
    for (at, &byte) in text.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        bytes[digits / 2] = bytes[digits / 2] << 4 | digit;
        digits += 1;
    }
    Some(bytes)
}

fn id_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Blob(bytes) if bytes.len() == 16 => {
            let mut text = String::with_capacity(36);
            for (at, byte) in bytes.iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
                }
            }
            text
        }
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

/// The columns of an entry, in the order that [`entry`] reads them.
pub(crate) const ENTRY: &str = "place, id, kind, key, at, due, attributes, data";

/// Reads an entry from [`ENTRY`].
pub(crate) fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        position: unsigned(position_of(row.get(0)?)),
        at: Timestamp(row.get(4)?),
        due: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        record: Record {
            id: id_text(row.get_ref(1)?),
            kind: row.get(2)?,
            key: row.get(3)?,
            attributes: row.get(6)?,
            data: row.get_ref(7)?.as_blob()?.to_vec().into(),
        },
    })
}

/// The columns of an edited content, in the order that [`edit`] reads them.
pub(crate) const EDIT: &str = "kind, attributes, data";

/// Puts the content of [`EDIT`], if there is one, in the place of the entry's.
pub(crate) fn edit(row: &rusqlite::Row<'_>, entry: &mut Entry) -> rusqlite::Result<()> {
    if let Some(kind) = row.get(0)? {
        entry.record.kind = kind;
        entry.record.attributes = row.get(1)?;
        entry.record.data = row.get::<_, Vec<u8>>(2)?.into();
    }
    Ok(())
}

/// The columns of a claim, in the order that [`claim`] reads them.
pub(crate) const CLAIM: &str = "place, state, attempts, due, claimed, ended, key, errors, kind is not null";

/// Reads a claim from [`CLAIM`].
pub(crate) fn claim(row: &rusqlite::Row<'_>) -> rusqlite::Result<ClaimStatus> {
    let errors: Option<String> = row.get(7)?;
    Ok(ClaimStatus {
        position: unsigned(position_of(row.get(0)?)),
        state: ClaimState::from_code(row.get(1)?).unwrap_or(ClaimState::Dropped),
        attempts: row.get(2)?,
        due: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        claimed: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        ended: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        key: row.get(6)?,
        errors: errors.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        edited: row.get(8)?,
    })
}

/// Positions and counts are never negative; a file that says otherwise is read as 0.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Positions from outside may be anything; none is beyond the highest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX).min(crate::schema::POSITION_MAX)
}

/// Versions and fences from outside; one that no file holds matches nothing.
pub(crate) fn signed_any(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(-1)
}

struct Param<'a>(&'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::from(rusqlite::types::Null),
            Value::Integer(number) => ToSqlOutput::from(*number),
            Value::Real(number) => ToSqlOutput::from(*number),
            Value::Text(text) => ToSqlOutput::from(text.as_str()),
            Value::Blob(bytes) => ToSqlOutput::from(bytes.as_slice()),
        })
    }
}

/// Statements that would end or leave the transaction that they stand in, and with it that of everybody else.
const FORBIDDEN: [&str; 10] =
    ["begin", "commit", "end", "rollback", "savepoint", "release", "attach", "detach", "pragma", "vacuum"];

fn prepare<'c>(
    connection: &'c Connection,
    statement: &Statement,
) -> Result<rusqlite::CachedStatement<'c>, Error> {
    let first = statement.sql.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
    if FORBIDDEN.contains(&first.trim_end_matches(';')) {
        return Err(Error::Invalid(format!(
            "`{}` cannot stand in a transaction of the store: it shares the connection with others",
            statement.excerpt()
        )));
    }
    connection.prepare_cached(&statement.sql).map_err(|error| failed(statement, &error))
}

fn failed(statement: &Statement, error: &rusqlite::Error) -> Error {
    Error::Statement { statement: statement.excerpt(), problem: error.to_string() }
}

/// Runs the caller's statement; gives how many rows it changed.
pub(crate) fn execute(connection: &Connection, statement: &Statement) -> Result<u64, Error> {
    let mut prepared = prepare(connection, statement)?;
    let changed = prepared
        .execute(params_from_iter(statement.params.iter().map(Param)))
        .map_err(|error| failed(statement, &error))?;
    Ok(changed as u64)
}

/// Runs the caller's query.
pub(crate) fn select(connection: &Connection, statement: &Statement) -> Result<Vec<Row>, Error> {
    let mut prepared = prepare(connection, statement)?;
    let columns = prepared.column_count();
    let fail = |error: rusqlite::Error| failed(statement, &error);
    let mut rows = prepared.query(params_from_iter(statement.params.iter().map(Param))).map_err(fail)?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        if answer.len() == Statement::ROWS_MAX {
            return Err(Error::Invalid(format!(
                "`{}` has more than {} rows; read it in parts",
                statement.excerpt(),
                Statement::ROWS_MAX
            )));
        }
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column).map_err(fail)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            });
        }
        answer.push(Row(values));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_uuid_is_packed() {
        let id = "0192f5a0-1b2c-7d3e-8f40-51627384a5b6";
        let bytes = uuid_bytes(id).unwrap();
        assert_eq!(id_text(ValueRef::Blob(&bytes)), id);
        for text in ["", "0192F5A0-1b2c-7d3e-8f40-51627384a5b6", "0192f5a0-1b2c-7d3e-8f4051627384a5b6-"] {
            assert!(uuid_bytes(text).is_none(), "{text}");
        }
    }
}
