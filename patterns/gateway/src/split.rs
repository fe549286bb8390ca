//! Which of several services a request of one route goes to.
//!
//! ```text
//!   hash(split, key) ──► a point of [0, 1)      0 ──── a: weight 90 ────────── 0.9 ── b: 10 ── 1
//! ```
//!
//! A caller's point never moves, and each service has a slice of the line in the order of the file. When weights
//! change, only the callers between the old and the new border change sides. The hash is FNV-1a with a finishing mix,
//! written down here so that every version and every instance of the gateway draws the same line.
//!
//! A service that calls back through a gateway need not know the key: the choice travels in `dozen-split` as
//! `name=service`, and a route of the same split follows it if the caller's address is trusted. From outside it is not
//! believed.

use std::hash::Hasher as _;
use std::sync::Arc;

use crate::asked::{Asked, claim_text};
use crate::mixed::Mixed;
use crate::options::Destination as Written;
use crate::path::PathMatch;
use crate::target::Target;

/// The header in which a choice travels on.
pub(crate) const HEADER: &str = "dozen-split";
/// Services of one route.
const DESTINATIONS_MAX: usize = 16;

/// The services of a route and their shares.
#[derive(Debug)]
pub(crate) struct Split {
    name: Box<str>,
    pub(crate) destinations: Box<[Destination]>,
    total: u64,
    pub(crate) sticky: Option<Sticky>,
}

/// One service of a route.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) service: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) target: Option<Target>,
}

/// What the same caller always has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sticky {
    Cookie(Box<str>),
    Header(Box<str>),
    Claim(Box<str>),
    Consumer,
    Address,
}

/// How a choice came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Because {
    /// There is one service.
    Only,
    /// A trusted caller had it chosen already.
    Told,
    /// The caller's point on the line, from 0 to 1.
    Key(f64),
    /// By lot: there is no key, or this request does not have it.
    Lot,
}

impl Split {
    pub(crate) fn compile(
        name: &str,
        written: &[Written],
        sticky: Option<&str>,
        path: &PathMatch,
    ) -> Result<Self, (String, String)> {
        let names = path.names();
        let mut destinations = Vec::new();
        for one in written {
            let wrong = |problem: String| (one.service.clone(), problem);
            let (service, target) = match one.service.split_once(':') {
                Some((service, target)) => (service, Some(target)),
                None => (one.service.as_str(), None),
            };
            if service.is_empty() || service.contains('/') {
                return Err(wrong("names no service; write `orders` or `orders:/orders/{id}`".into()));
            }
            if target.is_some_and(|target| target.starts_with("//")) {
                return Err(wrong("is a URL; name a service here, and say in `services` where it is".into()));
            }
            let target = target.map(|target| Target::parse(target, &names)).transpose().map_err(wrong)?;
            destinations.push(Destination { service: service.into(), weight: one.weight, target });
        }
        let total = destinations.iter().map(|one| u64::from(one.weight)).sum();
        let wrong = |problem: &str| Err((name.to_owned(), problem.to_owned()));
        if destinations.len() > DESTINATIONS_MAX {
            return wrong("has more than 16 services");
        }
        if total == 0 {
            return wrong("has only services of weight 0, so its requests would go nowhere");
        }
        let sticky = sticky.map(|text| Sticky::parse(text).map_err(|problem| (text.to_owned(), problem)));
        Ok(Self { name: name.into(), destinations: destinations.into(), total, sticky: sticky.transpose()? })
    }

    /// The number of the service for a request. `random` decides where nothing else does; `is_trusted` says whether
    /// the caller may say what was chosen before.
    pub(crate) fn choose(&self, asked: &Asked<'_>, random: u64, is_trusted: bool) -> (usize, Because) {
        if self.destinations.len() == 1 {
            return (0, Because::Only);
        }
        if let Some(at) = is_trusted.then(|| self.told(asked)).flatten() {
            return (at, Because::Told);
        }
        match self.key(asked) {
            Some(point) => (self.at(point), Because::Key(point as f64 / 2f64.powi(64))),
            None => (self.at(random), Because::Lot),
        }
    }

    /// The caller's point, if the request has a key: also what a service's `consistent-hash` goes by.
    pub(crate) fn key(&self, asked: &Asked<'_>) -> Option<u64> {
        self.sticky.as_ref().and_then(|sticky| sticky.point(&self.name, asked))
    }

    /// The service in whose slice a point lies; the whole of `u64` is the line.
    fn at(&self, point: u64) -> usize {
        let mut border = 0u64;
        let within = (u128::from(point) * u128::from(self.total)) >> 64;
        for (at, one) in self.destinations.iter().enumerate() {
            border += u64::from(one.weight);
            if within < u128::from(border) {
                return at;
            }
        }
        0
    }

    fn told(&self, asked: &Asked<'_>) -> Option<usize> {
        let choices = asked.headers.named(HEADER).flat_map(|value| value.split(|byte| *byte == b','));
        choices.filter_map(|choice| std::str::from_utf8(choice).ok()?.trim().split_once('=')).find_map(
            |(name, service)| {
                let at = self.destinations.iter().position(|one| *one.service == *service);
                at.filter(|_| name == &*self.name)
            },
        )
    }

    /// The choice as it travels on, where there was one.
    pub(crate) fn said(&self, at: usize) -> Option<String> {
        let one = self.destinations.get(at).filter(|_| self.destinations.len() > 1)?;
        Some(format!("{}={}", self.name, one.service))
    }
}

impl Sticky {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inside = |of: &str| {
            text.strip_prefix(of)?.strip_prefix('(')?.strip_suffix(')').filter(|name| !name.is_empty())
        };
        match (text, inside("cookie"), inside("header"), inside("claim")) {
            ("address", ..) => Ok(Self::Address),
            ("consumer", ..) => Ok(Self::Consumer),
            (_, Some(name), ..) => Ok(Self::Cookie(name.into())),
            (_, _, Some(name), _) => Ok(Self::Header(name.into())),
            (_, _, _, Some(name)) => Ok(Self::Claim(name.into())),
            _ => Err(
                "is no key; write `cookie(user)`, `header(x-user)`, `claim(sub)`, `consumer` or `address`"
                    .into(),
            ),
        }
    }

    /// Where the request lies on the line called `name`, if it has a key.
    pub(crate) fn point(&self, name: &str, asked: &Asked<'_>) -> Option<u64> {
        self.key(asked, |key| point(name, key))
    }

    /// Hands the key to `with`, if the request has one.
    fn key<T>(&self, asked: &Asked<'_>, with: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let some = |key: &&[u8]| !key.is_empty();
        match self {
            Self::Cookie(name) => {
                let found = asked.cookies().find(|(key, _)| *key == name.as_bytes());
                found.map(|(_, value)| value).filter(some).map(with)
            }
            Self::Header(name) => asked.headers.named(name).next().filter(some).map(with),
            Self::Claim(name) => asked.claim(name).and_then(claim_text).map(|text| with(text.as_bytes())),
            Self::Consumer => asked.consumer.map(|consumer| with(consumer.as_bytes())),
            Self::Address => Some(with(asked.address.to_string().as_bytes())),
        }
    }
}

impl std::fmt::Display for Sticky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie `{name}`"),
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Claim(name) => write!(f, "claim `{name}`"),
            Self::Consumer => f.write_str("the consumer"),
            Self::Address => f.write_str("the client's address"),
        }
    }
}

/// Where a key lies on the line.
fn point(split: &str, key: &[u8]) -> u64 {
    let mut hasher = Mixed::default();
    hasher.write(split.as_bytes());
    hasher.write(&[0]);
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests;
