//! Opens the store that an address names.
//!
//! | address | engine |
//! |---|---|
//! | `sqlite:shop.db`, `sqlite:/var/lib/shop.db`, `sqlite:shop.db?durability=normal` | one SQLite file |
//! | `memory:` | nothing outlives the process; for tests |
//!
//! This is the one list of engines. A program that uses [`open`] runs on another engine when the address changes, and
//! on no other line.

use std::path::Path;
use std::sync::Arc;

use dozen_core::SystemClock;
use dozen_memory::Memory;
use dozen_sqlite::{Durability, Options, Sqlite};
use dozen_store::{Engine, Error, Observed, Store};

/// Opens the store at `address`.
pub async fn open(address: &str) -> Result<Store, Error> {
    let owned = address.to_owned();
    // Opening a file may wait for another process and for the disk.
    let engine = tokio::task::spawn_blocking(move || engine(&owned))
        .await
        .map_err(|_| refuse(address, "the thread that opened it ended".into()))??;
    Ok(Store::new(Arc::new(Observed::new(engine)), Arc::new(SystemClock)))
}

/// A seed that no other process has: from the operating system, by way of the standard library.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn engine(address: &str) -> Result<Arc<dyn Engine>, Error> {
    if address == "memory:" {
        return Ok(Memory::new());
    }
    let Some(rest) = address.strip_prefix("sqlite:") else {
        let hint =
            "it begins neither with `sqlite:` (one file, for example `sqlite:shop.db`) nor with `memory:`";
        return Err(refuse(address, hint.into()));
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" {
        return Err(refuse(
            address,
            "it names no file; use `sqlite:shop.db`, or `memory:` to keep nothing".into(),
        ));
    }
    let mut options = Options::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair {
            "durability=full" => options.durability = Durability::Full,
            "durability=normal" => options.durability = Durability::Normal,
            other => {
                return Err(refuse(
                    address,
                    format!(
                        "`{other}` is no option of it; there are `durability=full` and `durability=normal`"
                    ),
                ));
            }
        }
    }
    Ok(Sqlite::open(Path::new(path), options)?)
}

fn refuse(address: &str, problem: String) -> Error {
    // Whatever stands between `//` and `@` may be a password.
    let url = match (address.find("//"), address.rfind('@')) {
        (Some(start), Some(end)) if start + 2 < end => {
            format!("{}…{}", &address[..start + 2], &address[end..])
        }
        _ => address.to_owned(),
    };
    Error::Address { url, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_opens_its_engine_and_others_say_what_would_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}?durability=normal", folder.path().join("a.db").display());
        assert_eq!(open(&file).await.unwrap().capabilities().engine, "sqlite");
        assert_eq!(open("memory:").await.unwrap().capabilities().engine, "memory");
        for (address, says) in [
            ("mysql://me:secret@host/db", "sqlite:"),
            ("sqlite:", "names no file"),
            ("sqlite:a.db?sync=no", "durability=full"),
        ] {
            let error = open(address).await.map(drop).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
