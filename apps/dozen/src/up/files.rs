//! The files that a configuration comes from: the one that people name, and those that it names.
//!
//! Each is remembered as it was just before it was read, so that no change is missed, however soon it comes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::{self, Loaded};

/// Files that are looked at; a configuration that is made of more is not taken over by itself when one of the others changes.
const FILES_MAX: usize = 4096;

/// What distinguishes two states of a file without reading it; nothing where there is none.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The files of a configuration, each as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, Stamp>);

impl Files {
    /// Reads the configuration at `path`; the files are told in any case.
    pub(crate) fn load(path: &Path) -> (Result<Loaded, config::Error>, Self) {
        let files = RefCell::new(BTreeMap::new());
        let loaded = config::load_with(path, &|path| {
            let mut files = files.borrow_mut();
            if files.len() < FILES_MAX && !files.contains_key(path) {
                files.insert(path.to_owned(), stamp(path));
            }
        });
        (loaded, Self(files.into_inner()))
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), stamp(path))).collect())
    }

    /// With those of a configuration that has mistakes: any of them may be corrected.
    pub(super) fn and(self, others: Self) -> Self {
        Self(self.again().0.into_iter().chain(others.0).take(FILES_MAX).collect())
    }

    /// Whether there is a file at `path`, if it is one of them.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.get(path).is_some_and(Option::is_some)
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
