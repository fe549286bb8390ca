//! The text of the caller's own statements.

use std::borrow::Cow;

use dozen_store::{Error, Statement};

/// Statements that would end or leave the transaction that they stand in, or change the session for whoever is next.
const FORBIDDEN: [&str; 19] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "deallocate",
    "set",
    "reset",
    "discard",
    "listen",
    "unlisten",
    "notify",
    "vacuum",
    "copy",
    "load",
];

/// The statement as this server reads it, if it may stand in a transaction of the store.
pub(crate) fn accept(statement: &Statement) -> Result<Cow<'_, str>, Error> {
    let first: String =
        after_comments(&statement.sql).chars().take_while(char::is_ascii_alphabetic).collect();
    if FORBIDDEN.contains(&first.to_ascii_lowercase().as_str()) {
        return Err(Error::Invalid(format!(
            "`{}` cannot stand in a transaction of the store: it shares the connection with others",
            statement.excerpt()
        )));
    }
    Ok(numbered(&statement.sql))
}

fn after_comments(sql: &str) -> &str {
    let mut rest =
        sql.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ';' || letter == '(');
    loop {
        let next = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest =
            next.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ';' || letter == '(');
    }
}

/// Writes `?1` as `$1`, but for what stands in quotes or comments. A `?` without a number is left as it is: it is an operator
/// on JSON here.
fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find(['?', '\'', '"', '-', '/', '$']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes()[0] {
            b'?' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => {
                out.push('$');
                rest = &rest[1..];
                continue;
            }
            quote @ (b'\'' | b'"') => rest[1..].find(char::from(quote)).map_or(rest.len(), |end| end + 2),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'$' => match rest[1..].split_once('$') {
                // A dollar-quoted text, $tag$…$tag$.
                Some((tag, body))
                    if tag.bytes().all(|letter| letter.is_ascii_alphabetic() || letter == b'_') =>
                {
                    let quote = format!("${tag}$");
                    body.find(&quote).map_or(rest.len(), |end| end + 2 * quote.len())
                }
                _ => 1,
            },
            _ => 1,
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_outside_of_quotes() {
        for (given, expected) in [
            ("select ?1, $2", "select $1, $2"),
            ("select '?1', \"?2\", ?3 -- ?4\n, ?5 /* ?6 */", "select '?1', \"?2\", $3 -- ?4\n, $5 /* ?6 */"),
            ("select 'it''s ?1', ?2", "select 'it''s ?1', $2"),
            ("select $$ ?1 $$, $a$ ?2 $a$, a ? 'b', ?10", "select $$ ?1 $$, $a$ ?2 $a$, a ? 'b', $10"),
        ] {
            assert_eq!(numbered(given), expected);
        }
    }

    #[test]
    fn what_would_end_the_transaction_is_refused() {
        for sql in ["commit", " COMMIT;", "/* x */ -- y\nrollback", ";;end", "set local x = 1"] {
            assert!(accept(&Statement::new(sql, [])).is_err(), "{sql}");
        }
        assert!(accept(&Statement::new("select 1 as commit", [])).is_ok());
    }
}
