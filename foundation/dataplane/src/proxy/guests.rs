//! How many connections clients have, by address: so that one of them cannot take the places of all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections that are open, by the address that they come from. Bounded by their number.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<HashMap<IpAddr, Present>>);

#[derive(Debug, Default)]
struct Present {
    count: usize,
    /// Whether it was said that there are too many; said once until there are none.
    is_told: bool,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Guests {
    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Present>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection in, unless there are `max` from there.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr, max: usize) -> Option<Guest> {
        let address = customer(peer);
        let mut all = self.all();
        let present = all.entry(address).or_default();
        if present.count < max {
            present.count += 1;
            return Some(Guest { guests: self.clone(), address });
        }
        let is_told = std::mem::replace(&mut present.is_told, true);
        if present.count == 0 {
            all.remove(&address);
        }
        drop(all);
        if !is_told {
            tracing::warn!(%peer, max, "a client has as many connections as one may; more are closed at once");
        }
        None
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.guests.all();
        if let Some(present) = all.get_mut(&self.address) {
            present.count -= 1;
            if present.count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// The part of an address that stands for one customer: of version 6 the 64 bits that a network gives to one.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_leave_make_room_and_nobody_is_remembered_for_nothing() {
        let guests = Arc::new(Guests::default());
        let enter = |address: &str, max| guests.enter(address.parse().unwrap(), max);
        let (one, two) = (enter("10.0.0.1", 2), enter("::ffff:10.0.0.1", 2));
        assert!(one.is_some() && two.is_some() && enter("10.0.0.1", 2).is_none());
        let (other, next) = (enter("2001:db8::1", 1), enter("2001:db8::2", 1));
        assert!(other.is_some() && next.is_none() && enter("2001:db8:0:1::1", 1).is_some());
        drop(one);
        assert!(enter("10.0.0.1", 2).is_some() && enter("10.0.0.9", 0).is_none());
        drop((two, other));
        assert!(guests.all().is_empty());
    }
}
