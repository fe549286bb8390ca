//! How a route names the paths that it takes: by a template or by a regular expression.

use crate::pattern::Pattern;
use crate::template::{Segment, Template};

/// The paths of a route.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PathMatch {
    Template(Template),
    Pattern(Box<Pattern>),
}

/// One step down the tree of paths.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'p> {
    Text(&'p str),
    Pattern(&'p Pattern),
    One(&'p str),
    Rest,
}

impl PathMatch {
    /// One of the two must be there; an error is the text and what is wrong with it.
    pub(crate) fn parse(path: &str, regex: Option<&str>) -> Result<Self, (String, String)> {
        let wrong = |text: &str| {
            let text = text.to_owned();
            |problem| (text, problem)
        };
        match regex {
            None => Template::parse(path).map(Self::Template).map_err(wrong(path)),
            Some(regex) if path.is_empty() => {
                Pattern::parse(regex).map(Box::new).map(Self::Pattern).map_err(wrong(regex))
            }
            Some(regex) => {
                Err((regex.to_owned(), "stands beside a `path`; a route matches by one of the two".into()))
            }
        }
    }

    /// The template as it is written; none for an expression, of which nobody could say what it takes.
    pub(crate) fn template(&self) -> Option<String> {
        let Self::Template(template) = self else { return None };
        let one = |segment: &Segment| match segment {
            Segment::Text(text) => format!("/{text}"),
            Segment::One(name) => format!("/{{{name}}}"),
            Segment::Rest(name) => format!("/{{*{name}}}"),
        };
        Some(template.segments.iter().map(one).collect())
    }

    /// What its names are, in the order of its captures.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Template(template) => template.names().collect(),
            Self::Pattern(pattern) => pattern.names().collect(),
        }
    }

    /// The way down the tree. An expression stands where the segments end that all its paths begin with.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let (segments, pattern): (&[Segment], _) = match self {
            Self::Template(template) => (&template.segments, None),
            Self::Pattern(pattern) => (&[], Some(&**pattern)),
        };
        let texts = pattern.and_then(|pattern| {
            let prefix = pattern.prefix().strip_prefix('/')?;
            prefix.rfind('/').map(|end| prefix[..end].split('/'))
        });
        let texts = texts.into_iter().flatten().map(Step::Text);
        let segments = segments.iter().map(|segment| match segment {
            Segment::Text(text) => Step::Text(text),
            Segment::One(name) => Step::One(name),
            Segment::Rest(_) => Step::Rest,
        });
        texts.chain(pattern.map(Step::Pattern)).chain(segments)
    }

    /// Two of the same shape match the same paths.
    pub(crate) fn shape(&self) -> String {
        match self {
            Self::Template(template) => template.shape(),
            Self::Pattern(pattern) => format!("~{}", pattern.text()),
        }
    }

    /// Why `path` does not match; `None` if it does. For people; the tree is what matches requests.
    pub(crate) fn mismatch(&self, path: &str) -> Option<String> {
        match self {
            Self::Template(template) => template.mismatch(path),
            Self::Pattern(pattern) if pattern.is_match(path.as_bytes()) => None,
            Self::Pattern(pattern) => {
                Some(format!("its expression `{}` does not match the path", pattern.text()))
            }
        }
    }
}
