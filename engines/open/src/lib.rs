//! Opens the store that an address names.
//!
//! | address | engine |
//! |---|---|
//! | `sqlite:shop.db`, `sqlite:/var/lib/shop.db`, `sqlite:shop.db?durability=normal` | one SQLite file |
//! | `postgres://user:password@host:5432/shop`, `postgresql://…`, `postgres://user@/shop?host=/run/postgresql` | a PostgreSQL database |
//! | `memory:` | nothing outlives the process; for tests |
//!
//! A PostgreSQL database takes these options, beside those of libpq that name a server (`host`, `connect_timeout`, …):
//!
//! | option | |
//! |---|---|
//! | `schema=dozen` | where the tables are; several stores in one database have a schema each |
//! | `listen=on` | hears of other processes' commits on a connection of its own; `off` behind a pooler in transaction mode, where this process looks for itself instead, often while there is traffic |
//! | `pool=8` | connections for queries and transactions, at most |
//! | `segment=1048576` | positions in a segment, which is dropped as a whole; of a store that is made |
//! | `sslmode=prefer` | `disable`, `require`, `verify-ca` or `verify-full`, as in libpq; with `sslrootcert`, `sslcert`, `sslkey` |
//!
//! This is the one list of engines. A program that uses [`open`] runs on another engine when the address changes, and
//! on no other line.

use std::path::Path;
use std::sync::Arc;

use dozen_core::SystemClock;
use dozen_memory::Memory;
use dozen_postgres::Postgres;
use dozen_sqlite::{Durability, Options, Sqlite};
use dozen_store::{Engine, Error, Observed, Store};

/// Opens the store at `address`.
pub async fn open(address: &str) -> Result<Store, Error> {
    Ok(open_observed(address).await?.0)
}

/// Opens the store at `address`, and gives what counts its calls beside it.
pub async fn open_observed(address: &str) -> Result<(Store, Arc<Observed>), Error> {
    let engine = if is_postgres(address) {
        Postgres::open(dozen_postgres::Options::parse(address)?).await?
    } else {
        let owned = address.to_owned();
        // Opening a file may wait for another process and for the disk.
        tokio::task::spawn_blocking(move || local(&owned))
            .await
            .map_err(|_| refuse(address, "the thread that opened it ended".into()))??
    };
    let observed = Arc::new(Observed::new(engine));
    Ok((Store::new(observed.clone(), Arc::new(SystemClock)), observed))
}

/// Whether `address` can be understood, as far as that can be said without opening anything: of a PostgreSQL database.
/// What it says shows no password.
pub fn check(address: &str) -> Result<(), Error> {
    if is_postgres(address) { dozen_postgres::Options::parse(address).map(drop) } else { Ok(()) }
}

fn is_postgres(address: &str) -> bool {
    address.starts_with("postgres://") || address.starts_with("postgresql://")
}

/// A seed that no other process has: from the operating system, by way of the standard library.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn local(address: &str) -> Result<Arc<dyn Engine>, Error> {
    if address == "memory:" {
        return Ok(Memory::new());
    }
    let Some(rest) = address.strip_prefix("sqlite:") else {
        let hint = "it begins neither with `sqlite:` (one file, for example `sqlite:shop.db`) nor with `postgres://` (a \
                    database, for example `postgres://me@localhost/shop`) nor with `memory:`";
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
            ("postgres://me:secret@host/db?pool=many", "`pool` is a number"),
            ("sqlite:a.db?sync=no", "durability=full"),
        ] {
            let error = open(address).await.map(drop).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
