//! Features: what the strangler decides, for the gateway that asks; and what runs beside it.
//!
//! ```text
//!  gateway ── course ──► Facade ── decide ──► Registry ◄── looks, gate, journal ── store
//!     │                    │
//!     ├── escort ──────────┤ copies for Shadow, intents and outcomes for Feed, proofs for the other side's login
//!     └── witness ─────────┘ counts, cookies and redirects rewritten
//!                             Shadow, Feed ──► Direct: a client and endpoints of its own ──► services
//! ```
//!
//! The gateway knows no features, and the strangler no gateway: this is where the two meet. A request that nobody wants to
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

use arc_swap::ArcSwap;
use dozen_core::Ids;
use dozen_gateway::{Course, FeatureRequest, Features, Gateway, Way};
use dozen_store::Store;
use dozen_strangler::cohort::{self, HEADER};
use dozen_strangler::{
    Asked, Decision, Feature, FeatureOptions, Registry, RegistryOptions, Serve, Shadow, ShadowOptions, Side,
    Translators, is_safe,
};
use tokio::sync::Semaphore;

use self::escort::{Escorting, Plan};
use self::login::Login;
use self::sender::Direct;
use self::witness::{Rewriting, Watching};
use super::Parts;
use super::registry::Resolve;
use crate::Error;
use crate::config::App;

/// Bytes of a request's head that are set aside when it is copied.
const HEAD_BYTES: usize = 2 * 1024;
/// Writes that may be on their way beside their clients.
const WRITES_MAX: usize = 1024;
/// Characters of a caller's name that are kept.
const CALLER_MAX: usize = 100;

/// Decides for the gateway.
pub(super) struct Facade {
    pub(super) registry: Arc<Registry>,
    pub(super) shadow: Arc<Shadow>,
    sender: Arc<Direct>,
    store: Store,
    ids: Ids,
    /// For writes that are on their way beside their clients.
    beside: Arc<Semaphore>,
    faces: ArcSwap<Faces>,
}

/// What the file says of features beside what decides on them.
#[derive(Default)]
struct Faces {
    /// By feature.
    of: BTreeMap<String, Arc<Face>>,
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
    resolve: &Resolve,
    store: &Store,
    ids: &Ids,
    translators: Translators,
) -> Result<Arc<Facade>, Error> {
    let options = RegistryOptions::new(gateway_name(app), ids.next().to_string());
    let registry = Registry::translated(store.clone(), &app.features, options, Some(translators));
    let registry = registry.map_err(Error::pattern("understand the features"))?;
    let sender = Arc::new(Direct::new(resolve, ids));
    let shadow = Arc::new(Shadow::new(ShadowOptions::default(), sender.clone(), ids.clone()));
    let (store, ids) = (store.clone(), ids.clone());
    let beside = Arc::new(Semaphore::new(WRITES_MAX));
    let facade = Facade { registry, shadow, sender, store, ids, beside, faces: ArcSwap::default() };
    facade.face(&app.features);
    Ok(Arc::new(facade))
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
    /// Speaks to services as the gateway does, from now on.
    pub(super) fn speak_as(&self, gateway: &Arc<Gateway>) {
        self.sender.speak_as(gateway);
    }

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

    /// Takes over the features of a changed file, all of them or none. Gives the names of those that changed.
    pub(super) fn apply(
        &self,
        features: &BTreeMap<String, FeatureOptions>,
    ) -> Result<Vec<String>, dozen_strangler::Error> {
        let before: BTreeMap<String, FeatureOptions> = self.options();
        self.registry.apply(features)?;
        self.face(features);
        let names = before.keys().chain(features.keys().filter(|name| !before.contains_key(*name)));
        Ok(names.filter(|name| before.get(*name) != features.get(*name)).cloned().collect())
    }

    /// The features as they are now, to go back to.
    pub(super) fn options(&self) -> BTreeMap<String, FeatureOptions> {
        let features = self.registry.features();
        features.iter().map(|one| (one.name().to_owned(), one.options().clone())).collect()
    }

    fn face(&self, features: &BTreeMap<String, FeatureOptions>) {
        let face = |options: &FeatureOptions| Face {
            rewriting: [Side::Old, Side::New]
                .map(|side| options.rewrite.as_ref().map(|rewrite| Arc::new(Rewriting::new(rewrite, side)))),
            login: options
                .login
                .as_ref()
                .map(|login| Arc::new(Login::new(login.clone(), self.sender.clone()))),
        };
        let faces = features.iter().map(|(name, options)| (name.clone(), Arc::new(face(options))));
        let old = features.values().map(|options| options.old.clone()).collect();
        self.faces.store(Arc::new(Faces { of: faces.collect(), old }));
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

impl Features for Facade {
    fn course(&self, name: &str, request: &FeatureRequest<'_>) -> Option<Course> {
        let feature = self.registry.feature(name)?;
        let faces = self.faces.load();
        let face = faces.of.get(name)?;
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
        let plan = self.escort(&feature, face, decision, (side, key), request);
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
            clock: self.ids.clone(),
            answered_here,
        };
        Some(Course::To(Way {
            service: feature.service(side).into(),
            set,
            removed: Vec::new(),
            escort: escorting.map(|escorting| Arc::new(escorting) as Arc<_>),
            witness: Some(Box::new(witness)),
        }))
    }

    fn passed(&self, services: &mut dyn Iterator<Item = &str>, request: &FeatureRequest<'_>) {
        let faces = self.faces.load();
        for service in services {
            if faces.old.contains(service) {
                // One that asks several of them is one request.
                return self.registry.unmapped().note(request.method, request.path, request.now);
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
