//! What counts as equal: the rules of a comparison, compiled once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::path::{self, Tree};
use super::scalar;
use crate::options::CompareOptions;
use crate::{Error, Tolerance};

/// The rules of one feature.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) headers: Vec<http::HeaderName>,
    pub(crate) tree: Tree<Rule>,
    pub(crate) hosts: Vec<String>,
    pub(crate) differences_max: usize,
}

/// What holds at one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) ignored: bool,
    pub(crate) unordered: Option<Unordered>,
    pub(crate) tolerance: Option<Tolerance>,
    pub(crate) any_case: bool,
    pub(crate) trailing_slash: bool,
    pub(crate) redacted: bool,
}

/// An array whose order means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unordered {
    /// Elements are found by equality.
    Multiset,
    /// Elements are found by this member.
    By(String),
}

/// Parts of member names that are taken for personal data wherever they stand.
const PERSONAL: [&str; 16] = [
    "mail",
    "phone",
    "address",
    "birth",
    "password",
    "secret",
    "token",
    "iban",
    "card",
    "ssn",
    "firstname",
    "lastname",
    "surname",
    "first_name",
    "last_name",
    "authorization",
];

/// Whether a member is taken for personal data by its name.
pub(crate) fn is_personal(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "name" || PERSONAL.iter().any(|part| name.contains(part))
}

impl Rules {
    /// Compiles what was written; the error names the feature and the rule.
    pub(crate) fn compile(feature: &str, options: &CompareOptions) -> Result<Self, Error> {
        let wrong = |what: &str, problem: &str| Error::Rule {
            feature: feature.to_owned(),
            rule: what.to_owned(),
            problem: problem.to_owned(),
        };
        let mut tree: Tree<Rule> = Tree::new();
        let steps = |pattern: &str| path::parse(pattern.trim()).map_err(|problem| wrong(pattern, problem));
        for pattern in &options.ignore {
            tree.at(&steps(pattern)?).ignored = true;
        }
        for written in &options.unordered {
            let (pattern, order) = match written.split_once(" by ") {
                Some((pattern, member)) => (pattern, Unordered::By(member.trim().to_owned())),
                None => (written.as_str(), Unordered::Multiset),
            };
            tree.at(&steps(pattern)?).unordered = Some(order);
        }
        for (pattern, tolerance) in &options.tolerance {
            tree.at(&steps(pattern)?).tolerance = Some(*tolerance);
        }
        for pattern in &options.any_case {
            tree.at(&steps(pattern)?).any_case = true;
        }
        for pattern in &options.trailing_slash {
            tree.at(&steps(pattern)?).trailing_slash = true;
        }
        for pattern in &options.redact {
            tree.at(&steps(pattern)?).redacted = true;
        }
        let header = |name: &String| {
            name.parse::<http::HeaderName>().map_err(|_| wrong(name, "is no name of a header"))
        };
        let headers: BTreeSet<String> =
            options.headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self {
            headers: headers.iter().map(header).collect::<Result<_, _>>()?,
            tree,
            hosts: options.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            differences_max: options.differences_max.get(),
        })
    }

    /// A text with every host of the rules under one name. Only asked of texts that differ.
    pub(crate) fn without_hosts(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for host in &self.hosts {
            text = scalar::replace_host(&text, host, "{host}");
        }
        text
    }
}

impl Tolerance {
    /// Whether two texts or numbers are as good as equal.
    pub(crate) fn covers(self, old: &str, new: &str) -> bool {
        match self {
            Self::Within(seconds) => scalar::apart(old, new).is_some_and(|apart| apart <= seconds),
            Self::Absolute(by) => numbers(old, new).is_some_and(|(old, new)| near(old, new, by)),
            Self::Relative(share) => {
                numbers(old, new).is_some_and(|(old, new)| near(old, new, old.abs().max(new.abs()) * share))
            }
        }
    }
}

fn numbers(old: &str, new: &str) -> Option<(f64, f64)> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    Some((number(old)?, number(new)?))
}

/// `1.01` and `1.00` are 0.01 apart for people, and a little more for floats.
fn near(old: f64, new: f64, by: f64) -> bool {
    (old - new).abs() <= by * (1.0 + 1e-9) + f64::EPSILON * old.abs().max(new.abs())
}

impl std::str::FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let read = match text.strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| Self::Relative(percent / 100.0)),
            None => number(text)
                .map(Self::Absolute)
                .or_else(|| dozen_core::duration::parse(text).map(|within: Duration| Self::Within(within))),
        };
        read.ok_or_else(|| format!("`{text}` is no tolerance: write `0.01`, `1%` or, for times, `2s`"))
    }
}
