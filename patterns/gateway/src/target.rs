//! The path and query that a service is asked for.

use crate::options::Rewrite;
use crate::path::PathMatch;
use crate::pattern::Pattern;
use crate::template::Captures;
use crate::text::{Facts, Text, has_dot_segment};

/// A path that is written, with or without a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    text: Text,
    has_query: bool,
    is_safe: bool,
}

/// What would have been asked for cannot be: it holds a step out of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsafe;

impl Target {
    pub(crate) fn parse(text: &str, names: &[&str]) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("has a path that does not begin with `/`".into());
        }
        if has_dot_segment(text) {
            return Err("holds `.` or `..`".into());
        }
        let allowed =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\');
        if let Some(byte) = text.bytes().find(|byte| !allowed(*byte)) {
            return Err(format!("holds `{}`, which has to be escaped", char::from(byte).escape_default()));
        }
        let text = Text::url(text, names)?;
        Ok(Self { has_query: text.has_query(), is_safe: text.is_made_of_segments(), text })
    }

    /// Writes the target over `out`. The request's query is kept where the text has none.
    pub(crate) fn write(&self, facts: &Facts<'_>, out: &mut String) -> Result<(), Unsafe> {
        out.clear();
        self.text.write(facts, out);
        if !self.is_safe && (has_dot_segment(out) || out.starts_with("//")) {
            return Err(Unsafe);
        }
        if let Some(query) = facts.asked.query.filter(|_| !self.has_query) {
            out.push('?');
            out.push_str(query);
        }
        Ok(())
    }
}

/// How a path is changed where the destination names none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rewriting {
    path: Option<Change>,
    pub(crate) host: Option<Text>,
}

#[derive(Clone, Debug)]
enum Change {
    Prefix(Target),
    Regex(Box<Pattern>, Target),
}

impl Rewriting {
    pub(crate) fn compile(written: &Rewrite, path: &PathMatch) -> Result<Self, (String, String)> {
        let names = path.names();
        let wrong = |text: &str, problem: &str| Err((text.to_owned(), problem.to_owned()));
        let change = match (&written.path_prefix, &written.regex, &written.with) {
            (None, None, None) => None,
            (Some(prefix), None, None) => {
                let is_prefix = matches!(path, PathMatch::Template(template) if template.has_rest());
                let Some(rest) = names.last().filter(|_| is_prefix) else {
                    return wrong(prefix, "replaces what stands before `{*rest}`, and the match has none");
                };
                let text = format!("{}/{{{rest}}}", prefix.trim_end_matches('/'));
                let target = Target::parse(&text, &names).map_err(|problem| (prefix.clone(), problem))?;
                Some(Change::Prefix(target))
            }
            (None, Some(regex), Some(with)) => {
                let pattern = Pattern::parse(regex).map_err(|problem| (regex.clone(), problem))?;
                let groups: Vec<&str> = pattern.names().collect();
                let target = Target::parse(with, &groups).map_err(|problem| (with.clone(), problem))?;
                Some(Change::Regex(Box::new(pattern), target))
            }
            (_, Some(text), None) | (_, None, Some(text)) => {
                return wrong(text, "needs both `regex` and `with`");
            }
            (Some(text), ..) => return wrong(text, "stands beside `regex`; a path is rewritten in one way"),
        };
        let host = written.host.as_ref();
        let host = host.map(|text| Text::plain(text, &names).map_err(|problem| (text.clone(), problem)));
        Ok(Self { path: change, host: host.transpose()? })
    }

    pub(crate) fn changes_path(&self) -> bool {
        self.path.is_some()
    }

    pub(crate) fn write(&self, facts: &Facts<'_>, out: &mut String) -> Result<(), Unsafe> {
        match &self.path {
            None => Ok(()),
            Some(Change::Prefix(target)) => target.write(facts, out),
            Some(Change::Regex(pattern, target)) => {
                let mut captures = Captures::default();
                let path = facts.asked.path;
                if !pattern.captures(path, &mut captures) {
                    return Ok(());
                }
                target.write(&Facts { captures: &captures, captured: path, ..*facts }, out)
            }
        }
    }
}
