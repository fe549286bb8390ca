//! Connections of HTTP/2 to services, each shared by many requests.
//!
//! ```text
//!  request ─► claim ─┬─ a connection with room for a stream ───────────────► Claim: one stream on it
//!                    └─ none: one of those who wait opens another ─► room ─►
//! ```
//!
//! The other end says how many streams a connection may have at a time. Beyond that another connection is opened, up to
//! [`CONNECTIONS_MAX`] for each place, and then streams wait on the one with the fewest. Of many who find none at the same
//! time one opens it and the others use it. A connection that is let go of lives on until its streams have ended, and then
//! says that it goes (GOAWAY) and closes. One to an endpoint that is not in the set any more is let go of at the next sweep,
//! as idle connections of HTTP/1.1 are.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use hyper::client::conn::http2::{self, Builder, SendRequest};
use hyper::rt::Executor as _;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

use crate::Body;
use crate::proxy::tasks::Spawner;
use crate::stream::Stream;
use crate::upstream::EndpointState;

/// Connections to one place, at most.
const CONNECTIONS_MAX: usize = 8;

/// How often a new connection is looked at for whether its other end has said what it allows. There is no signal for it.
const LOOK: Duration = Duration::from_millis(1);

/// What works a connection, until it has ended. It knows what its other end allows.
type Works = Arc<Mutex<Option<Pin<Box<http2::Connection<TokioIo<Stream>, Body, Spawner>>>>>>;

/// A connection that was just opened.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    works: Works,
}

impl Connection {
    /// Streams that its other end allows at a time; none before it has said so.
    fn room(&self) -> usize {
        lock(&self.works).as_ref().map_or(0, |works| works.current_max_send_streams())
    }
}

/// Begins to speak HTTP/2 on `stream`, and waits until its other end has said what it allows: before that nobody knows how
/// many streams fit, nor whether it speaks HTTP/2 at all. What works the connection is a task of `spawner`.
pub(crate) async fn handshake(
    builder: &mut Builder<Spawner>,
    stream: Stream,
    spawner: &Spawner,
) -> io::Result<Connection> {
    builder.initial_max_send_streams(0);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let works: Works = Arc::new(Mutex::new(Some(Box::pin(connection))));
    let working = works.clone();
    spawner.execute(async move {
        let ended = poll_fn(|cx| {
            let mut works = lock(&working);
            let Some(connection) = works.as_mut() else { return Poll::Ready(Ok(())) };
            let ended = ready!(connection.as_mut().poll(cx));
            // Whoever has a request for it hears so from what is dropped here.
            *works = None;
            Poll::Ready(ended)
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "a connection of HTTP/2 to a service ended");
        }
    });
    let connection = Connection { sender, works };
    while connection.room() == 0 {
        if connection.sender.is_closed() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sleep(LOOK).await;
    }
    Ok(connection)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a stream that failed so has certainly not been looked at: its other end refused it, or went away and said that
/// it had not come to it (RFC 9113, 8.7).
pub(crate) fn is_unprocessed(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| {
        let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (is_refused || error.is_go_away())
    })
}

/// A place for one stream on a connection. It is given back when this is dropped.
pub(crate) struct Claim {
    pub(crate) sender: SendRequest<Body>,
    /// Whether the connection was there already.
    pub(crate) is_kept: bool,
    id: u64,
    _place: Arc<()>,
}

/// The connections, by place. Moments are those of whoever owns it: numbers that grow.
pub(crate) struct Streams<K> {
    places: Mutex<HashMap<K, Place>>,
    next: AtomicU64,
}

#[derive(Default)]
struct Place {
    open: Vec<Open>,
    /// Held by the one who opens another.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Open {
    id: u64,
    connection: Connection,
    /// Whom it leads to, where that may leave the set.
    home: Option<Arc<EndpointState>>,
    used: u64,
    /// As many as streams, and one.
    places: Arc<()>,
}

impl Open {
    fn streams(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    /// Whether anybody may ask for it again.
    fn is_open(&self) -> bool {
        !self.connection.sender.is_closed() && self.home.as_ref().is_none_or(|home| home.is_in_use())
    }

    fn has_room(&self) -> bool {
        self.streams() < self.connection.room()
    }

    fn claim(&mut self, now: u64, is_kept: bool) -> Claim {
        self.used = now;
        let sender = self.connection.sender.clone();
        Claim { sender, is_kept, id: self.id, _place: self.places.clone() }
    }
}

impl<K> Default for Streams<K> {
    fn default() -> Self {
        Self { places: Mutex::default(), next: AtomicU64::new(1) }
    }
}

impl<K: Clone + Eq + Hash> Streams<K> {
    fn places(&self) -> MutexGuard<'_, HashMap<K, Place>> {
        lock(&self.places)
    }

    /// A stream on a connection that is open, unless another connection should be opened for it.
    pub(crate) fn claim(&self, key: &K, now: u64) -> Option<Claim> {
        let mut places = self.places();
        let place = places.get_mut(key)?;
        place.open.retain(|open| !open.connection.sender.is_closed());
        let is_full = place.open.len() >= CONNECTIONS_MAX;
        let least = place.open.iter_mut().min_by_key(|open| open.streams())?;
        (is_full || least.has_room()).then(|| least.claim(now, true))
    }

    /// A stream on a connection that `opening` opens, or that somebody else has opened meanwhile. Who waits for somebody
    /// who fails tries it alone. With a `home` it is kept for as long as that is in its set.
    pub(crate) async fn open<E>(
        &self,
        key: &K,
        home: Option<&Arc<EndpointState>>,
        now: u64,
        opening: impl Future<Output = Result<Connection, E>>,
    ) -> Result<Claim, E> {
        let turn = self.places().entry(key.clone()).or_default().turn.clone();
        let _turn = turn.lock().await;
        if let Some(claim) = self.claim(key, now) {
            return Ok(claim);
        }
        let connection = opening.await?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = Open { id, connection, home: home.cloned(), used: now, places: Arc::new(()) };
        let claim = open.claim(now, false);
        self.places().entry(key.clone()).or_default().open.push(open);
        Ok(claim)
    }

    /// Lets go of the connection of `claim`, and of no other.
    pub(crate) fn forget(&self, key: &K, claim: &Claim) {
        if let Some(place) = self.places().get_mut(key) {
            place.open.retain(|open| open.id != claim.id);
        }
    }

    /// Lets go of what has ended, leads to nobody any more, or has no stream and was last used before `oldest`.
    pub(crate) fn sweep(&self, oldest: u64) {
        self.places().retain(|_, place| {
            let is_wanted = |open: &Open| open.streams() > 0 || open.used >= oldest;
            place.open.retain(|open| open.is_open() && is_wanted(open));
            !place.open.is_empty() || Arc::strong_count(&place.turn) > 1
        });
    }
}
