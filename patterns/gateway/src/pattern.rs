//! Regular expressions, of a kind that takes time in proportion to what they look at, whatever that is.

use regex::bytes::{Regex, RegexBuilder};

use crate::template::{Captures, NAMES_MAX};

/// The longest text of an expression, in bytes.
const TEXT_MAX: usize = 1024;
/// Bytes of one compiled expression, and of the tables that it builds while it is used.
const SIZE_MAX: usize = 128 * 1024;

/// A regular expression that must match the whole of a value.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: Box<str>,
    regex: Regex,
    /// The names of its groups, in their order; those without a name by their numbers.
    names: Box<[Box<str>]>,
}

impl Pattern {
    /// Compiles; says what is wrong otherwise. Bytes are matched, so `\w` and the like are those of ASCII.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::compile(text, &format!("^(?:{text})$"))
    }

    fn compile(text: &str, whole: &str) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("is longer than {TEXT_MAX} bytes"));
        }
        let regex = RegexBuilder::new(whole)
            .unicode(false)
            .size_limit(SIZE_MAX)
            .dfa_size_limit(SIZE_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "compiles to more than 128 KiB".to_owned(),
                error => {
                    let text = error.to_string();
                    let why = text.lines().last().unwrap_or_default().trim();
                    format!("is no regular expression: {}", why.trim_start_matches("error: "))
                }
            })?;
        let name = |(at, name): (usize, Option<&str>)| name.map_or(at.to_string(), str::to_owned).into();
        let names: Box<[Box<str>]> = regex.capture_names().enumerate().skip(1).map(name).collect();
        if names.len() > NAMES_MAX {
            return Err(format!("has more than {NAMES_MAX} groups; write `(?:…)` where none is needed"));
        }
        Ok(Self { text: text.into(), regex, names })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// Whether it matches, and then what its groups hold; a group that took no part is empty.
    pub(crate) fn captures(&self, value: &str, captures: &mut Captures) -> bool {
        if self.names.is_empty() {
            return self.regex.is_match(value.as_bytes());
        }
        let mut places = self.regex.capture_locations();
        if self.regex.captures_read(&mut places, value.as_bytes()).is_none() {
            return false;
        }
        for at in 1..=self.names.len() {
            let (start, end) = places.get(at).unwrap_or((0, 0));
            captures.push(start, end);
        }
        true
    }

    /// The characters that every match begins with: an anchor for the tree of paths. Rather too few than too many.
    pub(crate) fn prefix(&self) -> &str {
        let text = self.text.strip_prefix('^').unwrap_or(&self.text);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~');
        // A choice may lie outside of every group; then nothing is sure.
        if text.contains('|') {
            return "";
        }
        let length = text.bytes().take_while(|byte| is_plain(*byte)).count();
        // What a repetition follows may be absent.
        match text.as_bytes().get(length) {
            Some(b'*' | b'+' | b'?' | b'{') => &text[..length.saturating_sub(1)],
            _ => &text[..length],
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wanted {
    /// There must be one.
    Any,
    /// This.
    Exactly(Box<str>),
    /// One that this matches.
    Like(Box<Pattern>),
}

impl Wanted {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.strip_prefix('~') {
            _ if text == "*" => Self::Any,
            Some(pattern) => Self::Like(Box::new(Pattern::parse(pattern)?)),
            None => Self::Exactly(text.into()),
        })
    }

    pub(crate) fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => wanted.as_bytes() == value,
            Self::Like(pattern) => pattern.is_match(value),
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exactly(text) => f.write_str(text),
            Self::Like(pattern) => write!(f, "~{}", pattern.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_and_says_what_its_groups_hold() {
        let pattern = Pattern::parse("/v(?<major>[0-9]+)(\\.[0-9]+)?/.*").unwrap();
        assert_eq!(pattern.names().collect::<Vec<_>>(), ["major", "2"]);
        let mut captures = Captures::default();
        assert!(pattern.captures("/v12/x", &mut captures));
        assert_eq!((captures.range(0), captures.range(1)), (2..4, 0..0));
        assert!(!pattern.is_match(b"/a/v12/x") && !Pattern::parse("a|b").unwrap().is_match(b"ab"));
    }

    #[test]
    fn what_every_match_begins_with_is_never_too_long() {
        for (text, prefix) in [
            ("^/orders/[0-9]+$", "/orders/"),
            ("/orders/?", "/orders"),
            ("/a|/b", ""),
            ("/a/(b|c)", ""),
            ("(?i)/a", ""),
            ("/a\\.b", "/a"),
            ("/ab{2}", "/a"),
            ("/.*", "/"),
        ] {
            assert_eq!(Pattern::parse(text).unwrap().prefix(), prefix, "{text}");
        }
    }

    #[test]
    fn a_pattern_that_would_be_large_or_is_none_is_refused() {
        for (text, says) in [
            ("(", "is no regular expression: unclosed group"),
            ("(a{1000}){1000}", "compiles to more than 128 KiB"),
            (&"a".repeat(2000), "is longer than 1024 bytes"),
            ("(?=a)", "look-around"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
