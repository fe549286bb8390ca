//! `dozen.yaml`: read, checked whole, and turned into a plain [`App`].
//!
//! ```text
//!  text ──yaml──► tree with positions ──check──► checked tree ──cross──► no mistakes ──app──► App
//!                        ▲                          │  │
//!            keys: one description                  │  └─► check --expanded
//!            of every key ──► check --schema, docs/configuration.md
//! ```
//!
//! All mistakes are found in one run and said together; nothing starts while there is one. A file is bounded in bytes,
//! depth and size, so that reading an arbitrary file is safe.

mod app;
mod belong;
mod bundle;
mod check;
mod cross;
mod data;
mod diagnostic;
mod document;
mod expand;
mod item;
mod json_schema;
mod keys;
mod placeholder;
mod read;
mod scalar;
mod schema;
mod sections;
mod template;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use app::{
    Api, App, End, Gateway, Limits, Origin, Queue, Reach, Receiver, Relay, Run, Secret, Service,
    StoreAddress, Subscription, Target, Topic, Traces, Translators, Url, Wire,
};
pub use diagnostic::Mistakes;
pub use document::markdown;
pub use json_schema::schema;
pub use placeholder::Surroundings;
pub use sections::Sections;

use diagnostic::{Mistake, Span};
use schema::Kind;

/// What the file is called unless somebody says otherwise.
pub const FILE: &str = "dozen.yaml";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file.
    #[error(
        "there is no file `{}`\n\nThe smallest that does something:\n\n{EXAMPLE}\n\
         Save it as dozen.yaml, or name another file: `dozen up FILE`", path.display()
    )]
    Absent {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The path that was tried.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is wrong.
    #[error(transparent)]
    Wrong(#[from] Mistakes),
}

/// Five lines that run.
const EXAMPLE: &str = "  app: shop
  services:
    web: { run: [python3, -m, http.server, \"7001\"], port: 7001 }
  gateway:
    routes: { \"/{*rest}\": web }
";

/// A configuration and its full text.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub app: App,
    /// The file with short forms written out, defaults filled in and secrets masked.
    pub expanded: String,
    /// What of each section only another process can be, to be held against that of another file.
    pub sections: Sections,
    /// The first and last line of each entry of a section that is a mapping: `features.checkout`.
    pub places: BTreeMap<String, (u32, u32)>,
}

/// Reads the file at `path`, with placeholders filled from this process's environment.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    load_with(path, &|_| ())
}

/// The same; `reads` hears of each file that is read or tried, the one at `path` first.
pub fn load_with(path: &Path, reads: &dyn Fn(&Path)) -> Result<Loaded, Error> {
    reads(path);
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let bytes = match read_bounded(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Absent { path: path.to_owned() });
        }
        other => other.map_err(unreadable)?,
    };
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let env = |name: &str| std::env::var(name).ok();
    let loaded = parse(&path.display().to_string(), &bytes, &Surroundings { env: &env, folder, reads })?;
    loaded.app.translators.files.values().flatten().for_each(|file| reads(file));
    Ok(loaded)
}

/// One byte more than allowed is enough to know that it is too long.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(yaml::BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file's `bytes`; `file` is what messages call it.
pub fn parse(file: &str, bytes: &[u8], around: &Surroundings<'_>) -> Result<Loaded, Mistakes> {
    let start = Span { line: 1, column: 1, length: 1 };
    let alone = |text: &str, wrong: String, help: &str| {
        Mistakes::new(file, text, vec![Mistake { span: start, wrong, help: help.into() }])
    };
    if bytes.len() > yaml::BYTES_MAX {
        let wrong = format!("the file is longer than {} KiB", yaml::BYTES_MAX / 1024);
        return Err(alone("", wrong, "is it the right one?"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let lines = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            return Err(alone("", format!("line {lines} is not UTF-8"), "save the file as UTF-8"));
        }
    };
    let mut mistakes = Vec::new();
    let node = match yaml::parse(text, &mut mistakes) {
        Ok(node) => node,
        Err(mistake) => {
            mistakes.push(mistake);
            return Err(Mistakes::new(file, text, mistakes));
        }
    };
    let mut checker = check::Checker::new(around, &mut mistakes);
    let mut tree = checker.check(&Kind::Section(&keys::FILE), node, start);
    if let Some(tree) = &mut tree {
        belong::expand(&mut checker, tree);
        cross::check(&mut checker, tree);
    }
    let secrets = checker.secrets;
    let app = tree.as_ref().filter(|_| mistakes.is_empty()).and_then(|tree| app::build(tree, around.folder));
    match (app, tree) {
        (Some(app), Some(tree)) => {
            let (expanded, sections) = (expand::expanded(&tree), Sections::of(&tree));
            Ok(Loaded { app, expanded, sections, places: sections::places(&tree, text) })
        }
        _ if mistakes.is_empty() => {
            Err(alone(text, "this file cannot be understood".into(), "please report it"))
        }
        _ => Err(Mistakes::new(file, text, mistakes).hiding(secrets)),
    }
}
