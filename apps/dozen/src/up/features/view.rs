//! The features of one file, as the gateway asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dozen_gateway::{Course, FeatureRequest, Features, Way};
use dozen_strangler::cohort::{self, HEADER};
use dozen_strangler::{Asked, Feature, Prepared, Serve, is_safe};

use super::escort::{Escorting, Plan};
use super::witness::{Underway, Watching};
use super::{Facade, Face};

/// Characters of a caller's name that are kept.
const CALLER_MAX: usize = 100;

/// The features of one file, each with what makes its two systems look like one.
pub(in crate::up) struct View {
    facade: Arc<Facade>,
    prepared: Prepared,
    features: BTreeMap<String, (Arc<Feature>, Face)>,
    /// The services that features come from: what goes there by another way is a move that nobody has thought of.
    old: BTreeSet<String>,
}

impl View {
    pub(super) fn new(facade: Arc<Facade>, prepared: Prepared) -> Arc<Self> {
        let face = |feature: &Arc<Feature>| {
            (feature.name().to_owned(), (feature.clone(), facade.face(feature.options())))
        };
        let features = prepared.features().map(face).collect();
        let old = prepared.features().map(|feature| feature.options().old.clone()).collect();
        Arc::new(Self { facade, prepared, features, old })
    }

    /// Keeps them in step with the store from now on. Gives the names of those that are other than before.
    pub(in crate::up) fn take_over(&self) -> Vec<String> {
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
                feature.begin(&decision).cut(Some(&caller), request.now);
                return Some(Course::Answer { status, title: "the old system is gone for good".into() });
            }
        };
        let underway = Underway::new(feature.begin(&decision));
        let plan = self.facade.escort(feature, face, decision, (side, key), &underway, request);
        let mut set: Vec<(std::borrow::Cow<'static, str>, String)> = Vec::new();
        let others = said.filter(|_| request.is_trusted).map(|said| others(said, name)).unwrap_or_default();
        set.extend(decision.header(name).map(|choice| (HEADER.into(), others + &choice)));
        // What is compared or rewritten must be readable; a write's answer is only ever rewritten.
        let is_read = |plan: &Plan| plan.rewriting.is_some() || (plan.reserved.is_some() && is_safe(method));
        if plan.as_ref().is_some_and(is_read) {
            set.push(("accept-encoding".into(), "identity".into()));
        }
        // An escort may have to ask others first, and says itself when the service is asked.
        if plan.is_none() && request.is_whole {
            underway.waits();
        }
        let escorting = plan.map(Escorting::new);
        let rewriting = face.rewriting(side).cloned();
        let witness = Watching { rewriting, underway, caller, clock: self.facade.ids.clone() };
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
