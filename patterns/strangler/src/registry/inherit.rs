//! What processes have left behind.
//!
//! ```text
//!  feature-use   checkout/gw-1/A   served by a process that is gone  ┐
//!                checkout/gw-1/B   served by another that is gone    ├─► folded into C, in one commit
//!                checkout/gw-1/C   mine                              ┘
//! ```
//!
//! Each process of a gateway counts in rows of its own, from nothing; readers add up, so that nothing has to be taken over.
//! Without more, each start would leave a row for ever. So a process that begins with a feature folds those of its gateway
//! that have been silent for long, and all beyond the latest few. One that is not gone after all but only had nothing to say
//! would count again what it has counted before; that is why the wait is long.

use std::time::Duration;

use dozen_core::Timestamp;
use dozen_store::{Expect, Op, Put, Remove, TableRow};

use super::publish::{Looked, use_kept};
use super::{KEEP, Registry};
use crate::Error;
use crate::feature::Feature;
use crate::gate::Counts;
use crate::rows::{self, COUNTS, Published, UNMAPPED, USES};
use crate::sketch::Heavy;
use crate::usage::Used;

/// How long a process that is not gone may have nothing to say.
const SILENT: Duration = Duration::from_secs(3_600);
/// Processes of one gateway, the latest, that keep rows of their own.
const PROCESSES_MAX: usize = 8;

impl Registry {
    /// Goes on with what processes of this gateway have left behind, of features that this one has just begun with.
    pub(super) async fn inherit(&self, looked: &mut Looked) -> Result<(), Error> {
        if !looked.has_paths {
            self.inherit_paths().await?;
            looked.has_paths = true;
        }
        let is_known =
            |feature: &Feature| looked.known.get(feature.name()).is_some_and(|known| known.is_same(feature));
        let fresh: Vec<_> = self.features().into_iter().filter(|feature| !is_known(feature)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let (counts, uses) = (rows::all(&self.store, COUNTS).await?, rows::all(&self.store, USES).await?);
        for feature in fresh {
            let name = feature.name();
            let gateway = format!("{name}/{}", self.options.gateway);
            let (now, epoch) = (self.store.clock().now(), feature.state().epoch);
            let (mut counted, mut served, mut ops) = (Counts::default(), Used::default(), Vec::new());
            for row in self.left(&counts, &gateway, now.after(KEEP)) {
                let Some(left) = self.readable::<Published>(COUNTS, row) else { continue };
                if left.epoch == epoch {
                    counted.add(&left.closed);
                    counted.add(&left.current);
                }
                ops.extend(self.taken(COUNTS, row, now));
            }
            let kept = use_kept(&feature);
            for row in self.left(&uses, &gateway, now.after(kept)) {
                let Some(left) = self.readable::<Used>(USES, row) else { continue };
                served.add(&left);
                ops.extend(self.taken(USES, row, now));
            }
            if !ops.is_empty() {
                let (window, current) = (0, Counts::default());
                let published = Published { epoch, window, closed: counted.clone(), current };
                ops.push(rows::put(COUNTS, self.row_of(&gateway), &published, now, now.after(KEEP)));
                ops.push(rows::put(USES, self.row_of(&gateway), &served, now, now.after(kept)));
            }
            // Where another was faster, or its owner lives, the rows stay as they are, and are added up by whoever reads.
            if ops.is_empty() || self.folds(ops).await? {
                feature.resume(epoch, &counted);
                looked.before.insert(name.to_owned(), served);
            } else {
                looked.before.remove(name);
            }
            looked.published.remove(name);
            looked.used.remove(name);
            looked.known.insert(name.to_owned(), feature);
        }
        Ok(())
    }

    async fn inherit_paths(&self) -> Result<(), Error> {
        let (all, now) = (rows::all(&self.store, UNMAPPED).await?, self.store.clock().now());
        let (mut paths, mut ops): (Vec<Heavy>, _) = (Vec::new(), Vec::new());
        for row in self.left(&all, &self.options.gateway, now.after(KEEP)) {
            paths.extend(self.readable::<Vec<Heavy>>(UNMAPPED, row).into_iter().flatten());
            ops.extend(self.taken(UNMAPPED, row, now));
        }
        if !ops.is_empty() {
            ops.push(rows::put(UNMAPPED, self.row_of(&self.options.gateway), &paths, now, now.after(KEEP)));
            if !self.folds(ops).await? {
                return Ok(());
            }
        }
        self.unmapped.resume(&paths);
        Ok(())
    }

    /// The rows to go on with, of those that begin with `gateway`: this process's own, if it has had this feature before, and
    /// those of others that are taken to be gone. One that is written now would expire at `fresh`.
    fn left<'r>(&self, all: &'r [TableRow], gateway: &str, fresh: Timestamp) -> Vec<&'r TableRow> {
        let own = self.row_of(gateway);
        let of = |row: &&TableRow| {
            row.key.strip_prefix(gateway).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let written = |row: &TableRow| row.expires.unwrap_or(Timestamp(0));
        let mut others: Vec<&TableRow> = all.iter().filter(of).filter(|row| row.key != own).collect();
        others.sort_by_key(|row| std::cmp::Reverse(written(row)));
        let gone = others.into_iter().enumerate().filter(|(at, row)| {
            let is_one_too_many = *at >= PROCESSES_MAX;
            is_one_too_many || fresh.since(written(row)) >= SILENT
        });
        gone.map(|(_, row)| row).chain(all.iter().filter(|row| row.key == own)).collect()
    }

    /// Takes the row of another away, if it still is as it was read.
    fn taken(&self, table: &str, row: &TableRow, now: Timestamp) -> Vec<Op> {
        let (space, key) = (table.into(), row.key.clone());
        let expect = Expect::Version(row.version);
        let as_read = Put { space, key, value: Vec::new(), expect, expires: Some(now), now };
        let remove = Remove { space: table.into(), key: row.key.clone(), expect: Expect::Any };
        vec![Op::Require(as_read), Op::Remove(remove)]
    }

    async fn folds(&self, ops: Vec<Op>) -> Result<bool, Error> {
        match self.store.commit(ops).await {
            Ok(_) => Ok(true),
            Err(dozen_store::Error::Unexpected { .. }) => Ok(false),
            Err(error) => Err(Error::store("take over what was counted before")(error)),
        }
    }
}
