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
//! by its features. A request that nobody wants to
//! look into goes without an escort, and so from socket to socket as any other. Answers of two shapes are compared by what
//! translators of the file make of them.

mod copy;
mod escort;
mod feeding;
mod login;
mod sender;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dozen_core::{Ids, chain};
use dozen_dataplane::{Caller, Client};
use dozen_gateway::{Course, FeatureRequest, Features, Way};
use dozen_store::Store;
use dozen_strangler::cohort::{self, HEADER};
use dozen_strangler::{
    Asked, Decision, Feature, FeatureOptions, Prepared, Registry, RegistryOptions, Serve, Shadow,
    ShadowOptions, Side, Translators, is_safe,
};
use tokio::sync::Semaphore;

use self::escort::{Escorting, Plan};
use self::login::Login;
use self::sender::Direct;
use self::witness::{Rewriting, Watching};
use super::Parts;
use crate::Error;
use crate::config::App;

/// Bytes of a request's head that are set aside when it is copied.
const HEAD_BYTES: usize = 2 * 1024;
/// Writes that may be on their way beside their clients.
const WRITES_MAX: usize = 1024;
/// Characters of a caller's name that are kept.
const CALLER_MAX: usize = 100;

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

/// The features of one file, each with what makes its two systems look like one.
pub(super) struct View {
    facade: Arc<Facade>,
    prepared: Prepared,
    features: BTreeMap<String, (Arc<Feature>, Face)>,
    /// The services that features come from: what goes there by another way is a move that nobody has thought of.
    old: BTreeSet<String>,
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
        Ok(self.view(prepared))
    }

    /// The features as they are now.
    pub(super) fn now(self: &Arc<Self>) -> Arc<View> {
        self.view(self.registry.current())
    }

    fn view(self: &Arc<Self>, prepared: Prepared) -> Arc<View> {
        let face = |feature: &Arc<Feature>| {
            (feature.name().to_owned(), (feature.clone(), self.face(feature.options())))
        };
        let features = prepared.features().map(face).collect();
        let old = prepared.features().map(|feature| feature.options().old.clone()).collect();
        Arc::new(View { facade: self.clone(), prepared, features, old })
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
        let beside = self.beside.clone();
        Some(Plan { feature, decision, key, reserved, crossing, login, rewriting, feed, beside, shadow, ids })
    }
}

impl View {
    /// Keeps them in step with the store from now on. Gives the names of those that are other than before.
    pub(super) fn take_over(&self) -> Vec<String> {
        let known = self.facade.registry.features();
        let same = |feature: &Arc<Feature>| known.iter().any(|known| Arc::ptr_eq(known, feature));
        let changed = self.prepared.features().filter(|feature| !same(feature));
        let gone = known.iter().filter(|known| !self.features.contains_key(known.name()));
        let mut names: Vec<String> = changed.chain(gone).map(|feature| feature.name().to_owned()).collect();
        names.sort();
        self.facade.registry.take_over(self.prepared.clone());
        names
    }
}

impl Features for View {
    fn course(&self, name: &str, request: &FeatureRequest<'_>) -> Option<Course> {
        let (feature, face) = self.features.get(name)?;
        let header = |name: &str| request.header(name);
        let key = feature.options().key.of(request.user, header);
        let said = header(HEADER);
        let told = said.filter(|_| request.is_trusted).and_then(|said| cohort::chosen(said, name));
        let forced = said.and_then(|said| feature.forced(said)).or(told);
        let (method, random) = (request.method, request.random);
        let decision = feature.decide(&Asked { key, forced, method, random });
        let caller = caller(request);
        let side = match decision.serve {
            Serve::Side(side) => side,
            Serve::Gone(status) => {
                feature.cut(&decision, Some(&caller), request.now);
                return Some(Course::Answer { status, title: "the old system is gone for good".into() });
            }
        };
        let plan = self.facade.escort(feature, face, decision, (side, key), request);
        let mut set: Vec<(std::borrow::Cow<'static, str>, String)> = Vec::new();
        let others = said.filter(|_| request.is_trusted).map(|said| others(said, name)).unwrap_or_default();
        set.extend(decision.header(name).map(|choice| (HEADER.into(), others + &choice)));
        // What is compared or rewritten must be readable; a write's answer is only ever rewritten.
        let is_read = |plan: &Plan| plan.rewriting.is_some() || (plan.reserved.is_some() && is_safe(method));
        if plan.as_ref().is_some_and(is_read) {
            set.push(("accept-encoding".into(), "identity".into()));
        }
        let escorting = plan.map(Escorting::new);
        let answered_here = escorting.as_ref().map(Escorting::answered_here).unwrap_or_default();
        let witness = Watching {
            rewriting: face.rewriting(side).cloned(),
            feature: feature.clone(),
            decision,
            caller,
            clock: self.facade.ids.clone(),
            answered_here,
        };
        Some(Course::To(Way {
            service: feature.service(side).into(),
            set,
            escort: escorting.map(|escorting| Arc::new(escorting) as Arc<_>),
            witness: Some(Box::new(witness)),
        }))
    }

    fn passed(&self, services: &mut dyn Iterator<Item = &str>, request: &FeatureRequest<'_>) {
        for service in services {
            if self.old.contains(service) {
                // One that asks several of them is one request.
                return self.facade.registry.unmapped().note(request.method, request.path, request.now);
            }
        }
    }
}

/// What a trusted gateway said of other features, to be passed on.
fn others(said: &str, name: &str) -> String {
    let choices = said.split(';').next().unwrap_or("").split(',').map(str::trim);
    let others = choices.filter(|choice| choice.split_once('=').is_some_and(|(other, _)| other != name));
    others.map(|choice| format!("{choice}, ")).collect()
}

/// Whoever asks, as a person can find them: by login, by program, or by address.
fn caller(request: &FeatureRequest<'_>) -> String {
    let named = request.user.or_else(|| request.header("user-agent"));
    match named {
        Some(name) => name.chars().take(CALLER_MAX).collect(),
        None => request.address.to_string(),
    }
}
