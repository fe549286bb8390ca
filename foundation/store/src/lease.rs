//! One holder at a time.

use std::time::Duration;

use crate::{Error, Expect, Table};

/// A name that one process at a time may hold: the leader of a relay, the keeper of a schedule.
///
/// It is a table row with an expiry, taken and renewed by compare-and-set, and so works on every engine. The holder
/// must be prepared to lose it at any moment: whatever it writes should carry [`Held::fence`].
#[derive(Clone)]
pub struct Lease {
    table: Table,
    name: String,
}

/// The lease is ours, as of the moment of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Grows each time that the lease changes hands or is renewed.
    pub fence: u64,
}

impl Lease {
    pub(crate) fn new(table: Table, name: &str) -> Self {
        Self { table, name: name.to_owned() }
    }

    /// Takes it for `owner`, or renews it, for `length` from now. `None` while somebody else holds it.
    pub async fn acquire(&self, owner: &str, length: Duration) -> Result<Option<Held>, Error> {
        let expect = match self.table.get(&self.name).await? {
            None => Expect::Absent,
            Some(row) if row.value == owner.as_bytes() => Expect::Version(row.version),
            Some(_) => return Ok(None),
        };
        let expires = self.table.clock().now().after(length);
        let version = self.table.put(&self.name, owner.as_bytes().to_vec(), expect, Some(expires)).await?;
        Ok(version.map(|fence| Held { fence }))
    }

    /// Gives it back, if it is still ours.
    pub async fn release(&self, held: Held) -> Result<bool, Error> {
        self.table.remove(&self.name, Expect::Version(held.fence)).await
    }
}
