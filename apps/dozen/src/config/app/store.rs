//! What must not be shown: addresses with a password, tokens.

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::item::Item;

/// Where state lives. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreAddress {
    url: String,
    shown: String,
    file: Option<PathBuf>,
}

impl StoreAddress {
    /// The address that stands in the file, with a relative path starting from `folder`.
    pub(crate) fn of(item: &Item, folder: &Path) -> Option<Self> {
        let text = item.as_text()?;
        Some(match sqlite_file(text, folder) {
            Some(file) => {
                let shown = file.display().to_string();
                Self { url: format!("sqlite:{shown}"), shown, file: Some(file) }
            }
            None => Self { url: text.to_owned(), shown: item.shown(), file: None },
        })
    }

    /// In full, for those who open it: it may hold a password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The SQLite file, if it is one. Absolute.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The file of a SQLite store, with a relative path starting from `folder`; `None` for another store.
pub(crate) fn sqlite_file(address: &str, folder: &Path) -> Option<PathBuf> {
    Some(folder.join(address.strip_prefix("sqlite:")?.trim_start_matches("//")))
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for the one who has to be shown it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
