//! The relays of the file: what is published here is carried on to another store.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Ids, Message, Token};
use dozen_lifecycle::Service;
use dozen_messaging::{Error as MessagingError, Publisher};
use dozen_outbox::{Relay, RelayOptions, Routes};
use dozen_pubsub::Topics;
use dozen_store::Store;
use tokio::sync::OnceCell;

use super::{Parts, messages};
use crate::config::App;

/// A relay, and what it is called where the user sees it.
pub(super) struct Carrying {
    pub(super) name: String,
    pub(super) relay: Arc<Relay>,
}

/// One relay for each of the file. None has touched its destination yet: that may be away.
pub(super) fn relays(app: &Arc<App>, store: &Store, ids: &Ids) -> Vec<Carrying> {
    let relay = |relay: &crate::config::Relay| {
        let routes = match &relay.topics {
            None => Routes::All,
            Some(topics) => Routes::only(topics.iter().map(|topic| (topic, topic))),
        };
        let target =
            Elsewhere { app: app.clone(), address: relay.to.url().to_owned(), topics: OnceCell::new() };
        let options =
            RelayOptions { batch: relay.batch, start: relay.start.into(), ..RelayOptions::default() };
        let relay_of = Relay::new(&relay.name, store, routes, Arc::new(target), options, ids.clone());
        Carrying { name: relay.name.clone(), relay: Arc::new(relay_of) }
    };
    app.relays.iter().map(relay).collect()
}

/// The relays as parts of the process.
pub(super) fn parts(relays: &[Carrying]) -> Parts {
    let part = |carrying: &Carrying| {
        let service: Arc<dyn Service> = carrying.relay.clone();
        (format!("relay {}", carrying.name), service)
    };
    relays.iter().map(part).collect()
}

/// The topics of the file on another store, which is opened when something is carried there for the first time.
struct Elsewhere {
    app: Arc<App>,
    address: String,
    topics: OnceCell<Topics>,
}

impl Elsewhere {
    async fn open(&self) -> Result<Topics, MessagingError> {
        let opened = dozen_open::open(&self.address).await;
        let store = opened.map_err(|error| MessagingError::engine("open the store of a relay", error))?;
        Ok(messages::topics(&self.app, &store))
    }
}

#[async_trait]
impl Publisher for Elsewhere {
    async fn publish(&self, topic: &str, messages: Vec<Message>) -> Result<Token, MessagingError> {
        // Whoever fails leaves it closed, and the relay comes again.
        self.topics.get_or_try_init(|| self.open()).await?.publish(topic, messages).await
    }
}
