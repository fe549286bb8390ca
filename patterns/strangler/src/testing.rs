//! What tests share: real servers on loopback, and a way to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use dozen_core::{Ids, SystemClock};
use dozen_dataplane::{Body, Client, Limits, Server};
use dozen_lifecycle::{Ready, Service, Stop};
use dozen_store::Store;

use crate::compare::Answer;
use crate::{Request, Sender, Unsent};

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a service until the test is over.
pub(crate) fn run(service: Arc<dyn Service>) -> Stop {
    let stop = Stop::new();
    let (ready, _) = Ready::channel();
    tokio::spawn(service.run(stop.clone(), ready));
    stop
}

/// Serves a router on a port of its own; gives the address.
pub(crate) fn serve(router: Router) -> String {
    let server = Server::bind("127.0.0.1:0".parse().expect("an address"), Limits::default()).expect("a port");
    let address = server.local_addr().to_string();
    run(server.serving(router));
    address
}

/// Sends to services by their addresses, over connections of its own.
#[derive(Default)]
pub(crate) struct Direct {
    client: Client,
    addresses: Mutex<BTreeMap<String, String>>,
}

impl Direct {
    pub(crate) fn to(addresses: &[(&str, &str)]) -> Arc<Self> {
        let addresses =
            addresses.iter().map(|(service, address)| ((*service).to_owned(), (*address).to_owned()));
        Arc::new(Self { client: Client::new(), addresses: Mutex::new(addresses.collect()) })
    }
}

#[async_trait]
impl Sender for Direct {
    async fn send(&self, service: &str, request: Request, body_max: usize) -> Result<Answer, Unsent> {
        let address = self.addresses.lock().expect("not poisoned").get(service).cloned();
        let address = address.ok_or_else(|| Unsent::Away("it is not known".into()))?;
        let request = request.map(|body: Bytes| Body::from(body));
        let answer = self.client.send(&address, request, DEADLINE).await;
        let (head, body) = answer.map_err(|error| Unsent::Away(error.to_string()))?.into_parts();
        let body = body.collect(body_max).await.map_err(|_| Unsent::TooLarge(body_max))?;
        Ok(Answer::from_parts(head, body))
    }
}

/// A folder with a store, which several may open as other processes would.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) async fn open(&self) -> Store {
        let address = format!("sqlite:{}", self.0.path().join("test.db").display());
        dozen_open::open(&address).await.expect("a store")
    }
}

pub(crate) fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), 7)
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
