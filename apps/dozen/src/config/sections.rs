//! Two states of a file, section by section.
//!
//! What runs was made from most sections, and stays as it was made; the rest can change while it runs. Held against each
//! other is what a section *says*, secrets and what placeholders stand for included: so only a fingerprint of it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::item::{Field, Item, Value};
use super::keys::CALLING;

/// What of a file only another process can be: by section, and by service a fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(BTreeMap<String, u64>);

impl Sections {
    /// Those of a file.
    pub(super) fn of(file: &Item) -> Self {
        let mut sections = BTreeMap::new();
        for field in file.fields() {
            match field.name.as_str() {
                "gateway" | "features" | "traces" => {}
                "services" => sections.extend(field.item.fields().iter().filter_map(fixed)),
                name => drop(sections.insert(name.to_owned(), fingerprint(&field.item))),
            }
        }
        Self(sections)
    }

    /// The names of those that are not the same.
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

/// What of a service cannot change while this process runs. Of one that runs elsewhere, that is nothing but its sidecar.
fn fixed(service: &Field) -> Option<(String, u64)> {
    let runs = service.item.get("run").is_some();
    let has_sidecar = match service.item.get("sidecar") {
        Some(sidecar) => !matches!(sidecar.value, Value::Off),
        None => runs,
    };
    if !runs && !has_sidecar {
        return None;
    }
    let mut item = service.item.clone();
    if let Value::Map(fields) = &mut item.value {
        let is_call = |name: &str| CALLING.iter().any(|key| key.name == name);
        // A sidecar asks other services as patiently as the file says of its own.
        fields.retain(|field| !is_call(&field.name) && (field.name != "timeout" || has_sidecar));
    }
    Some((format!("services.{}", service.name), fingerprint(&item)))
}

/// The same for what means the same, wherever it stands.
fn fingerprint(item: &Item) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(item, &mut hasher);
    hasher.finish()
}

fn feed(item: &Item, hasher: &mut DefaultHasher) {
    match &item.value {
        Value::Map(fields) => {
            fields.len().hash(hasher);
            for field in fields {
                field.name.hash(hasher);
                feed(&field.item, hasher);
            }
        }
        Value::List(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| feed(item, hasher));
        }
        Value::Json { value, .. } => value.to_string().hash(hasher),
        value => format!("{value:?}").hash(hasher),
    }
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

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    fn differing(old: &str, new: &str) -> Vec<String> {
        read(old).unwrap().sections.differing(&read(new).unwrap().sections)
    }

    #[test]
    fn what_only_another_process_can_be_is_named_and_the_rest_is_not() {
        let file = |more: &str| format!("app: a\n{more}\n");
        let gateway = "gateway: { routes: { /a: { answer: { status: 200 } } } }";
        assert!(differing(&file(""), &file(gateway)).is_empty());
        assert_eq!(differing(&file("queues: { q: }"), &file("topics: { t: }")), ["queues", "topics"]);
        assert_eq!(differing(&file("store: sqlite:a.db"), &file("store: sqlite:b.db")), ["store"]);
    }

    #[test]
    fn of_a_service_that_runs_elsewhere_everything_can_change_but_its_sidecar() {
        let file = |services: &str| format!("app: a\nservices: {{ {services} }}\n");
        let one = file("a: { at: 'http://h:1' }");
        for other in ["", "a: { at: 'http://h:2', timeout: 1s, retry: , tls: true }, b: { at: 'http://h:3' }"]
        {
            assert!(differing(&one, &file(other)).is_empty(), "{other}");
        }
        assert_eq!(differing(&one, &file("a: { at: 'http://h:1', sidecar: true }")), ["services.a"]);
        assert_eq!(differing(&one, &file("a: { run: x, port: 1 }")), ["services.a"]);
        let run = file("a: { run: x, port: 1, sidecar: false }");
        assert!(
            differing(&run, &file("a: { run: x, port: 1, sidecar: false, timeout: 1s, retry: }")).is_empty()
        );
        assert_eq!(differing(&run, &file("a: { run: y, port: 1, sidecar: false }")), ["services.a"]);
    }
}
