//! Features: what the strangler decides, for the gateway that asks; and what runs beside it.
//!
//! ```text
//!  gateway ── course ──► Facade ── decide ──► Registry ◄── looks, gate, journal ── store
//!     │                    │
//!     ├── escort ──────────┤ copies for Shadow, intents and outcomes for Feed, proofs for the other side's login
//!     └── witness ─────────┘ counts, cookies and redirects rewritten
//!                             Shadow, Feed ──► Direct: connections of their own ──► services
//! ```
//!
//! The gateway knows no features, and the strangler no gateway: this is where the two meet. What a file says of features is one
//! [`View`], which belongs to the gateway's configuration of the same file: a request that began with its routes is decided upon
//! by its features. A request that nobody wants to look into goes without an escort, and so from socket to socket as any other.
//! Answers of two shapes are compared by what translators of the file make of them.

mod copy;
mod escort;
mod feeding;
mod login;
mod sender;
mod view;
mod witness;

use std::collections::BTreeMap;
use std::sync::Arc;

use dozen_core::{Ids, chain};
use dozen_dataplane::{Caller, Client};
use dozen_gateway::FeatureRequest;
use dozen_store::Store;
use dozen_strangler::{
    Decision, Feature, FeatureOptions, Registry, RegistryOptions, Shadow, ShadowOptions, Side, Translators,
};
use tokio::sync::Semaphore;

use self::escort::Plan;
use self::login::Login;
use self::sender::Direct;
pub(super) use self::view::View;
use self::witness::{Rewriting, Underway};
use super::Parts;
use crate::Error;
use crate::config::App;

/// Bytes of a request's head that are set aside when it is copied.
const HEAD_BYTES: usize = 2 * 1024;
/// Writes that may be on their way beside their clients.
const WRITES_MAX: usize = 1024;

/// What decides for the gateway, whatever the file says.
pub(super) struct Facade {
    pub(super) registry: Arc<Registry>,
    pub(super) shadow: Arc<Shadow>,
    sender: Arc<Direct>,
    store: Store,
    ids: Ids,
    /// For writes that are on their way beside their clients.
    beside: Arc<Semaphore>,
}

/// What makes the two systems of a feature look like one.
#[derive(Default)]
struct Face {
    rewriting: [Option<Arc<Rewriting>>; 2],
    login: Option<Arc<Login>>,
}

impl Face {
    fn rewriting(&self, side: Side) -> Option<&Arc<Rewriting>> {
        self.rewriting[usize::from(side == Side::New)].as_ref()
    }
}

/// The features of the file. `translators` finds those that they name for their comparisons.
pub(super) fn bind(
    app: &App,
    caller: &Caller,
    store: &Store,
    ids: &Ids,
    translators: Translators,
) -> Result<Arc<Facade>, Error> {
    let options = RegistryOptions::new(gateway_name(app), ids.next().to_string());
    let registry = Registry::translated(store.clone(), &app.features, options, Some(translators));
    let registry = registry.map_err(Error::pattern("understand the features"))?;
    // Connections of their own, so that what nobody waits for takes none of those that somebody waits for.
    let sender = Arc::new(Direct::new(caller.over(Client::new())));
    let aside = Arc::new(Direct::new(caller.over(Client::new()).aside()));
    let shadow = Arc::new(Shadow::new(ShadowOptions::default(), aside, ids.clone()));
    let (store, ids) = (store.clone(), ids.clone());
    let beside = Arc::new(Semaphore::new(WRITES_MAX));
    Ok(Arc::new(Facade { registry, shadow, sender, store, ids, beside }))
}

/// The same after a restart, and another for each gateway of a store.
fn gateway_name(app: &App) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().replace('/', "-");
    match app.gateway.as_ref().map(|gateway| gateway.listen) {
        Some(listen) if listen.port() != 0 => format!("{host}-{listen}"),
        _ => format!("{host}-{}", std::process::id()),
    }
}

impl Facade {
    /// What runs beside the gateway.
    pub(super) fn parts(&self) -> Parts {
        let feeding = feeding::Feeding {
            registry: self.registry.clone(),
            sender: self.sender.clone(),
            store: self.store.clone(),
            ids: self.ids.clone(),
        };
        vec![
            ("features".into(), self.registry.clone()),
            ("shadow".into(), self.shadow.clone()),
            ("feeds".into(), Arc::new(feeding)),
        ]
    }

    /// The features of a file, judged, and as the store has them. Nothing has changed until they are taken over.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        features: &BTreeMap<String, FeatureOptions>,
    ) -> Result<Arc<View>, dozen_strangler::Error> {
        let prepared = self.registry.prepare(features)?;
        // Before the first request: nobody is served by the side of a stage that is long past.
        if let Err(error) = self.registry.observe_prepared(&prepared).await {
            tracing::warn!("features are as the file begins them until the store answers: {}", chain(&error));
        }
        Ok(View::new(self.clone(), prepared))
    }

    /// The features as they are now.
    pub(super) fn now(self: &Arc<Self>) -> Arc<View> {
        View::new(self.clone(), self.registry.current())
    }

    fn face(&self, options: &FeatureOptions) -> Face {
        Face {
            rewriting: [Side::Old, Side::New]
                .map(|side| options.rewrite.as_ref().map(|rewrite| Arc::new(Rewriting::new(rewrite, side)))),
            login: options
                .login
                .as_ref()
                .map(|login| Arc::new(Login::new(login.clone(), self.sender.clone()))),
        }
    }

    /// Who goes along, if somebody has to.
    fn escort(
        &self,
        feature: &Arc<Feature>,
        face: &Face,
        decision: Decision,
        (side, key): (Side, Option<&str>),
        underway: &Arc<Underway>,
        request: &FeatureRequest<'_>,
    ) -> Option<Plan> {
        let length = match request.header("transfer-encoding") {
            Some(_) => None,
            None => Some(request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)),
        };
        // What cannot be held is not shadowed; nobody waits for it.
        let body_max = feature.options().compare.body_max;
        let bytes = length.filter(|length| decision.shadow.is_some() && *length <= body_max);
        let reserved = bytes.and_then(|length| self.shadow.reserve(HEAD_BYTES + length));
        let crossing =
            face.login.as_ref().and_then(|login| login.crossing(side, |name| request.header(name)));
        let rewriting = face.rewriting(side).filter(|rewriting| rewriting.bodies).cloned();
        if reserved.is_none() && crossing.is_none() && rewriting.is_none() && decision.feed.is_none() {
            return None;
        }
        let login = face.login.clone();
        let (feature, key) = (feature.clone(), key.map(str::to_owned));
        let (shadow, ids) = (self.shadow.clone(), self.ids.clone());
        let feed = decision.feed.map(|to| (dozen_strangler::Feed::new(&self.store, feature.name()), to));
        let (beside, underway, is_whole) = (self.beside.clone(), underway.clone(), request.is_whole);
        Some(Plan {
            feature,
            decision,
            key,
            reserved,
            crossing,
            login,
            rewriting,
            feed,
            beside,
            shadow,
            ids,
            underway,
            is_whole,
        })
    }
}
