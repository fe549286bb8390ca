//! The caller's own SQL.

use std::borrow::Cow;
use std::error::Error as StdError;

use bytes::BytesMut;
use dozen_store::{Error, Row, Statement, Value};
use futures::{StreamExt, pin_mut};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, RowStream};

use crate::error::of_statement;
use crate::numeric;
use crate::statement::accept;

/// Positions and counts are never negative; a database that says otherwise is read as 0.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Positions from outside may be anything; none is beyond the highest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Versions and fences from outside; one that no database holds matches nothing.
pub(crate) fn signed_any(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(-1)
}

/// A value as text, for the server to read as what the statement wants there: so a whole number may be a boolean, and a
/// text a UUID, JSON or a moment.
#[derive(Debug)]
struct Param<'a>(&'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let text: Cow<'_, str> = match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(number) => number.to_string().into(),
            Value::Real(number) if number.is_infinite() => {
                if *number > 0.0 {
                    "Infinity".into()
                } else {
                    "-Infinity".into()
                }
            }
            Value::Real(number) => number.to_string().into(),
            Value::Text(text) => text.into(),
            Value::Blob(bytes) => {
                let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                let digits = digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
                ['\\', 'x'].into_iter().chain(digits).collect::<String>().into()
            }
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

async fn run(location: &str, client: &Client, statement: &Statement) -> Result<RowStream, Error> {
    let sql = accept(statement)?;
    let params = statement.params.iter().map(|value| (Param(value), Type::UNKNOWN));
    client.query_typed_raw(&sql, params).await.map_err(|error| of_statement(location, statement, &error))
}

/// Runs the caller's statement; gives how many rows it changed.
pub(crate) async fn execute(location: &str, client: &Client, statement: &Statement) -> Result<u64, Error> {
    let found = run(location, client, statement).await?;
    pin_mut!(found);
    while let Some(row) = found.next().await {
        row.map_err(|error| of_statement(location, statement, &error))?;
    }
    Ok(found.rows_affected().unwrap_or(0))
}

/// Runs the caller's query.
pub(crate) async fn select(
    location: &str,
    client: &Client,
    statement: &Statement,
) -> Result<Vec<Row>, Error> {
    let found = run(location, client, statement).await?;
    pin_mut!(found);
    let mut answer = Vec::new();
    while let Some(row) = found.next().await {
        let row = row.map_err(|error| of_statement(location, statement, &error))?;
        if answer.len() == Statement::ROWS_MAX {
            return Err(Error::Invalid(format!(
                "`{}` has more than {} rows; read it in parts",
                statement.excerpt(),
                Statement::ROWS_MAX
            )));
        }
        let values = (0..row.len()).map(|column| {
            row.try_get::<_, Cell>(column)
                .map(|cell| cell.0)
                .map_err(|error| of_statement(location, statement, &error))
        });
        answer.push(Row(values.collect::<Result<_, _>>()?));
    }
    Ok(answer)
}

/// A value that came back. What has no kind of its own in the port comes as the text that the server would print.
struct Cell(Value);

type Raw<'a> = &'a [u8];

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: Raw<'a>) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let value = match *kind {
            Type::BOOL => Value::Integer(i64::from(bool::from_sql(kind, raw)?)),
            Type::INT2 => Value::Integer(i64::from(i16::from_sql(kind, raw)?)),
            Type::INT4 => Value::Integer(i64::from(i32::from_sql(kind, raw)?)),
            Type::INT8 => Value::Integer(i64::from_sql(kind, raw)?),
            Type::OID => Value::Integer(i64::from(u32::from_sql(kind, raw)?)),
            Type::FLOAT4 => Value::Real(f64::from(f32::from_sql(kind, raw)?)),
            Type::FLOAT8 => Value::Real(f64::from_sql(kind, raw)?),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            Type::VOID => Value::Null,
            Type::UUID => Value::Text(uuid(raw)),
            Type::NUMERIC => Value::Text(numeric::to_text(raw).ok_or("a damaged number")?),
            Type::TIMESTAMPTZ => Value::Text(moment(raw)?.to_string()),
            Type::TIMESTAMP => Value::Text(moment(raw)?.to_string().trim_end_matches('Z').to_owned()),
            Type::DATE => {
                let days = i32::from_be_bytes(raw.try_into()?);
                let date = jiff::civil::date(2000, 1, 1).checked_add(jiff::Span::new().try_days(days)?)?;
                Value::Text(date.to_string())
            }
            // Its first byte is the version of its binary form, of which there is one.
            Type::JSONB => {
                Value::Text(String::from_utf8_lossy(raw.get(1..).unwrap_or_default()).into_owned())
            }
            _ => Value::Text(String::from_utf8_lossy(raw).into_owned()),
        };
        Ok(Self(value))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        let known = [
            Type::BOOL,
            Type::INT2,
            Type::INT4,
            Type::INT8,
            Type::OID,
            Type::FLOAT4,
            Type::FLOAT8,
            Type::BYTEA,
            Type::VOID,
            Type::UUID,
            Type::NUMERIC,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMP,
            Type::DATE,
            Type::JSONB,
            Type::JSON,
            Type::TEXT,
            Type::VARCHAR,
            Type::BPCHAR,
            Type::NAME,
            Type::CHAR,
            Type::XML,
            Type::UNKNOWN,
        ];
        known.contains(kind) || matches!(kind.kind(), tokio_postgres::types::Kind::Enum(_))
    }
}

/// Microseconds since the year 2000.
fn moment(raw: Raw<'_>) -> Result<jiff::Timestamp, Box<dyn StdError + Sync + Send>> {
    const FROM_1970: i64 = 946_684_800_000_000;
    Ok(jiff::Timestamp::from_microsecond(i64::from_be_bytes(raw.try_into()?).saturating_add(FROM_1970))?)
}

fn uuid(raw: Raw<'_>) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
