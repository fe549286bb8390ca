//! Two states of a file, section by section.

use std::collections::BTreeMap;

use super::expand;
use super::item::{Item, Value};
use super::keys::CALLING;

/// Each section of the file in full, with secrets masked; of services without how they are called, which can change.
pub(super) fn sections(file: &Item) -> Vec<(String, String)> {
    let alone = |field: &super::item::Field| {
        let mut field = field.clone();
        if field.name == "services" {
            field.item = without_calling(&field.item);
        }
        let name = field.name.clone();
        let one = Item::new(file.span, Value::Map(vec![field]));
        (name, expand::expanded(&one))
    };
    file.fields().iter().map(alone).collect()
}

fn without_calling(services: &Item) -> Item {
    let mut services = services.clone();
    if let Value::Map(all) = &mut services.value {
        for service in all {
            if let Value::Map(fields) = &mut service.item.value {
                fields.retain(|field| CALLING.iter().all(|key| key.name != field.name));
            }
        }
    }
    services
}

/// The first and last line of each entry of a section, and of each route of a feature, counted from 1. An entry ends where as much or less is indented.
pub(super) fn places(file: &Item, text: &str) -> BTreeMap<String, (u32, u32)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let extent = |first: usize| {
        let head = lines.get(first.saturating_sub(1))?;
        let inside = |line: &&&str| line.trim().is_empty() || indent(line) > indent(head);
        let below = lines.iter().skip(first).take_while(inside).collect::<Vec<_>>();
        let full = below.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1);
        let number = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
        Some((number(first), number(first + full)))
    };
    let mut places = BTreeMap::new();
    for section in file.fields().iter().filter(|section| section.given) {
        for entry in section.item.fields().iter().filter(|entry| entry.given) {
            let place = extent(entry.span.line);
            places.extend(place.map(|place| (format!("{}.{}", section.name, entry.name), place)));
        }
    }
    // Routes of features that were written out; those that a `match` stands for have their feature's place.
    let routes = file.get("gateway").map(|gateway| gateway.list("routes")).unwrap_or_default();
    for route in routes.iter().filter(|route| route.get("feature").is_some()) {
        let (Some(options), Some(place)) = (super::app::route(route), extent(route.span.line)) else {
            continue;
        };
        let is_short = options.feature.as_ref().and_then(|name| places.get(&format!("features.{name}")));
        if is_short.is_none_or(|(first, last)| place.0 < *first || place.0 > *last) {
            places.insert(format!("gateway.routes.{}", options.name()), place);
        }
    }
    places
}

/// The sections that are not the same, but for the gateway's and the features'.
pub fn differing(old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let text = |of: &[(String, String)], name: &str| {
        of.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
    };
    let mut names: Vec<&String> = old.iter().chain(new).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    names.retain(|name| {
        !matches!(name.as_str(), "gateway" | "features") && text(old, name) != text(new, name)
    });
    names.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::differing;

    #[test]
    fn what_else_differs_is_named_and_the_gateway_is_not() {
        let of = |sections: &[(&str, &str)]| -> Vec<(String, String)> {
            sections.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let old = of(&[("app", "a"), ("gateway", "x"), ("queues", "q")]);
        let new = of(&[("app", "a"), ("gateway", "y"), ("store", "s")]);
        assert_eq!(differing(&old, &new), ["queues", "store"]);
        assert!(differing(&old, &old).is_empty());
    }
}
