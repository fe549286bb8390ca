//! Which instance gets a call: the one with the fewest calls under way, by weight.
//!
//! Counted here, per service and address, for as long as the answer's body lasts. A tie goes to a random one of the
//! least loaded, so that many sidecars do not all begin with the first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dozen_core::EndpointSet;

/// Calls under way, by service and address.
#[derive(Debug, Default)]
pub(crate) struct Load {
    calls: Mutex<HashMap<(String, String), Arc<AtomicUsize>>>,
}

/// One call under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    calls: Arc<AtomicUsize>,
    /// The chosen instance, `host:port`.
    pub(crate) address: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Load {
    /// Chooses a healthy instance that is not among those `tried`, and counts the call. `None` when there is none.
    pub(crate) fn choose(&self, set: &EndpointSet, tried: &[String], random: u64) -> Option<Ticket> {
        let mut calls = self.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let busy = |calls: &HashMap<(String, String), Arc<AtomicUsize>>, address: &str| {
            let key = (set.service.clone(), address.to_owned());
            calls.get(&key).map_or(0, |count| count.load(Ordering::Acquire)) as u64
        };
        let mut best: Option<(u64, u64, &str)> = None; // calls and weight of the best so far
        let mut ties = 0;
        for endpoint in set.healthy().filter(|endpoint| !tried.contains(&endpoint.address)) {
            let (load, weight) = (busy(&calls, &endpoint.address) + 1, u64::from(endpoint.weight));
            // load/weight < best load/best weight, without a division
            let order = best.map(|(least, of, _)| (load * of).cmp(&(least * weight)));
            match order {
                None | Some(std::cmp::Ordering::Less) => {
                    best = Some((load, weight, &endpoint.address));
                    ties = 1;
                }
                Some(std::cmp::Ordering::Equal) => {
                    ties += 1;
                    if random.rotate_left(ties) % u64::from(ties) == 0 {
                        best = Some((load, weight, &endpoint.address));
                    }
                }
                Some(std::cmp::Ordering::Greater) => {}
            }
        }
        let address = best?.2.to_owned();
        if calls.len() >= IDLE_MAX {
            calls.retain(|_, count| count.load(Ordering::Acquire) > 0);
        }
        let count = calls.entry((set.service.clone(), address.clone())).or_default().clone();
        count.fetch_add(1, Ordering::AcqRel);
        Some(Ticket { calls: count, address })
    }
}

/// Counters of addresses without a call are forgotten beyond this many.
const IDLE_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use dozen_core::Endpoint;

    fn set(weights: &[u32]) -> EndpointSet {
        let endpoints = weights
            .iter()
            .enumerate()
            .map(|(at, weight)| Endpoint { weight: *weight, ..Endpoint::at(format!("10.0.0.{at}:80")) });
        EndpointSet { service: "s".into(), version: 1, endpoints: endpoints.collect() }
    }

    #[test]
    fn calls_go_where_the_fewest_are_by_weight() {
        let (load, set) = (Load::default(), set(&[1, 3, 0]));
        let held: Vec<Ticket> = (0..8).map(|random| load.choose(&set, &[], random).unwrap()).collect();
        let count = |address: &str| held.iter().filter(|ticket| ticket.address == address).count();
        assert_eq!((count("10.0.0.0:80"), count("10.0.0.1:80"), count("10.0.0.2:80")), (2, 6, 0));
        drop(held);
        assert_eq!(load.choose(&set, &["10.0.0.1:80".into()], 0).unwrap().address, "10.0.0.0:80");
        assert!(load.choose(&set, &["10.0.0.0:80".into(), "10.0.0.1:80".into()], 0).is_none());
    }

    #[test]
    fn ties_are_spread() {
        let (load, set) = (Load::default(), set(&[1, 1, 1]));
        let ids = dozen_core::Ids::new(Arc::new(dozen_core::SystemClock), 7);
        let mut seen = HashMap::new();
        for _ in 0..300 {
            *seen.entry(load.choose(&set, &[], ids.random()).unwrap().address.clone()).or_insert(0) += 1;
        }
        assert!(seen.len() == 3 && seen.values().all(|count| *count > 50), "{seen:?}");
    }
}
