//! A statement of SQL with places for values: `select * from item where sku = :sku`.
//!
//! A value is bound and never becomes part of the text, whatever it is. The text goes to the database as the file has it, with
//! each `:name` as `$1`, `$2`…, in the order in which the names come first.

/// Bytes of one statement.
const LENGTH_MAX: usize = 64 * 1024;
/// Names in one statement.
const NAMES_MAX: usize = 100;

/// One statement, and the names of its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What the database is given.
    pub text: String,
    /// What `$1`, `$2`… stand for.
    pub names: Vec<String>,
}

impl Statement {
    /// Reads a statement. Strings, quoted names, comments and casts (`::date`) are left as they are.
    pub fn parse(sql: &str) -> Result<Self, String> {
        if sql.len() > LENGTH_MAX {
            return Err(format!("the statement is longer than {} KiB", LENGTH_MAX / 1024));
        }
        let mut statement = Self { text: String::with_capacity(sql.len()), names: Vec::new() };
        let mut rest = sql.trim_end().trim_end_matches(';').trim();
        if rest.is_empty() {
            return Err("there is no statement".into());
        }
        while let Some(sign) = rest.chars().next() {
            let length = match sign {
                ':' if rest.starts_with("::") => 2,
                ':' if name_of(&rest[1..]) > 0 => {
                    let end = 1 + name_of(&rest[1..]);
                    statement.place(&rest[1..end])?;
                    rest = &rest[end..];
                    continue;
                }
                ';' => return Err("there are two statements; one is asked at a time".into()),
                '\'' => quoted(rest, '\'', statement.is_escaping()).ok_or("a string is not closed")?,
                '"' => quoted(rest, '"', false).ok_or("a quoted name is not closed")?,
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => {
                    2 + rest.get(2..).and_then(|rest| rest.find("*/")).ok_or("a comment is not closed")? + 2
                }
                '$' => match dollars(rest) {
                    Some(length) => length,
                    None => return Err("a place for a value is written `:name`, not with `$` or `?`".into()),
                },
                '?' => return Err("a place for a value is written `:name`, not with `$` or `?`".into()),
                sign => sign.len_utf8(),
            };
            statement.text.push_str(&rest[..length]);
            rest = &rest[length..];
        }
        Ok(statement)
    }

    fn place(&mut self, name: &str) -> Result<(), String> {
        let known = self.names.iter().position(|known| known == name);
        let at = known.unwrap_or(self.names.len());
        if known.is_none() {
            self.names.push(name.to_owned());
        }
        self.text.push('$');
        self.text.push_str(&(at + 1).to_string());
        match self.names.len() > NAMES_MAX {
            true => Err(format!("there are more than {NAMES_MAX} names")),
            false => Ok(()),
        }
    }

    /// Whether the string that begins here is one of PostgreSQL's with backslashes, `E'…'`.
    fn is_escaping(&self) -> bool {
        let mut before = self.text.chars().rev();
        matches!(before.next(), Some('e' | 'E')) && before.next().is_none_or(|sign| !is_word(sign))
    }
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// The length of the name at the beginning; nothing where there is none.
fn name_of(text: &str) -> usize {
    if !text.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_') {
        return 0;
    }
    text.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').unwrap_or(text.len())
}

/// The length of what stands in quotes at the beginning; a quote that is text is written twice.
fn quoted(text: &str, quote: char, escaping: bool) -> Option<usize> {
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' if escaping => _ = signs.next(),
            sign if sign == quote => match signs.peek() {
                Some((_, next)) if *next == quote => _ = signs.next(),
                _ => return Some(at + quote.len_utf8()),
            },
            _ => {}
        }
    }
    None
}

/// The length of a text between `$tag$` and `$tag$`.
fn dollars(text: &str) -> Option<usize> {
    let tag = &text[..text[1..].find('$')? + 2];
    let inner = &tag[1..tag.len() - 1];
    if !inner.is_empty() && name_of(inner) != inner.len() {
        return None;
    }
    Some(tag.len() + text[tag.len()..].find(tag)? + tag.len())
}

#[cfg(test)]
mod tests {
    use super::Statement;

    #[test]
    fn names_become_places_and_what_is_quoted_stays() {
        for (sql, text, names) in [
            ("select 1;", "select 1", vec![]),
            (
                "select * from a where b = :b and c > :c_1 or d = :b",
                "select * from a where b = $1 and c > $2 or d = $1",
                vec!["b", "c_1"],
            ),
            (
                "select ':no', \":no\" -- :no\n, /* ; :no */ x::text",
                "select ':no', \":no\" -- :no\n, /* ; :no */ x::text",
                vec![],
            ),
            (
                "select 'it''s ;', E'\\':no', $q$ :no $$ $q$, :yes",
                "select 'it''s ;', E'\\':no', $q$ :no $$ $q$, $1",
                vec!["yes"],
            ),
            ("select a[1 : 2], 'ü', :ü, :x", "select a[1 : 2], 'ü', :ü, $1", vec!["x"]),
        ] {
            let statement = Statement::parse(sql).unwrap();
            assert_eq!(
                (statement.text.as_str(), statement.names),
                (text, names.into_iter().map(str::to_owned).collect())
            );
        }
        for (sql, says) in [
            (" ; ", "no statement"),
            ("delete from a; drop table a", "two statements"),
            ("select $1", "`:name`"),
            ("select ?", "`:name`"),
            ("select 'a", "not closed"),
            ("select /* a", "not closed"),
        ] {
            let said = Statement::parse(sql).unwrap_err();
            assert!(said.contains(says), "{sql}: {said}");
        }
    }
}
