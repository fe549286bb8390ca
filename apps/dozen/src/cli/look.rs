//! What the nouns share: opening the store of a file, finding a name in it, and printing tables.
//!
//! These commands work on the store itself, beside a running `dozen up` or without one: a second process on the same
//! file is safe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use dozen_core::{Diagnose, Fault, Ids, Retry, SystemClock, Timestamp, nearest};
use dozen_pubsub::Topics;
use dozen_queue::{Overview, Queue};
use dozen_store::Store;
use dozen_strangler::Lines;

use crate::config::{self, App, Loaded};
use crate::{Error, up};

/// The file whose store is looked at.
#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = config::FILE, global = true)]
    file: PathBuf,
}

impl Where {
    pub(crate) fn load(&self) -> Result<App, Error> {
        Ok(self.read()?.app)
    }

    fn read(&self) -> Result<Loaded, Error> {
        Ok(config::load(&self.file)?)
    }

    /// Runs `work` on the file's store. A store that is not there yet is not made by looking at it.
    pub(crate) fn look<T>(&self, work: impl AsyncFnOnce(Look) -> Result<T, Error>) -> Result<T, Error> {
        let Loaded { app, places, .. } = self.read()?;
        if let Some(file) = app.store.file().filter(|file| !file.exists()) {
            let path = file.display().to_string();
            return Err(Error::pattern("look into the store")(Missing::Store { path }));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::system("start the runtime"))?;
        runtime.block_on(async {
            let store = dozen_open::open(&app.store_url()).await.map_err(Error::pattern("open the store"))?;
            work(Look { app, places, store, ids: Ids::new(Arc::new(SystemClock), dozen_open::seed()) }).await
        })
    }
}

/// A file and its store, open.
pub(crate) struct Look {
    pub(crate) app: App,
    places: BTreeMap<String, (u32, u32)>,
    pub(crate) store: Store,
    pub(crate) ids: Ids,
}

impl Look {
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// The lines of an entry of the file, such as `features.checkout`.
    pub(crate) fn lines(&self, what: &str) -> Option<Lines> {
        self.places.get(what).map(|(first, last)| Lines { first: *first, last: *last })
    }

    /// The queue `name` of the file, or one that only the store knows.
    pub(crate) async fn queue(&self, name: &str) -> Result<Queue, Error> {
        let failed = || Error::pattern(format!("open queue `{name}`"));
        let declared = self.app.queues.iter().find(|queue| queue.name == name);
        let queue = match declared {
            Some(queue) => Queue::open_with(&self.store, name, queue.options.clone(), self.ids.clone()).await,
            None => {
                let found = Overview::of(&self.store).await.map_err(Error::pattern("look at the queues"))?;
                let names = self.app.queues.iter().map(|queue| queue.name.as_str());
                let names: Vec<&str> = names.chain(found.iter().map(|queue| queue.name.as_str())).collect();
                known("queue", name, &names)?;
                Queue::open(&self.store, name, self.ids.clone()).await
            }
        };
        Ok(queue.map_err(failed())?.with_keys(self.app.keys.clone()))
    }

    /// The topics of the store and of the file.
    pub(crate) fn topics(&self) -> Topics {
        up::topics(&self.app, &self.store)
    }
}

/// Something was asked for that is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    #[error("there is no file {path} yet; `dozen up` makes it")]
    Store { path: String },
    #[error("there is no {noun} `{name}`{}", hint(near, known))]
    Name { noun: &'static str, name: String, near: Vec<String>, known: Vec<String> },
}

fn hint(near: &[String], known: &[String]) -> String {
    match (near, known) {
        ([near, ..], _) => format!("; did you mean `{near}`?"),
        ([], []) => "; the file declares none".into(),
        ([], known) => format!("; there are: {}", known.join(", ")),
    }
}

impl Diagnose for Missing {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Store { .. } => "no-store",
            Self::Name { .. } => "unknown-name",
        }
    }
}

/// Refuses a name that is not among `known`.
pub(crate) fn known(noun: &'static str, name: &str, known: &[&str]) -> Result<(), Error> {
    if known.contains(&name) {
        return Ok(());
    }
    // What the file and the store both have is there once.
    let known: BTreeSet<&str> = known.iter().copied().collect();
    Err(Error::pattern(format!("find the {noun}"))(Missing::Name {
        noun,
        name: name.to_owned(),
        near: nearest(name, known.iter().copied()),
        known: known.iter().take(16).map(|name| (*name).to_owned()).collect(),
    }))
}

/// Rows under a head, in columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// How long ago, in the largest whole unit.
pub(crate) fn ago(moment: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(moment).as_secs();
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=86_399 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Payload for one cell: printable, and not longer than a terminal is wide.
pub(crate) fn excerpt(data: &[u8]) -> String {
    const SHOWN: usize = 72;
    let text = crate::up::printable(&data[..data.len().min(4 * SHOWN)]);
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() || data.len() > 4 * SHOWN { format!("{shown}…") } else { shown }
}
