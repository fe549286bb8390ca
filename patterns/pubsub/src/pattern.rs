//! Which topics a subscription hears of.

use std::fmt;
use std::sync::Arc;

use dozen_messaging::Error;

/// The longest name of a topic, and the longest pattern, in bytes.
const LENGTH_MAX: usize = 200;

/// A topic's name, or a pattern that stands for many: of the segments between dots, `*` stands for one, and `>` at the end
/// for one or more. `orders.*` is `orders.paid` and not `orders.eu.paid`; `orders.>` is both; `>` is every topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Reads a name or a pattern: 1 to 200 bytes, segments that are not empty, and neither white space nor control
    /// characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(LENGTH_MAX).collect();
            Err(Error::Invalid(format!("`{shown}` names no topics: {why}")))
        };
        if text.is_empty() || text.len() > LENGTH_MAX {
            return wrong("1 to 200 bytes are wanted");
        }
        if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            return wrong("it holds white space or a control character");
        }
        let mut segments = text.split('.').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" => return wrong("there is nothing before, after or between its dots"),
                ">" if segments.peek().is_some() => return wrong("`>` stands at the end only"),
                ">" | "*" => {}
                _ if segment.contains(['*', '>']) => {
                    return wrong("`*` and `>` stand alone between dots, for a whole segment");
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// Reads a topic's name.
    pub(crate) fn name(text: &str) -> Result<Self, Error> {
        let name = Self::parse(text)?;
        match name.is_wild() {
            true => Err(Error::Invalid(format!("`{text}` is a pattern, and a topic needs a name"))),
            false => Ok(name),
        }
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it may stand for several topics.
    pub fn is_wild(&self) -> bool {
        self.0.split('.').any(|segment| matches!(segment, "*" | ">"))
    }

    /// Whether it stands for the topic of this name.
    pub fn matches(&self, topic: &str) -> bool {
        let mut topic = topic.split('.');
        for segment in self.0.split('.') {
            match (segment, topic.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (segment, Some(found)) if segment == found => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }

    /// Whether some topic could match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
                (Some(segment), Some(found)) if segment == found => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_stands_for_what_the_table_says() {
        let table = [
            ("orders", "orders", true),
            ("orders", "orders.paid", false),
            ("orders.*", "orders.paid", true),
            ("orders.*", "orders", false),
            ("orders.*", "orders.eu.paid", false),
            ("orders.*", "ordersx.paid", false),
            ("orders.>", "orders.paid", true),
            ("orders.>", "orders.eu.paid", true),
            ("orders.>", "orders", false),
            ("*.paid", "orders.paid", true),
            ("*.paid", "paid", false),
            ("orders.*.paid", "orders.eu.paid", true),
            ("orders.*.paid", "orders.eu.lost", false),
            ("orders.*.>", "orders.eu.paid", true),
            ("orders.*.>", "orders.eu", false),
            ("*", "orders", true),
            ("*", "orders.paid", false),
            (">", "orders", true),
            (">", "orders.eu.paid", true),
        ];
        for (pattern, topic, matches) in table {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(topic), matches, "{pattern} and {topic}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("", "1 to 200"),
            ("a..b", "between its dots"),
            (".a", "between its dots"),
            ("a.", "between its dots"),
            ("a.>.b", "at the end only"),
            ("orders*", "whole segment"),
            ("a.b>", "whole segment"),
            ("a b", "white space"),
            ("a\nb", "white space"),
        ] {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert!(Pattern::name("orders.*").is_err() && Pattern::name("orders.paid").is_ok());
    }

    /// The same rule, written as a recursion over the segments.
    fn stands_for(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            ([], []) => true,
            ([">"], [_, ..]) => true,
            (["*", pattern @ ..], [_, topic @ ..]) => stands_for(pattern, topic),
            ([one, pattern @ ..], [other, topic @ ..]) => one == other && stands_for(pattern, topic),
            _ => false,
        }
    }

    fn topic() -> impl Strategy<Value = String> {
        proptest::collection::vec("[ab]", 1..5).prop_map(|segments| segments.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        (proptest::collection::vec("[ab*]", 0..4), "[ab*>]").prop_map(|(mut segments, last)| {
            segments.push(last);
            segments.join(".")
        })
    }

    proptest! {
        #[test]
        fn the_matcher_is_the_rule(pattern in pattern(), topic in topic()) {
            let expected =
                stands_for(&pattern.split('.').collect::<Vec<_>>(), &topic.split('.').collect::<Vec<_>>());
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&topic), expected);
        }

        #[test]
        fn patterns_that_share_a_topic_overlap(one in pattern(), other in pattern(), topic in topic()) {
            let (one, other) = (Pattern::parse(&one).unwrap(), Pattern::parse(&other).unwrap());
            if one.matches(&topic) && other.matches(&topic) {
                prop_assert!(one.overlaps(&other) && other.overlaps(&one));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*", topic in ".*") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.matches(&topic);
                prop_assert!(pattern.overlaps(&pattern));
            }
        }
    }
}
