//! JSON as it stands in the text: numbers keep their digits, strings are borrowed where they can be.
//!
//! A comparison must not lose what it compares: through a float, `12345678901234567` and `12345678901234568` are one
//! number. Names that stand twice in an object count as their last value, as most readers take them.

use std::borrow::Cow;

/// How deep arrays and objects may stand in each other.
const DEPTH_MAX: usize = 64;
/// Members and elements of one document, all levels together.
const NODES_MAX: usize = 200_000;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, by name.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads a document. `None` when it is no JSON, or beyond the bounds of depth and size.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut reader = Reader { text, at: 0, nodes: 0 };
        let value = reader.value(0)?;
        reader.space();
        (reader.at == text.len()).then_some(value)
    }

    /// A member of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let at = members.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        members.get(at).map(|(_, value)| value)
    }

    /// What kind of value it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        let rest = self.text.get(self.at..)?;
        rest.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(Json::Object(Vec::new()));
        }
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(8);
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(b':')?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b'}')?;
        // Stable, so that of equal names the last stays last, and is the one that is kept.
        members.sort_by(|(left, _), (right, _)| left.as_bytes().cmp(right.as_bytes()));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            members.reverse();
            members.dedup_by(|left, right| left.0 == right.0);
            members.reverse();
        }
        Some(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Option<Json<'a>> {
        self.take(b'[')?;
        let mut elements = Vec::new();
        self.space();
        if self.take(b']').is_some() {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.space();
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b']')?;
        Some(Json::Array(elements))
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        let begin = self.at;
        let mut owned: Option<String> = None;
        let mut from = begin;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            let piece = self.text.get(from..self.at)?;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(match owned {
                        Some(text) => Cow::Owned(text + piece),
                        None => Cow::Borrowed(piece),
                    });
                }
                b'\\' => {
                    owned.get_or_insert_default().push_str(piece);
                    self.at += 1;
                    let escaped = self.escape()?;
                    owned.get_or_insert_default().push(escaped);
                    from = self.at;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let escape = self.peek()?;
        self.at += 1;
        Some(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                if !(0xD800..0xDC00).contains(&first) {
                    return char::from_u32(first);
                }
                self.take(b'\\')?;
                self.take(b'u')?;
                let second = self.hex()?.checked_sub(0xDC00).filter(|second| *second < 0x400)?;
                char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Option<Json<'a>> {
        let begin = self.at;
        let _ = self.take(b'-');
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text.get(begin..self.at).map(Json::Number)
    }

    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_strings_their_meaning() {
        let read =
            Json::parse(r#" {"n":12345678901234567.10,"s":"a\u00e9\ud83d\ude00\n","e":[],"n":-0.5e+3} "#);
        let read = read.expect("it is JSON");
        assert_eq!(read.member("n"), Some(&Json::Number("-0.5e+3")), "of equal names the last");
        assert_eq!(read.member("s"), Some(&Json::Text("aé😀\n".into())));
        assert_eq!(read.member("e"), Some(&Json::Array(Vec::new())));
        assert!(matches!(Json::parse("\"plain\""), Some(Json::Text(Cow::Borrowed("plain")))));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for wrong in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\u12\"",
            "[1] 2",
            "nul",
            "{a:1}",
            "\"\\u+123\"",
            "\"\\udc00\"",
        ] {
            assert_eq!(Json::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Json::parse(&"[".repeat(100_000)), None, "and depth is bounded");
        assert!(Json::parse(&("[".repeat(60) + &"]".repeat(60))).is_some());
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads(text in r#"[\[\]{},:"\\u0-9eE+.\- a-ftrunlse]{0,24}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // A number beyond the range of a float is refused there and kept here.
            let too_large = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
            prop_assume!(!too_large);
            prop_assert_eq!(Json::parse(&text).is_some(), theirs.is_ok(), "{}", text);
        }

        #[test]
        fn it_never_panics(text in ".{0,64}") {
            let _ = Json::parse(&text);
        }
    }
}
