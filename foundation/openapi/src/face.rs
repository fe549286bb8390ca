//! What a face stands on, and how its router is made.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::MethodRouter;
use dozen_core::Ids;
use dozen_messaging::Keyring;
use dozen_store::Store;
use http::{Method, StatusCode, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{Problem, Span};

/// Requests that may wait, for messages or for an outcome, at one time. More are refused.
const WAITING_MAX: usize = 1_000;
/// So that a client that is gone is noticed.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// What a face stands on. Cheap to clone; the clones share one bound on waiting requests.
#[derive(Clone)]
pub struct Face {
    /// Where the messages live.
    pub store: Store,
    /// Names messages whose sender named none.
    pub ids: Ids,
    /// Seals and unseals what is sealed.
    pub keys: Option<Keyring>,
    /// No request waits for longer.
    pub(crate) wait_max: Duration,
    closing: CancellationToken,
    waiting: Arc<Semaphore>,
}

impl Face {
    /// A face onto `store`. Requests that wait are answered when `closing` is cancelled.
    pub fn new(store: Store, ids: Ids, keys: Option<Keyring>, closing: CancellationToken) -> Self {
        let waiting = Arc::new(Semaphore::new(WAITING_MAX));
        Self { store, ids, keys, wait_max: WAIT_MAX, closing, waiting }
    }

    /// Lets no request wait for longer than this, instead of five minutes.
    #[must_use]
    pub fn waiting_at_most(mut self, wait_max: Duration) -> Self {
        self.wait_max = wait_max;
        self
    }

    /// How long a request that asks to wait may wait.
    pub fn wait(&self, asked: Option<Span>) -> Duration {
        asked.map_or(Duration::ZERO, |Span(wait)| wait.min(self.wait_max))
    }

    /// The right to wait, to be kept while waiting.
    pub fn waiter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if self.closing.is_cancelled() {
            return Err(Problem::stopping());
        }
        self.waiting.clone().try_acquire_owned().map_err(|_| Problem::crowded(WAITING_MAX))
    }

    /// Returns when the process begins to stop.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Does `work`, which may wait, unless the process stops first.
    pub async fn waiting<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        let _waiter = self.waiter()?;
        tokio::select! { biased;
            done = work => Ok(done?),
            () = self.closing() => Err(Problem::stopping()),
        }
    }
}

/// One operation: the method in lower case, the path as OpenAPI and axum both write it, and who answers.
pub struct Route<S> {
    /// `get`, `post`, `put` or `delete`.
    pub method: &'static str,
    /// For example `/dozen/v1/queues/{queue}`.
    pub path: &'static str,
    /// Answers this method alone.
    pub handler: MethodRouter<S>,
}

/// The router of these operations. Another method on one of the paths is refused as a problem.
pub fn routed<S: Clone + Send + Sync + 'static>(routes: Vec<Route<S>>, state: S) -> Router {
    let router =
        routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    router.method_not_allowed_fallback(wrong_method).with_state(state)
}

/// The router of a listener that serves nothing else: what is no operation is refused as a problem.
pub fn alone(router: Router) -> Router {
    router.fallback(wrong_path)
}

async fn wrong_path(method: Method, uri: Uri) -> Problem {
    Problem::no_operation(StatusCode::NOT_FOUND, method.as_str(), uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::no_operation(StatusCode::METHOD_NOT_ALLOWED, method.as_str(), uri.path())
}
