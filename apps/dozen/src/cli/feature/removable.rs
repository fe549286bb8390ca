//! What can go from the file once features are retired.
//!
//! ```text
//!  features.checkout   retired            ─► its lines, and routes that name it say where they go instead
//!       └ old: article                    ─► translators.article   if nothing else asks it
//!              └ provider: legacy         ─► providers.legacy      if no other translator does
//!                    └ service: legacy    ─► services.legacy       if nothing else goes there
//! ```
//!
//! Only what the file says is looked at: who is called by its name through a sidecar is not known here.

use std::collections::BTreeSet;

use dozen_anticorruption::TranslatorOptions;
use dozen_gateway::Compose;
use dozen_gateway::auth::MethodOptions;
use dozen_strangler::{Registry, Removable, Stage};
use serde_json::json;

use super::super::look::{Look, table};
use crate::config::{App, Receiver};

pub(super) fn removable(look: &Look, registry: &Registry, as_json: bool) -> String {
    let features = registry.features();
    let retired =
        |name: &str| features.iter().any(|one| one.name() == name && one.state().stage == Stage::Retired);
    let of = features.iter().map(|one| (one.name(), one.state().stage));
    let mut found = dozen_strangler::removable(of);
    found.extend(routes(look, &retired));
    found.extend(sources(&look.app, &retired).into_iter().map(|what| {
        let why = "all of its features are retired, and nothing else in the file needs it";
        Removable { what, lines: None, why: why.to_owned() }
    }));
    let found: Vec<Removable> =
        found.into_iter().map(|one| Removable { lines: look.lines(&one.what), ..one }).collect();
    if as_json {
        return format!("{:#}\n", json!(found));
    }
    if found.is_empty() {
        return "nothing yet: no feature is retired\n".into();
    }
    let row = |one: &Removable| {
        let lines = one.lines.map(|lines| format!("{}-{}", lines.first, lines.last));
        vec![one.what.clone(), lines.unwrap_or_default(), one.why.clone()]
    };
    table(&["CAN GO", "LINES", "WHY"], &found.iter().map(row).collect::<Vec<_>>())
}

/// Routes that were written out and name a retired feature; those that its `match` stands for go with it.
fn routes(look: &Look, retired: &dyn Fn(&str) -> bool) -> Vec<Removable> {
    let all = look.app.gateway.iter().flat_map(|gateway| &gateway.routes);
    let named = all.filter_map(|route| {
        let feature = route.feature.as_deref().filter(|feature| retired(feature))?;
        let what = format!("gateway.routes.{}", route.name());
        look.lines(&what)?;
        let new = &look.app.features.get(feature)?.new;
        let why = format!("`to: {new}` says the same as `feature: {feature}`");
        Some(Removable { what, lines: None, why })
    });
    named.collect()
}

/// The old systems of retired features, and what stands behind them, as far as nothing else needs it.
fn sources(app: &App, retired: &dyn Fn(&str) -> bool) -> Vec<String> {
    let needed = needed(app, retired);
    let over = app.features.iter().filter(|(name, _)| retired(name)).map(|(_, feature)| feature);
    let names: BTreeSet<&str> = over
        .flat_map(|feature| {
            let translators = feature.compare.translators.iter().flat_map(|names| [&names.old, &names.new]);
            translators.chain([&feature.old]).map(String::as_str)
        })
        .filter(|name| !needed.contains(name))
        .collect();
    let pattern = &app.translators.options;
    let goes = |name: &&String| names.contains(name.as_str());
    let asks = |which: &dyn Fn(&&String) -> bool| -> BTreeSet<&str> {
        let some = pattern.translators.iter().filter(|(name, _)| which(name));
        some.flat_map(|(_, translator)| providers(translator)).collect()
    };
    let kept = asks(&|name| !goes(name));
    let freed: BTreeSet<&str> = asks(&goes).difference(&kept).copied().collect();
    let behind = |provider: &str| {
        let said = pattern.providers.get(provider).and_then(|options| options.service.as_deref());
        said.map_or_else(|| provider.to_owned(), str::to_owned)
    };
    let reached: BTreeSet<String> = pattern
        .providers
        .keys()
        .filter(|name| !freed.contains(name.as_str()))
        .map(|name| behind(name))
        .collect();
    let services: BTreeSet<String> = names
        .iter()
        .map(|name| (*name).to_owned())
        .chain(freed.iter().map(|provider| behind(provider)))
        .filter(|name| {
            app.service(name).is_some() && !needed.contains(name.as_str()) && !reached.contains(name)
        })
        .collect();
    let translators = pattern.translators.keys().filter(goes).map(|name| format!("translators.{name}"));
    let providers = freed.iter().map(|name| format!("providers.{name}"));
    translators.chain(providers).chain(services.iter().map(|name| format!("services.{name}"))).collect()
}

fn providers(translator: &TranslatorOptions) -> impl Iterator<Item = &str> {
    translator.calls.values().flat_map(|call| &call.ask).map(|ask| ask.provider.as_str())
}

/// The names of services and translators that something beside the retired features goes to.
fn needed<'a>(app: &'a App, retired: &dyn Fn(&str) -> bool) -> BTreeSet<&'a str> {
    let service = |to: &'a str| to.split(':').next().unwrap_or_default();
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    if let Some(gateway) = &app.gateway {
        let routed = gateway.routes.iter().flat_map(|route| {
            let composed = route.compose.iter().flat_map(Compose::services);
            route.to.iter().map(|one| one.service.as_str()).chain(composed)
        });
        needed.extend(routed.map(service));
        needed.extend(gateway.access.identity.values().filter_map(|method| match method {
            MethodOptions::Forward(forward) => Some(service(&forward.url)),
            MethodOptions::Introspect(introspect) => Some(service(&introspect.url)),
            MethodOptions::Jwt(_) | MethodOptions::Key(_) | MethodOptions::Certificate(_) => None,
        }));
    }
    needed.extend(app.subscriptions.iter().filter_map(|subscription| match &subscription.to {
        Receiver::Service(target) => Some(target.service.as_str()),
        Receiver::Url(_) => None,
    }));
    needed.extend(app.translators.wires.iter().map(|wire| wire.translator.as_str()));
    for (name, feature) in &app.features {
        needed.insert(service(&feature.new));
        if retired(name) {
            continue;
        }
        needed.insert(service(&feature.old));
        let proofs = feature.login.iter().flat_map(|login| [&login.old, &login.new]);
        needed.extend(proofs.flat_map(|proof| [service(&proof.whose), service(&proof.issue)]));
        let compared = feature.compare.translators.iter().flat_map(|names| [&names.old, &names.new]);
        needed.extend(compared.map(String::as_str));
    }
    needed
}
