//! Requests that are held against an OpenAPI document (3.0 or 3.1).
//!
//! The document is compiled once: its paths to expressions, the concrete ones first, its schemas to validators that hold
//! only what they refer to. A request finds its operation by path and method; then its parameters are read in the style
//! that the document says, and held against their schemas, and then its body. Nothing is fetched, neither now nor then.

mod body;
mod operation;
mod parameter;
mod schema;

use dozen_dataplane::framing::{Slashes, canonical_path};
use http::{HeaderValue, StatusCode, header};
use regex::Regex;
use serde_json::{Map, Value as Json};

use super::Wrong;
use super::problem::Refused;
use crate::options::OpenapiOptions;
pub(super) use operation::Found;
use operation::Operation;
use schema::Document;

/// Operations of one document.
const OPERATIONS_MAX: usize = 2000;
/// Methods that an operation can have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Where mistakes of the document are told.
const AT: &str = "openapi.document";

/// An API, compiled.
#[derive(Debug)]
pub(super) struct Api {
    base: String,
    paths: Vec<Path>,
}

#[derive(Debug)]
struct Path {
    pattern: Regex,
    names: Vec<String>,
    /// Texts of a template come before its names, and long ones before short ones.
    rank: (usize, usize),
    operations: Vec<(String, Operation)>,
}

impl Api {
    pub(super) fn compile(written: &OpenapiOptions) -> Result<Self, Wrong> {
        let wrong = |problem: String| (AT.to_owned(), problem);
        let document = Document::new(&written.document).map_err(wrong)?;
        let base = match &written.base {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => server(&written.document).map_err(wrong)?,
        };
        if !base.is_empty() && !base.starts_with('/') {
            return Err((base, "does not begin with `/`".into()));
        }
        let empty = Map::new();
        let written = written.document.get("paths").and_then(Json::as_object).unwrap_or(&empty);
        let (mut paths, mut count) = (Vec::new(), 0);
        for (template, item) in written.iter().filter(|(template, _)| !template.starts_with("x-")) {
            let at = |problem: String| wrong(format!("is wrong at `paths.{template}`: {problem}"));
            let item = document.resolved(item).map_err(at)?;
            let mut path = Path::parse(template).map_err(at)?;
            let shared = item.get("parameters");
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let at =
                    |problem: String| wrong(format!("is wrong at `paths.{template}.{method}`: {problem}"));
                count += 1;
                if count > OPERATIONS_MAX {
                    return Err(wrong(format!("has more than {OPERATIONS_MAX} operations")));
                }
                let operation = Operation::compile(&document, operation, shared, &path.names).map_err(at)?;
                path.operations.push((method.to_ascii_uppercase(), operation));
            }
            paths.push(path);
        }
        if count == 0 {
            return Err(wrong("describes no operation".into()));
        }
        paths.sort_by_key(|path| path.rank);
        Ok(Self { base, paths })
    }

    /// The operation of a request. `path` is canonical.
    pub(super) fn find(&self, method: &str, path: &str) -> Result<Found<'_>, Refused> {
        let unknown = || Refused::new(StatusCode::NOT_FOUND, "there is nothing at this path");
        let path = path.strip_prefix(&self.base).ok_or_else(unknown)?;
        let path = if path.is_empty() { "/" } else { path };
        let found = self
            .paths
            .iter()
            .find_map(|known| known.pattern.captures(path).map(|captures| (known, captures)));
        let (known, captures) = found.ok_or_else(unknown)?;
        let of = |method: &str| known.operations.iter().find(|(one, _)| one == method);
        let operation = of(method).or_else(|| if method == "HEAD" { of("GET") } else { None });
        let Some((_, operation)) = operation else {
            let mut refused =
                Refused::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method");
            let allowed: Vec<&str> = known.operations.iter().map(|(method, _)| method.as_str()).collect();
            let allowed = HeaderValue::from_str(&allowed.join(", "));
            refused.fields.extend(allowed.ok().map(|allowed| (header::ALLOW, allowed)));
            return Err(refused);
        };
        let names = known.names.iter().enumerate();
        let pieces = names.map(|(at, name)| {
            let piece = captures.get(at + 1).map_or("", |piece| piece.as_str());
            (name.as_str(), super::translate::plain(piece))
        });
        Ok(Found { operation, pieces: pieces.collect() })
    }
}

impl Path {
    fn parse(template: &str) -> Result<Self, String> {
        if !template.starts_with('/') {
            return Err("a path begins with `/`".into());
        }
        let (mut pattern, mut names, mut literal) = ("^".to_owned(), Vec::new(), 0);
        let mut rest = template;
        while !rest.is_empty() {
            let open = rest.find('{').unwrap_or(rest.len());
            let (text, behind) = rest.split_at(open);
            let mut canonical = String::new();
            // The document may spell a path in another way than requests are spelled.
            let spelled =
                match text.starts_with('/') && canonical_path(text, Slashes::Keep, &mut canonical).is_ok() {
                    true => &canonical,
                    false => text,
                };
            pattern.push_str(&regex::escape(spelled));
            literal += text.len();
            rest = behind;
            if let Some(inner) = rest.strip_prefix('{') {
                let (name, behind) = inner.split_once('}').ok_or("`{` without `}`")?;
                names.push(name.to_owned());
                pattern.push_str("([^/]+?)");
                rest = behind;
            }
        }
        pattern.push('$');
        let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
        Ok(Self { pattern, rank: (names.len(), usize::MAX - literal), names, operations: Vec::new() })
    }
}

/// What the paths of the first server begin with.
fn server(document: &Json) -> Result<String, String> {
    let Some(url) = document.pointer("/servers/0/url").and_then(Json::as_str) else {
        return Ok(String::new());
    };
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    if path.contains('{') {
        return Err(format!("has a server `{url}` with names in its path; say `base`"));
    }
    Ok(path.trim_end_matches('/').to_owned())
}
