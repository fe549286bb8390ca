//! Texts with places in braces, taken apart: what stands in a brace is its user's to read. `{{` and `}}` stand for braces.

/// How what is filled in has to be spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Plain,
    Path,
    Query,
}

/// A piece of a text: as it stands, or a place to fill.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part<P> {
    Literal(Box<str>),
    Place(P, Spelling),
}

/// The pieces of a text. With `is_url` what comes before its `?` is spelled as a path, what comes behind as a query.
pub(crate) fn parts<P>(
    text: &str,
    is_url: bool,
    mut place: impl FnMut(&str, Spelling) -> Result<P, String>,
) -> Result<Box<[Part<P>]>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut spelling = if is_url { Spelling::Path } else { Spelling::Plain };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            literal.push(first);
            rest = after;
        } else if first == '{' {
            let (inside, after) = rest[1..].split_once('}').ok_or("has a `{` that is not closed")?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Place(place(inside, spelling)?, spelling));
            rest = after;
        } else if first == '}' {
            return Err("has a `}` without `{`; write `}}` for a brace".into());
        } else {
            if first == '?' && is_url {
                spelling = Spelling::Query;
            }
            literal.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts.into())
}
