//! Routes: that each can be understood by the gateway, leads to a service, and is not hidden by another.

use std::collections::BTreeMap;

use dozen_gateway::{Error, RouteTable};

use super::super::app;
use super::super::check::Checker;
use super::super::diagnostic::Span;
use super::super::item::{Field, Item, Value};
use super::super::template::Template;
use super::place::{is_whole, place_of};

/// What may stand in a target beside the names of the match.
const VARIABLES: [&str; 8] = ["method", "host", "scheme", "address", "path", "uri", "consumer", "route"];

pub(super) fn check(checker: &mut Checker<'_>, file: &Item, services: &[Field]) {
    let Some(gateway) = file.get("gateway") else { return };
    let mut seen: BTreeMap<(String, String, String, String), Span> = BTreeMap::new();
    for route in gateway.list("routes") {
        let Some(matching) = route.get("match").filter(|item| !matches!(item.value, Value::Off)) else {
            continue;
        };
        let before = checker.mistakes.len();
        let template = matching.text("path").map(Template::parse);
        let names = template
            .as_ref()
            .and_then(|t| t.as_ref().ok())
            .map(|t| t.names().chain(VARIABLES).collect::<Vec<_>>());
        let of_match = names.as_ref().map(|names| &names[..names.len() - VARIABLES.len()]);
        for one in route.list("to") {
            super::destination(checker, one.get("service"), services, names.as_deref(), of_match);
        }
        if let Some(composed) = route.get("compose") {
            composes(checker, route, composed, services);
        }
        super::access::limits(checker, route);
        // What is wrong already need not be said in other words.
        if checker.mistakes.len() == before && is_whole(route) {
            understood(checker, route, matching);
        }
        let shape = match (template, matching.text("regex")) {
            (Some(Ok(template)), None) => template.shape(),
            (None, Some(regex)) => format!("~{regex}"),
            _ => continue,
        };
        hidden(checker, matching, shape, &mut seen);
    }
}

/// Each service that a composition asks has to be there and to take requests.
fn composes(checker: &mut Checker<'_>, route: &Item, composed: &Item, services: &[Field]) {
    let Some(compose) = app::route(route).and_then(|options| options.compose) else { return };
    for name in compose.services() {
        let service = Item::new(composed.span, Value::Text(name.to_owned()));
        super::destination(checker, Some(&service), services, None, None);
    }
}

/// The gateway has the last word on a route; what it refuses is shown where it stands.
fn understood(checker: &mut Checker<'_>, route: &Item, matching: &Item) {
    let Some(options) = app::route(route) else {
        return checker.wrong(route.span, "this route cannot be understood", "please report it");
    };
    let Err(error) = RouteTable::compile(&[options]) else { return };
    let help = "docs/gateway.md says what a route can hold; `dozen explain` shows what becomes of a request";
    match error {
        Error::Text { text, problem, .. } => match place_of(route, &text) {
            Some((span, Some(placeholder))) => {
                checker.wrong(span, format!("`{placeholder}` cannot stand here"), help);
            }
            place => {
                let elsewhere = || around(route, &text).unwrap_or(matching.span);
                let span = place.map_or_else(elsewhere, |(span, _)| span);
                checker.wrong(span, format!("`{text}` {problem}"), help);
            }
        },
        error => checker.wrong(matching.span, error.to_string(), help),
    }
}

/// Where that stands of which `text` is a place in it, such as `compose.order.get`: as far down as the tree is known.
fn around(item: &Item, text: &str) -> Option<Span> {
    let (name, rest) = text.split_once('.').unwrap_or((text, ""));
    let inner = item.get(name)?;
    around(inner, rest).or(Some(inner.span))
}

/// Two routes for the same requests: the second in the file is the mistake.
fn hidden(
    checker: &mut Checker<'_>,
    matching: &Item,
    shape: String,
    seen: &mut BTreeMap<(String, String, String, String), Span>,
) {
    let host = matching.text("host").unwrap_or("*").to_ascii_lowercase();
    let parts = ["headers", "query", "cookie", "claim"].iter().flat_map(|part| {
        let fields = matching.get(part).map(Item::fields).unwrap_or_default();
        fields.iter().map(move |field| {
            let name = if *part == "headers" { field.name.to_ascii_lowercase() } else { field.name.clone() };
            format!("{part} {name}={}\n", field.item.shown())
        })
    });
    let mut conditions: Vec<String> = parts.collect();
    conditions.sort();
    conditions.extend(matching.text("when").map(str::to_owned));
    let methods: Vec<String> = match matching.list("method") {
        [] => vec!["*".into()],
        methods => methods.iter().filter_map(|item| item.as_text().map(str::to_owned)).collect(),
    };
    let span = matching.get("path").or(matching.get("regex")).map_or(matching.span, |path| path.span);
    for method in methods {
        let first = *seen.entry((host.clone(), shape.clone(), conditions.concat(), method)).or_insert(span);
        if first != span {
            let wrong = format!("another route, on line {}, takes the same requests", first.line);
            let help = "remove one, or tell them apart by path, method, host, header or query";
            return checker.wrong(span, wrong, help);
        }
    }
}
