//! From text to a tree, and from a parser's complaint to a sentence.

use cel::common::ast::SourceInfo;
use cel::{IdedExpr, ParseError};

use crate::functions::environment;
use crate::mistake::Mistake;
use crate::{DEPTH_MAX, TEXT_MAX};

/// A text with the places of its parts.
pub(crate) struct Source<'t> {
    pub(crate) text: &'t str,
    info: SourceInfo,
}

impl Source<'_> {
    /// The mistake `problem` at a part.
    pub(crate) fn mistake(&self, part: &IdedExpr, problem: impl Into<String>) -> Mistake {
        Mistake::at(self.text, self.offset(part), problem)
    }

    /// The mistake at the name of a call. The parser gives the place of its bracket, and the name stands before it.
    pub(crate) fn mistake_at_call(&self, call: &IdedExpr, name: &str, problem: impl Into<String>) -> Mistake {
        let bracket = self.offset(call).min(self.text.len());
        let before = self.text.get(..bracket).unwrap_or(self.text);
        let offset = before.rfind(name).unwrap_or(bracket);
        Mistake::at(self.text, offset, problem)
    }

    fn offset(&self, part: &IdedExpr) -> usize {
        self.info.offset_for(part.id).map_or(0, |(start, _)| start as usize)
    }
}

/// Parses `text`.
pub(crate) fn parse(text: &str) -> Result<(IdedExpr, Source<'_>), Mistake> {
    if text.len() > TEXT_MAX {
        let problem = format!("the expression has {} bytes, and {TEXT_MAX} are the most", text.len());
        return Err(Mistake::at(text, TEXT_MAX, problem));
    }
    if text.trim().is_empty() {
        return Err(Mistake::at(text, 0, "the expression is empty").hint("`true` holds for everything"));
    }
    let depth = u16::try_from(DEPTH_MAX).unwrap_or(u16::MAX);
    let parser = environment().parser().max_recursion_depth(depth);
    match parser.parse_with_source_info(text) {
        Ok((tree, info)) => Ok((tree, Source { text, info })),
        Err(errors) => {
            let incomplete = |error: &&ParseError| !error.msg.starts_with("Incomplete");
            let first = errors.errors.iter().find(incomplete).or(errors.errors.first());
            Err(first
                .map_or_else(|| Mistake::at(text, 0, "it cannot be read"), |error| translate(text, error)))
        }
    }
}

/// The parser speaks of tokens; its reader thinks in words and signs.
fn translate(text: &str, error: &ParseError) -> Mistake {
    let offset = offset_of(text, error.pos);
    let message = error.msg.trim_start_matches("Syntax error: ");
    if message.contains("Recursion limit") {
        let problem = format!("the expression nests more than {DEPTH_MAX} deep");
        return Mistake::at(text, deepest(text), problem);
    }
    if let Some(found) = quoted(message, "token recognition error at: ") {
        return unknown_sign(text, offset, found);
    }
    if let Some(missing) = quoted(message, "missing ") {
        return Mistake::at(text, offset, format!("`{missing}` is missing"));
    }
    let found = quoted(message, "mismatched input ")
        .or_else(|| quoted(message, "extraneous input "))
        .or_else(|| quoted(message, "no viable alternative at input "));
    match found {
        Some("<EOF>") => Mistake::at(text, text.len(), "the expression ends too early"),
        Some(found) => misplaced(text, offset, found),
        None if message.starts_with("unsupported syntax") => {
            Mistake::at(text, offset, "optional values are not supported").hint("ask `has(…)` first")
        }
        None if message.contains("has()") => {
            Mistake::at(text, offset, "`has` takes a member").hint("write `has(data.total)`")
        }
        None => Mistake::at(text, offset, message),
    }
}

fn unknown_sign(text: &str, offset: usize, found: &str) -> Mistake {
    let sign = found.chars().next().unwrap_or(' ');
    match sign {
        '=' => Mistake::at(text, offset, "`=` is no operator").hint("compare with `==`"),
        '&' => Mistake::at(text, offset, "`&` is no operator").hint("write `&&`"),
        '|' => Mistake::at(text, offset, "`|` is no operator").hint("write `||`"),
        '"' | '\'' => {
            Mistake::at(text, offset, "this text is not closed, or has an escape that there is not")
                .hint("a backslash is written `\\\\`, or the text as r\"…\"")
        }
        '“' | '”' | '„' | '‘' | '’' => {
            Mistake::at(text, offset, format!("`{sign}` does not begin a text")).hint("use \" or '")
        }
        _ => Mistake::at(text, offset, format!("`{sign}` means nothing here")),
    }
}

fn misplaced(text: &str, offset: usize, found: &str) -> Mistake {
    let shown: String = found.chars().take(40).collect();
    let mistake = Mistake::at(text, offset, format!("`{shown}` cannot stand here"));
    let before = text.get(..offset).unwrap_or("").trim_end();
    match found.to_ascii_lowercase().as_str() {
        "and" => mistake.hint("write `&&`"),
        "or" => mistake.hint("write `||`"),
        "like" => mistake.hint("use `startsWith`, `contains` or `matches`"),
        "is" => mistake.hint("write `==`"),
        ">" if before.ends_with('<') => mistake.hint("write `!=`"),
        _ if before.ends_with("not") => mistake.hint("for `not` write `!`"),
        _ => mistake,
    }
}

/// What stands in quotes after `start`.
fn quoted<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    let rest = message.strip_prefix(start)?.strip_prefix('\'')?;
    let end = [" expecting ", " at "].iter().filter_map(|word| rest.find(&format!("'{word}"))).min();
    Some(end.map_or_else(|| rest.trim_end_matches('\''), |end| &rest[..end]))
}

/// The byte of a line and column, both from 1, the column in characters.
fn offset_of(text: &str, (line, column): (isize, isize)) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1));
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[start..];
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// Where brackets are open deepest, which is near enough to where it became too deep.
fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest, mut at) = (0_i32, 0, 0);
    for (offset, sign) in text.char_indices() {
        match sign {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth > deepest {
            (deepest, at) = (depth, offset);
        }
    }
    at
}
