//! Services that run elsewhere, as they come, move and go with the file.
//!
//! ```text
//!  the file before ─┐
//!                   ├─ Moves ─┬─ declared: where they are now      with the swap
//!  the file now ────┘         ├─ parted: others take their place   with the swap
//!                             └─ withdrawn: nobody is there        when nobody decides by the file before any more
//! ```
//!
//! A service that only moves stays the same service: what is known of the instances that stay, its circuit and its counters go on,
//! and a request that is sent again goes to the new place. One that is called over another transport from another place, or that
//! is gone, is *parted* with: a request that has begun ends with the places, the policy and the transport that were there.

use dozen_core::Endpoint;
use dozen_discovery::Names;

use crate::Error;
use crate::config::{App, Origin, Service};

/// What becomes of the services between two files.
#[derive(Default)]
pub(super) struct Moves {
    declared: Vec<(String, Vec<Endpoint>)>,
    /// Those whose name is a translator's now, which says itself where it is.
    left: Vec<String>,
    withdrawn: Vec<String>,
    /// Those whose place others take, or nobody.
    pub(super) parted: Vec<String>,
    /// The names of those that are there, are elsewhere, and are gone.
    pub(super) told: Told,
}

/// Names of services, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Told {
    /// They were not in the file before.
    pub(crate) added: Vec<String>,
    /// They are at other addresses.
    pub(crate) moved: Vec<String>,
    /// They are not in the file any more.
    pub(crate) removed: Vec<String>,
}

impl Told {
    /// Whether every service stays where it is.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which services that run elsewhere come, move and go between two files.
pub(crate) fn moved(old: &App, new: &App) -> Told {
    Moves::between(old, new).told
}

impl Moves {
    /// What becomes of the services of `old` with `new`. Those that are started here stay as they are.
    pub(super) fn between(old: &App, new: &App) -> Self {
        let mut moves = Self::default();
        let is_translator = |app: &App, name: &str| app.translators.options.translators.contains_key(name);
        for service in elsewhere(new) {
            let name = &service.name;
            let before = elsewhere(old).find(|before| before.name == *name);
            let moved = before.map(|before| before.addresses() != service.addresses());
            match moved {
                Some(false) => continue,
                Some(true) => moves.told.moved.push(name.clone()),
                None => moves.told.added.push(name.clone()),
            }
            let same_way = |before: &Service| transport(before) == transport(service);
            if before.map_or(is_translator(old, name), |before| !same_way(before)) {
                moves.parted.push(name.clone());
            }
            let endpoints = service.addresses().into_iter().map(Endpoint::at).collect();
            moves.declared.push((name.clone(), endpoints));
        }
        for service in elsewhere(old).filter(|service| new.service(&service.name).is_none()) {
            moves.told.removed.push(service.name.clone());
            moves.parted.push(service.name.clone());
            match is_translator(new, &service.name) {
                true => moves.left.push(service.name.clone()),
                false => moves.withdrawn.push(service.name.clone()),
            }
        }
        moves
    }

    /// Whether the registry can take it. Nothing has changed yet.
    pub(super) fn check(&self, names: &Names) -> Result<(), Error> {
        let check = |(name, endpoints): &(String, Vec<Endpoint>)| names.check(name, endpoints);
        self.declared.iter().try_for_each(check).map_err(Error::pattern("declare the services"))
    }

    /// Says where they are now.
    pub(super) fn declare(&self, names: &Names) {
        self.left.iter().for_each(|name| names.leave(name));
        for (name, endpoints) in &self.declared {
            declare(names, name, endpoints.clone());
        }
    }

    /// Says of those that are gone that they are.
    pub(super) fn withdraw(&self, names: &Names) {
        self.withdrawn.iter().for_each(|name| declare(names, name, Vec::new()));
    }
}

fn declare(names: &Names, name: &str, endpoints: Vec<Endpoint>) {
    // It has been asked before; since then somebody else may have taken the last room.
    if let Err(error) = names.declare(name, endpoints) {
        tracing::error!(service = name, "nobody hears where it is: {}", dozen_core::chain(&error));
    }
}

fn elsewhere(app: &App) -> impl Iterator<Item = &Service> {
    app.services.iter().filter(|service| matches!(service.origin, Origin::At(_)))
}

/// What a connection to it is made with.
fn transport(service: &Service) -> impl PartialEq {
    (service.calling.protocol, service.calling.tls.clone())
}
