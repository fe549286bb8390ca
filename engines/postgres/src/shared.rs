//! What all parts of an engine share.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use dozen_core::Token;
use tokio::sync::Notify;

use crate::hints::Hints;
use crate::link::{Lane, Link};
use crate::names::Names;
use crate::pool::Pool;
use crate::schema::Identity;
use crate::tell::Tell;

/// Connections on which leases are taken: claims of one reader wait for each other, those of others need not wait for them.
const LANES: usize = 2;

pub(crate) struct Shared {
    pub(crate) link: Arc<Link>,
    pub(crate) pool: Arc<Pool>,
    lanes: Vec<Lane>,
    pub(crate) names: Names,
    pub(crate) hints: Arc<Hints>,
    pub(crate) tell: Tell,
    /// Asks for a look at what others have done.
    pub(crate) look: Notify,
    /// Says that something was trimmed, or that a day of marks is over.
    pub(crate) trimmed: Notify,
    /// The day up to which marks may go.
    pub(crate) today: AtomicI64,
    store: String,
    pub(crate) epoch: AtomicU64,
    head: AtomicU64,
}

impl Shared {
    pub(crate) fn new(link: Arc<Link>, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::new(link.clone()),
            lanes: (0..LANES).map(|_| Lane::new(link.clone())).collect(),
            names: Names::default(),
            hints: Arc::default(),
            tell: Tell::default(),
            look: Notify::new(),
            trimmed: Notify::new(),
            today: AtomicI64::new(0),
            store: identity.store,
            epoch: AtomicU64::new(identity.epoch),
            head: AtomicU64::new(0),
            link,
        })
    }

    /// Marks of the days before `today` may go.
    pub(crate) fn days_are_over(&self, today: i64) {
        if self.today.fetch_max(today, Ordering::Relaxed) < today {
            self.trimmed.notify_one();
        }
    }

    /// Where the store is, for errors.
    pub(crate) fn location(&self) -> &str {
        &self.link.options.location
    }

    /// A statement, with the name of the schema that the store is in.
    pub(crate) fn sql<'a>(&self, text: &'a str) -> Cow<'a, str> {
        in_schema(&self.link.options.schema, text)
    }

    /// The connection for short calls about `name`.
    pub(crate) fn lane(&self, name: &str) -> &Lane {
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(name);
        &self.lanes[usize::try_from(hash % LANES as u64).unwrap_or(0)]
    }

    /// Names a commit that wrote up to `position`; 0 where it wrote none.
    pub(crate) fn token(&self, position: u64) -> Token {
        let head = self.head.fetch_max(position, Ordering::AcqRel).max(position);
        let position = if position == 0 { head } else { position };
        Token { store: self.store.clone(), epoch: self.epoch.load(Ordering::Acquire), position }
    }

    /// Hints at these names, here and in other processes.
    pub(crate) fn touch(&self, touched: HashSet<Arc<str>>) {
        if !touched.is_empty() {
            self.hints.touch(touched.iter().map(|name| &**name));
            self.tell.names(touched);
        }
    }
}

/// A statement of ours, with this schema in the place of the usual one.
pub(crate) fn in_schema<'a>(schema: &str, text: &'a str) -> Cow<'a, str> {
    if schema == "dozen" {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace("dozen.", &format!("{schema}.")))
    }
}
