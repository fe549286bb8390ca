//! Path templates: `/orders/{id}`, `/files/{*rest}`; and targets: `orders`, `orders:/orders/{id}`.

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment<'a> {
    Text(&'a str),
    One(&'a str),
    Rest(&'a str),
}

/// A path template, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template<'a>(Vec<Segment<'a>>);

impl<'a> Template<'a> {
    /// Reads a template. The errors never repeat the text, for it may be a secret.
    pub(crate) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let Some(path) = text.strip_prefix('/') else { return Err("does not begin with `/`") };
        if text.len() > 1024 {
            return Err("is longer than 1024 characters");
        }
        if text.contains(['?', '#']) {
            return Err("holds `?` or `#`; a path ends before them");
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("holds a space; write it as `%20`");
        }
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for part in path.split('/') {
            if segments.last().is_some_and(|last| matches!(last, Segment::Rest(_))) {
                return Err("goes on after `{*…}`, which takes all the rest");
            }
            let segment = segment(part)?;
            if let Segment::One(name) | Segment::Rest(name) = segment {
                if names.contains(&name) {
                    return Err("uses one name twice");
                }
                names.push(name);
            }
            segments.push(segment);
        }
        Ok(Self(segments))
    }

    /// The names in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::One(name) | Segment::Rest(name) => Some(*name),
            Segment::Text(_) => None,
        })
    }

    /// Two templates of the same shape match the same paths, whatever their names are.
    pub(crate) fn shape(&self) -> String {
        let shape = |segment: &Segment<'_>| match segment {
            Segment::Text(text) => format!("/{text}"),
            Segment::One(_) => "/{}".into(),
            Segment::Rest(_) => "/{*}".into(),
        };
        self.0.iter().map(shape).collect()
    }
}

fn segment(part: &str) -> Result<Segment<'_>, &'static str> {
    if part == "." || part == ".." {
        return Err("holds `.` or `..`, which are resolved before routing");
    }
    if part == "*" {
        return Ok(Segment::Rest("rest"));
    }
    let Some(inside) = part.strip_prefix('{') else {
        return if part.contains(['{', '}']) {
            Err("has a `{` or `}` inside a segment; `{name}` takes a whole segment")
        } else {
            Ok(Segment::Text(part))
        };
    };
    let Some(name) = inside.strip_suffix('}') else {
        return Err("has a `{` that is not closed before the next `/`");
    };
    let (rest, name) = match name.strip_prefix('*') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (name, rest) {
        ("", _) => Err("has an empty name; write `{id}`"),
        (name, _) if !name.chars().all(word) => {
            Err("has a name with other characters than letters, digits, `_` and `-`")
        }
        (name, true) => Ok(Segment::Rest(name)),
        (name, false) => Ok(Segment::One(name)),
    }
}

/// `service` or `service:/path`, split.
pub(crate) fn target(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    let (service, path) = match text.split_once(':') {
        Some((service, path)) => (service, Some(path)),
        None => (text, None),
    };
    if !is_name(service) {
        return Err("does not begin with the name of a service");
    }
    if let Some(path) = path {
        Template::parse(path)?;
    }
    Ok((service, path))
}

/// The same, but what the path is filled with is not looked at.
pub(crate) fn destination(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    let (service, path) = match text.split_once(':') {
        Some((service, path)) => (service, Some(path)),
        None => (text, None),
    };
    match path {
        _ if !is_name(service) => Err("does not begin with the name of a service"),
        Some(path) if !path.starts_with('/') => Err("has a path that does not begin with `/`"),
        path => Ok((service, path)),
    }
}

/// Names of services, queues, topics and the like: they become parts of URLs, file names and metrics.
pub(crate) fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(word)
}
