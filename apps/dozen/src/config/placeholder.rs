//! `${env:X}`, `${env:X:-default}` and `${file:path}` in any value; `$${` stands for a plain `${`.
//!
//! What a placeholder stands for is a secret as far as this program can know. The value goes into the configuration;
//! messages and `check --expanded` show the placeholder.

use std::path::{Path, PathBuf};

use super::diagnostic::{Mistake, Span};

/// A secret in a file is at most this long.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where placeholders get their values: handed in, so that a test needs no environment.
pub struct Surroundings<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// What relative paths start from: the folder of the file.
    pub folder: &'a Path,
    /// Hears of each file that is read, or tried: what the configuration depends on.
    pub reads: &'a dyn Fn(&Path),
}

impl Surroundings<'_> {
    /// Where the file called `name` is. It is told that it is read.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        (self.reads)(&path);
        path
    }
}

/// `text` with its placeholders replaced; `None` where it has none.
pub(crate) fn resolve(text: &str, span: Span, around: &Surroundings<'_>) -> Result<Option<String>, Mistake> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut resolved = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            resolved.push_str(&rest[..at - 1]);
            resolved.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        resolved.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            return Err(Mistake {
                span,
                wrong: "this placeholder is not closed".into(),
                help: "end it with `}`, or write `$${` for a plain `${`".into(),
            });
        };
        resolved.push_str(&value_of(&rest[at + 2..at + length], span, around)?);
        rest = &rest[at + length + 1..];
    }
    resolved.push_str(rest);
    Ok(Some(resolved))
}

fn value_of(inside: &str, span: Span, around: &Surroundings<'_>) -> Result<String, Mistake> {
    let wrong = |wrong: String, help: String| Err(Mistake { span, wrong, help });
    match inside.split_once(':') {
        Some(("env", rest)) => {
            let (name, default) = match rest.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (rest, None),
            };
            match ((around.env)(name), default) {
                (Some(value), _) => Ok(value),
                (None, Some(default)) => Ok(default.to_owned()),
                (None, None) => wrong(
                    format!("the environment has no variable `{name}`"),
                    format!("set it, or give a default: `${{env:{name}:-…}}`"),
                ),
            }
        }
        Some(("file", path)) => match read(&around.file(path)) {
            Ok(value) => Ok(value),
            Err(why) => wrong(
                format!("cannot read the file `{path}`: {why}"),
                format!("relative paths start from {}", around.folder.display()),
            ),
        },
        _ => wrong(
            format!("`${{{inside}}}` is not a placeholder"),
            "there are `${env:NAME}`, `${env:NAME:-default}` and `${file:path}`; `$${` stands for a plain `${`".into(),
        ),
    }
}

/// The text of a small file, without the line end that editors add.
fn read(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !length.is_file() {
        return Err("it is not a file".into());
    }
    if length.len() > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} KiB", FILE_BYTES_MAX / 1024));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
