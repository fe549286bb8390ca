//! Two ways to wait for a change over HTTP: one answer when it has come, or a stream of all of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_core::EndpointSet;
use futures::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Registry;
use crate::face::view;
use crate::registry::Watcher;

/// A comment this often keeps intermediaries from closing a quiet stream, and finds clients that are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The set of `service` once its version is another than `version`, or after `wait`.
///
/// *Another*, not *higher*: a client that knew a version of a registry since restored must not wait for it forever.
pub(crate) async fn change(
    registry: &Registry,
    service: &str,
    version: u64,
    wait: Duration,
) -> Arc<EndpointSet> {
    let mut watch = registry.watch(service);
    {
        let changed = watch.wait_for(|set| set.version != version);
        tokio::select! {
            _ = changed => {}
            () = tokio::time::sleep(wait) => {}
            () = registry.closing.cancelled() => {}
        }
    }
    watch.borrow().clone()
}

struct Events {
    watch: watch::Receiver<Arc<EndpointSet>>,
    seen: Option<u64>,
    all: bool,
    closing: CancellationToken,
    _watcher: Watcher,
}

/// Server-sent events: the set as it is, unless the client has seen that version, and then each change. A slow client
/// gets fewer events, never older ones.
pub(crate) fn events(
    registry: &Registry,
    service: &str,
    seen: Option<u64>,
    all: bool,
    watcher: Watcher,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let watch = registry.watch(service);
    let events = Events { watch, seen, all, closing: registry.closing.clone(), _watcher: watcher };
    futures::stream::unfold(events, |mut events| async move {
        let text = events.next().await?;
        Some((Ok(Bytes::from(text)), events))
    })
}

impl Events {
    /// The next piece of the stream; `None` when the registry stops.
    async fn next(&mut self) -> Option<String> {
        let seen = self.seen;
        let changed = self.watch.wait_for(|set| Some(set.version) != seen);
        let set = tokio::select! { biased;
            () = self.closing.cancelled() => return None,
            set = changed => set.ok()?.clone(),
            () = tokio::time::sleep(KEEP_ALIVE) => return Some(": still here\n\n".to_owned()),
        };
        self.seen = Some(set.version);
        Some(format!("event: endpoints\nid: {}\ndata: {}\n\n", set.version, view(&set, self.all)))
    }
}
