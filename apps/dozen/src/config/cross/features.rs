//! Features: that each has its services and can be understood by the strangler, and that routes name those that there are.

use dozen_core::Timestamp;
use dozen_strangler::{Error, Feature};

use super::super::app;
use super::super::check::Checker;
use super::super::diagnostic::suggest;
use super::super::item::{Field, Item, Value};
use super::place::{is_whole, place_of};

const HELP: &str = "docs/strangler.md says what a feature can hold";

pub(super) fn check(checker: &mut Checker<'_>, file: &Item, services: &[Field]) {
    let features = file.get("features").map(Item::fields).unwrap_or_default();
    for field in features {
        feature(checker, file, field, services);
    }
    let routes = file.get("gateway").map(|gateway| gateway.list("routes")).unwrap_or_default();
    for name in routes.iter().filter_map(|route| route.get("feature")) {
        let Some(text) = name.as_text() else { continue };
        if !features.iter().any(|field| field.name == text) {
            let help = suggest(text, "feature", features.iter().map(|field| field.name.as_str()));
            checker.wrong(name.span, format!("there is no feature `{text}`"), help);
        }
    }
}

fn feature(checker: &mut Checker<'_>, file: &Item, field: &Field, services: &[Field]) {
    let (name, item) = (&field.name, &field.item);
    let before = checker.mistakes.len();
    for side in ["old", "new"] {
        super::destination(checker, item.get(side), services, None, None);
        let proof = item.get("login").and_then(|login| login.get(side));
        for asked in ["whose", "issue"] {
            super::destination(checker, proof.and_then(|proof| proof.get(asked)), services, None, None);
        }
        translator(checker, file, item, side);
    }
    if let (Some(old), Some(new)) = (item.text("old"), item.get("new"))
        && new.as_text() == Some(old)
    {
        let help = "name the service that will have the capability";
        checker.wrong(new.span, format!("`{old}` is the old side already"), help);
    }
    if checker.mistakes.len() > before || !is_whole(item) {
        return;
    }
    let understood = match app::feature(item) {
        Ok(options) => Feature::new(name, options, Timestamp(0)).map(|_| ()),
        Err(problem) => return checker.wrong(place(item, &problem), problem, HELP),
    };
    match understood {
        Ok(()) => {}
        Err(Error::Rule { rule, problem, .. }) => {
            let span = place_of(item, &rule).map_or(field.span, |(span, _)| span);
            checker.wrong(span, format!("`{rule}` {problem}"), HELP);
        }
        Err(Error::Setting { setting, problem, .. }) => {
            let found = setting.split('.').try_fold(item, |item, name| item.get(name));
            checker.wrong(found.map_or(field.span, |item| item.span), format!("`{setting}` {problem}"), HELP);
        }
        Err(Error::Ladder { problem, .. }) => {
            let stages = item.get("stages").map_or(field.span, |stages| stages.span);
            checker.wrong(stages, format!("the stages {problem}"), HELP);
        }
        Err(error) => checker.wrong(field.span, error.to_string(), HELP),
    }
}

/// A translator that is named has to be in the file.
fn translator(checker: &mut Checker<'_>, file: &Item, item: &Item, side: &str) {
    let named = item.get("compare").and_then(|compare| compare.get("translators")?.get(side));
    let Some((item, name)) = named.and_then(|item| Some((item, item.as_text()?))) else { return };
    let known = file.get("translators").map(Item::fields).unwrap_or_default();
    if !known.iter().any(|field| field.name == name) {
        let help = suggest(name, "translator", known.iter().map(|field| field.name.as_str()));
        checker.wrong(item.span, format!("there is no translator `{name}`"), help);
    }
}

/// The value that a problem quotes, where it stands.
fn place(item: &Item, problem: &str) -> super::Span {
    fn texts<'i>(item: &'i Item, found: &mut Vec<(&'i str, super::Span)>) {
        match &item.value {
            Value::Text(text) => found.push((text, item.span)),
            Value::Map(fields) => fields.iter().for_each(|field| texts(&field.item, found)),
            Value::List(items) => items.iter().for_each(|item| texts(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    texts(item, &mut found);
    let quoted = found.iter().find(|(text, _)| problem.contains(&format!("`{text}`")));
    quoted.map_or(item.span, |(_, span)| *span)
}
