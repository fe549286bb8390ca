//! Where translators listen: a listener each, opened and closed as the file changes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dozen_anticorruption::Served;
use dozen_core::Endpoint;
use dozen_dataplane::{Body, Limits, Server};
use dozen_discovery::Registry;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use http::StatusCode;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Current;
use crate::Error;

/// Bytes of a request to a translator.
const BODY_MAX: usize = 4 << 20;

/// A translator that is bound to its port and not served yet.
pub(super) struct Face {
    pub(super) name: String,
    pub(super) server: Server,
}

impl Face {
    /// On a port of the loopback interface that the system chooses.
    pub(super) fn bind(name: &str) -> Result<Self, Error> {
        let setting = format!("translators.{name}");
        let limits = Limits { setting, body_max: BODY_MAX as u64, ..Limits::default() };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(any, limits).map_err(Error::pattern("serve the translators"))?;
        Ok(Self { name: name.to_owned(), server })
    }

    /// Makes it known under its name.
    pub(super) fn declare(&self, registry: &Registry) -> Result<(), Error> {
        let endpoints = vec![Endpoint::at(self.server.local_addr().to_string())];
        registry.declare(&self.name, endpoints).map_err(Error::pattern("declare the translators"))
    }
}

/// Serves them.
pub(super) struct Faces {
    current: Arc<Current>,
    changes: Mutex<Vec<Change>>,
    changed: Notify,
}

enum Change {
    Open(Box<Face>),
    Close(String),
}

impl Change {
    fn open(face: Face) -> Self {
        Self::Open(Box::new(face))
    }
}

impl Faces {
    pub(super) fn new(current: Arc<Current>, faces: Vec<Face>) -> Arc<Self> {
        let changes = faces.into_iter().map(Change::open).collect();
        Arc::new(Self { current, changes: Mutex::new(changes), changed: Notify::new() })
    }

    /// Opens and closes. What is under way at a listener that is closed is finished.
    pub(super) fn change(&self, open: Vec<Face>, close: Vec<String>) {
        let changes = open.into_iter().map(Change::open).chain(close.into_iter().map(Change::Close));
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn serving(&self, face: Face) -> Arc<dyn Service> {
        let (name, current): (Arc<str>, _) = (face.name.into(), self.current.clone());
        face.server.serving(tower::service_fn(move |request: http::Request<Body>| {
            let translator = current.get(&name);
            async move {
                Ok::<_, Infallible>(match translator {
                    Some(translator) => Served::new(translator, BODY_MAX).answer(request, None).await,
                    None => gone(),
                })
            }
        }))
    }
}

/// For who still comes while it is being closed.
fn gone() -> http::Response<Body> {
    let problem = dozen_dataplane::problem_document(503, "there is no such translator now");
    let mut answer = http::Response::new(Body::from(problem));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

#[async_trait]
impl Service for Faces {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let mut open: BTreeMap<String, Stop> = BTreeMap::new();
        let mut running = JoinSet::new();
        let mut ready = Some(ready);
        loop {
            for change in self.take() {
                match change {
                    Change::Open(face) => {
                        let own = stop.child();
                        open.insert(face.name.clone(), own.clone());
                        // The port is bound already, so whoever comes before it is served waits for that.
                        running.spawn(self.serving(*face).run(own, Ready::channel().0));
                    }
                    Change::Close(name) => {
                        open.remove(&name).into_iter().for_each(|own| own.soft.cancel());
                    }
                }
            }
            ready.take().into_iter().for_each(Ready::ready);
            tokio::select! {
                () = stop.soft.cancelled() => break,
                () = self.changed.notified() => {}
                Some(ended) = running.join_next() => ended??,
            }
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    }
}
