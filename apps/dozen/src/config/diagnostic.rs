//! Mistakes in the file, said so that they can be mended without opening the manual.
//!
//! ```text
//! error: `prot` is not a key of a service
//!  --> dozen.yaml:4:23
//!   |
//! 4 |   orders: { run: a, prot: 7001 }
//!   |                     ^^^^
//!   = help: did you mean `port`?
//! ```
//!
//! A message may show what stands in the file, because its reader wrote it. It never shows what a placeholder
//! (`${env:X}`, `${file:…}`) stands for, nor a value that is secret by its kind.

use std::fmt::Write as _;

/// A place in the file: line and column from 1, length in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) length: usize,
}

/// One mistake: where, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) span: Span,
    pub(crate) wrong: String,
    pub(crate) help: String,
}

/// All mistakes of one file, in the order of the file.
pub struct Mistakes {
    file: String,
    text: String,
    found: Vec<Mistake>,
    /// Parts of the file that are not shown.
    secrets: Vec<String>,
}

/// A shorter secret protects nothing, and stars in the place of every `a` would make a report unreadable.
const SECRET_MIN: usize = 3;

/// Reports show this many mistakes; a file with more is not the file that its writer meant.
const SHOWN_MAX: usize = 50;
/// Reports show this many characters of a line.
const LINE_MAX: usize = 160;

impl Mistakes {
    pub(crate) fn new(file: impl Into<String>, text: &str, mut found: Vec<Mistake>) -> Self {
        found.sort_by_key(|mistake| mistake.span);
        found.dedup();
        Self { file: file.into(), text: text.to_owned(), found, secrets: Vec::new() }
    }

    /// Shows stars in the place of these texts.
    pub(crate) fn hiding(mut self, secrets: Vec<String>) -> Self {
        self.secrets = secrets;
        self.secrets.retain(|secret| secret.chars().count() >= SECRET_MIN);
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self
    }

    /// As many stars as characters, so that carets stay where they are.
    fn without_secrets(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in &self.secrets {
            shown = shown.replace(secret, &"*".repeat(secret.chars().count()));
        }
        shown
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }
}

impl std::error::Error for Mistakes {}

impl std::fmt::Debug for Mistakes {
    /// As a report: the text of the file holds what is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<&str> = self.text.lines().collect();
        for mistake in self.found.iter().take(SHOWN_MAX) {
            let line = lines.get(mistake.span.line.saturating_sub(1)).copied().unwrap_or_default();
            f.write_str(&self.without_secrets(&render(&self.file, line, mistake)))?;
            f.write_char('\n')?;
        }
        if self.found.len() > SHOWN_MAX {
            writeln!(f, "… and {} more", self.found.len() - SHOWN_MAX)?;
        }
        let noun = if self.found.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {noun} in {}; docs/configuration.md describes every key", self.found.len(), self.file)
    }
}

fn render(file: &str, line: &str, mistake: &Mistake) -> String {
    let Span { line: number, column, length } = mistake.span;
    let gutter = " ".repeat(number.to_string().len());
    let mut text = format!("error: {}\n{gutter}--> {file}:{number}:{column}\n", mistake.wrong);
    let (shown, indent) = window(line, column);
    if !shown.trim().is_empty() {
        // The caret never runs past what is shown, and is never absent.
        let room = shown.chars().count().saturating_sub(indent).max(1);
        let carets = "^".repeat(length.clamp(1, room));
        let _ = writeln!(text, "{gutter} |\n{number} | {shown}\n{gutter} | {}{carets}", " ".repeat(indent));
    }
    if !mistake.help.is_empty() {
        let _ = writeln!(text, "{gutter} = help: {}", mistake.help);
    }
    text
}

/// The part of `line` that holds `column`, made printable, and where in it the column is.
fn window(line: &str, column: usize) -> (String, usize) {
    let at = column.saturating_sub(1);
    let skip = if at < LINE_MAX - 20 { 0 } else { at - LINE_MAX / 2 };
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = line.chars().skip(skip).take(LINE_MAX).map(printable).collect();
    (shown.trim_end().to_owned(), at - skip)
}

/// The known name that is nearest to `name`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    // Two letters away from a short name is another word, unless it begins alike.
    let first = |text: &str| text.chars().next();
    let could = known.into_iter().filter(|other| name.len() > 3 || first(other) == first(&name));
    dozen_core::nearest(&name, could).into_iter().next()
}

/// What to say about a name that does not exist, given those that do.
pub(crate) fn suggest<'a>(name: &str, noun: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match (nearest(name, known.iter().copied()), known.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => format!("the file declares no {noun}"),
        (None, some) if some.len() <= 16 => format!("there are: {}", some.join(", ")),
        (None, some) => format!("there are {}, among them: {}", some.len(), some[..16].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_could_have_been_meant() {
        let keys = ["port", "run", "health", "timeout"];
        for (typed, meant) in
            [("prot", Some("port")), ("Helth", Some("health")), ("time-out", Some("timeout"))]
        {
            assert_eq!(nearest(typed, keys).as_deref(), meant, "{typed}");
        }
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn a_long_line_is_shown_around_its_caret() {
        let line = format!("{}here{}", "x".repeat(500), "y".repeat(500));
        let (shown, indent) = window(&line, 501);
        assert_eq!(shown.chars().count(), LINE_MAX);
        assert_eq!(&shown[indent..indent + 4], "here");
    }
}
