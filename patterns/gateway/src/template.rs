//! Path templates to match with: `/orders/{id}` and `/files/{*rest}`.

use std::ops::Range;

use dozen_dataplane::framing::{Slashes, canonical_path};

/// Names in one template.
pub(crate) const NAMES_MAX: usize = 16;

/// One segment between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Text(Box<str>),
    One(Box<str>),
    Rest(Box<str>),
}

/// A template, checked. Its texts are canonical, so that they compare with canonical paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
}

/// The parts of a path that the names of a template or a pattern stand for, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captures {
    ranges: [(u32, u32); NAMES_MAX],
    count: usize,
}

impl Captures {
    pub(crate) fn push(&mut self, start: usize, end: usize) {
        if let Some(range) = self.ranges.get_mut(self.count) {
            // A head, and so a path, is far smaller than 4 GiB.
            *range = (u32::try_from(start).unwrap_or(0), u32::try_from(end).unwrap_or(0));
            self.count += 1;
        }
    }

    pub(crate) fn pop(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    pub(crate) fn range(&self, at: usize) -> Range<usize> {
        let (start, end) = if at < self.count { self.ranges[at] } else { (0, 0) };
        start as usize..end as usize
    }
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else { return Err("does not begin with `/`".into()) };
        let mut segments = Vec::new();
        for part in path.split('/') {
            if matches!(segments.last(), Some(Segment::Rest(_))) {
                return Err("goes on after `{*…}`, which takes all the rest".into());
            }
            segments.push(segment(part)?);
        }
        let template = Self { segments };
        let names: Vec<&str> = template.names().collect();
        if names.len() > NAMES_MAX {
            return Err(format!("has more than {NAMES_MAX} names"));
        }
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(format!("uses the name `{}` twice", twice.1));
        }
        if template.segments.iter().rev().skip(1).any(|segment| *segment == Segment::Text("".into())) {
            return Err("has an empty segment; `//` is read as `/` before routing".into());
        }
        Ok(template)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::One(name) | Segment::Rest(name) => Some(&**name),
            Segment::Text(_) => None,
        })
    }

    /// Whether it takes all that follows.
    pub(crate) fn has_rest(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    /// Two templates of the same shape match the same paths, whatever their names are.
    pub(crate) fn shape(&self) -> String {
        let shape = |segment: &Segment| match segment {
            Segment::Text(text) => format!("/{text}"),
            Segment::One(_) => "/{}".into(),
            Segment::Rest(_) => "/{*}".into(),
        };
        self.segments.iter().map(shape).collect()
    }

    /// Why `path` does not match; `None` if it does. For people; the tree is what matches requests.
    pub(crate) fn mismatch(&self, path: &str) -> Option<String> {
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            let part = match (segment, parts.next()) {
                (Segment::Rest(_), Some(_)) => return None,
                (_, Some(part)) => part,
                (_, None) => return Some("the path is shorter than the route's".into()),
            };
            match segment {
                Segment::Text(text) if **text != *part => {
                    return Some(format!("its path has `{text}` where the request has `{part}`"));
                }
                Segment::One(name) if part.is_empty() => return Some(format!("`{{{name}}}` would be empty")),
                _ => {}
            }
        }
        parts.next().map(|_| "the path is longer than the route's".into())
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    // A prefix, as many write it.
    if part == "*" {
        return Ok(Segment::Rest("rest".into()));
    }
    let Some(inside) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
        if part.contains(['{', '}']) {
            return Err("has a `{` or `}` inside a segment; `{name}` takes a whole segment".into());
        }
        if part.contains(['?', '#']) {
            return Err("holds `?` or `#`; a path ends before them".into());
        }
        if part == "." || part == ".." {
            return Err("holds `.` or `..`, which are resolved before routing".into());
        }
        let mut canonical = String::new();
        let made = canonical_path(&format!("/{part}"), Slashes::Keep, &mut canonical);
        return match made {
            Ok(()) if part.is_empty() || canonical.len() > 1 => Ok(Segment::Text(canonical[1..].into())),
            Ok(()) => Err("holds `.` or `..`, which are resolved before routing".into()),
            Err(refusal) => Err(format!("is no path: {refusal}")),
        };
    };
    let (is_rest, name) = match inside.strip_prefix('*') {
        Some(name) => (true, name),
        None => (false, inside),
    };
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    match (is_name, is_rest) {
        (false, _) => Err("has a name with other characters than letters, digits, `_`, `-` and `.`".into()),
        (true, true) => Ok(Segment::Rest(name.into())),
        (true, false) => Ok(Segment::One(name.into())),
    }
}
