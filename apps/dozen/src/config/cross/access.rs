//! Who may pass, and how often: that the gateway can do what the file says, said where it stands.

use std::sync::Arc;

use dozen_core::{Ids, SystemClock, chain};
use dozen_dataplane::Place;
use dozen_gateway::Keeper;
use dozen_gateway::access::{Access, AccessError, AccessOptions};
use dozen_gateway::limit::Rate;

use super::super::app::{self, AccessItems};
use super::super::check::Checker;
use super::super::diagnostic::{Span, suggest};
use super::super::item::{Item, Value};
use super::place::{is_whole, place_of};

const HELP: &str = "docs/gateway.md says how to write who may, and how often";

/// Methods, consumers and plans, and the routes that name them.
pub(super) fn check(checker: &mut Checker<'_>, file: &Item, services: &[&str]) {
    let Some(gateway) = file.get("gateway") else { return };
    let Some(options) = shared(checker, gateway) else { return };
    asked(checker, gateway, services);
    let keeper = Keeper::rehearsal(Ids::new(Arc::new(SystemClock), 0));
    let access = match Access::compile(&options, &keeper) {
        Ok(access) => access,
        Err(error) => return wrong(checker, gateway, of_gateway(gateway, &error), &error),
    };
    for route in gateway.list("routes").iter().filter(|route| is_whole(route)) {
        let Some(options) = app::route(route) else { continue };
        if let Err(error) = access.route(&options.name(), &options.access()) {
            wrong(checker, route, of_route(route, &error), &error);
        }
    }
}

/// That the services exist that issue keys, or decide.
fn asked(checker: &mut Checker<'_>, gateway: &Item, services: &[&str]) {
    for field in gateway.get("identity").map(Item::fields).unwrap_or_default() {
        let keys = field.item.get("jwt").and_then(|jwt| jwt.get("keys")?.get("url"));
        let others = ["introspect", "forward"].map(|kind| field.item.get(kind)?.get("url"));
        for url in keys.into_iter().chain(others.into_iter().flatten()) {
            let place = url.as_text().and_then(|text| Place::parse(text).ok());
            let Some(service) = place.as_ref().and_then(Place::of_service) else { continue };
            if !services.contains(&service) {
                let help = suggest(service, "service", services.iter().copied());
                checker.wrong(url.span, format!("there is no service `{service}`"), help);
            }
        }
    }
}

/// What all routes share, if each of it is correct by itself.
fn shared(checker: &mut Checker<'_>, gateway: &Item) -> Option<AccessOptions> {
    let before = checker.mistakes.len();
    let sections = ["identity", "consumers", "plans", "shed"];
    if !sections.iter().filter_map(|section| gateway.get(section)).all(is_whole) {
        return None;
    }
    let each = |section: &str| gateway.get(section).map(Item::fields).unwrap_or_default();
    for field in each("identity") {
        one_of(checker, &field.item, "a method is");
        let inner = |name: &str| field.item.get(name);
        let keys = inner("jwt").and_then(|jwt| jwt.get("keys"));
        keys.into_iter().for_each(|keys| one_of(checker, keys, "keys are"));
        if let Some(certificate) = inner("certificate")
            && gateway.get("tls").and_then(|tls| tls.get("client-ca")).is_none()
        {
            let wrong = "no client is asked for a certificate";
            checker.wrong(certificate.span, wrong, "name who vouches for clients in `gateway.tls.client-ca`");
        }
        inner("key").into_iter().for_each(|key| one_of(checker, key, "an API key is in"));
    }
    for field in each("plans") {
        limits(checker, &field.item);
    }
    if checker.mistakes.len() > before {
        return None;
    }
    let items = AccessItems { gateway, folder: checker.around.folder };
    let options = items.read(|item, problem| {
        let at = item.get("key").unwrap_or(item);
        checker.wrong(at.span, hidden(problem, item), HELP);
    });
    (checker.mistakes.len() == before).then_some(options)
}

/// Rates, and what is counted by, in a plan or a route.
pub(super) fn limits(checker: &mut Checker<'_>, of: &Item) {
    for limit in of.list("limit") {
        let rate = limit.get("rate");
        let problem = rate.and_then(Item::as_text).and_then(|text| text.parse::<Rate>().err());
        if let (Some(rate), Some(problem)) = (rate, problem) {
            checker.wrong(rate.span, hidden(problem, rate), "write how many in how long: `100/1m`, `5/s`");
        }
        limit.get("per").into_iter().for_each(|per| one_of(checker, per, "it is counted by"));
    }
    let per = of.get("in-flight").and_then(|places| places.get("per"));
    per.into_iter().for_each(|per| one_of(checker, per, "it is counted by"));
}

/// Exactly one of its keys.
fn one_of(checker: &mut Checker<'_>, item: &Item, noun: &str) {
    match item.fields() {
        _ if !matches!(item.value, Value::Map(_)) => {}
        [_] => {}
        [] => checker.wrong(item.span, format!("{noun} one thing, and nothing stands here"), HELP),
        [first, second, ..] => {
            let wrong = format!("{noun} one thing, and here are `{}` and `{}`", first.name, second.name);
            checker.wrong(second.span, wrong, "keep one of the two");
        }
    }
}

/// Where the gateway's section holds what is wrong.
fn of_gateway(gateway: &Item, error: &AccessError) -> Option<Span> {
    let entry = |section: &str, name: &str| Some(gateway.get(section)?.field(name)?.item.span);
    match error {
        AccessError::Method { name, .. } => entry("identity", name),
        AccessError::Limit { of, .. } => {
            let plans = gateway.get("plans")?.fields();
            plans.iter().find(|plan| *of == format!("plan `{}`", plan.name)).map(|plan| plan.item.span)
        }
        AccessError::Unknown { name, .. } => {
            let consumers = gateway.get("consumers")?.fields().iter();
            let mut plans = consumers.filter_map(|consumer| consumer.item.get("plan"));
            plans.find(|plan| plan.as_text() == Some(name)).map(|plan| plan.span)
        }
        _ => gateway.field("consumers").map(|consumers| consumers.span),
    }
}

/// Where the route does.
fn of_route(route: &Item, error: &AccessError) -> Option<Span> {
    let auth = || route.get("auth");
    let item = match error {
        AccessError::Rule { .. } => auth()?.get("require"),
        AccessError::Unknown { name, .. } => return place_of(auth()?, name).map(|(span, _)| span),
        AccessError::Clients { .. } => route.get("clients"),
        AccessError::Limit { .. } => route.get("limit").or(route.get("in-flight")),
        _ => auth(),
    };
    item.map(|item| item.span)
}

fn wrong(checker: &mut Checker<'_>, item: &Item, at: Option<Span>, error: &AccessError) {
    checker.wrong(at.unwrap_or(item.span), hidden(chain(error), item), HELP);
}

/// Without what placeholders stand for.
fn hidden(problem: String, item: &Item) -> String {
    let inner = match &item.value {
        Value::Map(fields) => fields.iter().fold(problem, |problem, field| hidden(problem, &field.item)),
        Value::List(items) => items.iter().fold(problem, hidden),
        _ => problem,
    };
    match (&item.value, &item.placeholder) {
        (Value::Text(text), Some(placeholder)) if !text.is_empty() => inner.replace(text, placeholder),
        _ => inner,
    }
}
