//! The walk through both schemas at once.

use std::collections::{HashSet, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};

use serde_json::{Map, Value};

use super::BREAKS_MAX;
use super::draft::Draft;
use super::shape::{Allowed, REMARKS, Shape, resolve, shape};

/// How many pairs of schemas are compared.
const PAIRS_MAX: usize = 20_000;

/// How deep schemas nest.
const DEPTH_MAX: usize = 48;

/// Keywords of the reader that are compared by whether they stand unchanged.
const WHOLE: &[&[&str]] = &[
    &["not"],
    &["if", "then", "else"],
    &["contains", "minContains", "maxContains"],
    &["dependentRequired"],
    &["dependentSchemas"],
    &["dependencies"],
    &["unevaluatedItems"],
    &["unevaluatedProperties"],
    &["$dynamicRef"],
    &["$recursiveRef"],
    &["$dynamicAnchor"],
    &["$recursiveAnchor"],
];

/// One break, without who it breaks.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) certain: bool,
    pub(super) problem: String,
}

/// Where a reader's schema may refuse what a writer's schema allows.
pub(super) fn breaks(writer: &Value, reader: &Value) -> Vec<Found> {
    if writer == reader {
        return Vec::new();
    }
    let undecided =
        |problem: &str| vec![Found { path: String::new(), certain: false, problem: problem.to_owned() }];
    let draft = match Draft::common(writer, reader) {
        Ok(draft) => draft,
        Err(problem) => return undecided(problem),
    };
    if has_inner_id(writer, true) || has_inner_id(reader, true) {
        return undecided("a schema inside a schema has an `$id`, and references in it are not followed");
    }
    let definitions = |root: &Value| DEFINITIONS.map(|name| root.get(name).cloned().unwrap_or(Value::Null));
    let own = definitions(writer);
    let same_definitions = own == definitions(reader) && own.iter().all(|own| leads_nowhere_else(own, true));
    let (found, path, seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut walk = Walk { writer, reader, draft, same_definitions, found, path, seen, pairs: 0 };
    walk.pair(writer, reader);
    let mut found = walk.found;
    found.dedup_by(|left, right| left.path == right.path && left.problem == right.problem);
    found
}

/// Where definitions stand.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Whether `part` refers to nothing, or, where that may be, to definitions only.
fn leads_nowhere_else(part: &Value, definitions: bool) -> bool {
    match part {
        Value::Object(members) => members.iter().all(|(name, value)| {
            let leads = ["$ref", "$dynamicRef", "$recursiveRef"].contains(&name.as_str());
            let inside = value.as_str().is_some_and(|reference| {
                DEFINITIONS.iter().any(|name| reference.starts_with(&format!("#/{name}/")))
            });
            (!leads || (definitions && inside)) && leads_nowhere_else(value, definitions)
        }),
        Value::Array(parts) => parts.iter().all(|part| leads_nowhere_else(part, definitions)),
        _ => true,
    }
}

fn has_inner_id(part: &Value, is_root: bool) -> bool {
    match part {
        Value::Object(members) => {
            (!is_root && members.get("$id").is_some_and(Value::is_string))
                || members.values().any(|value| has_inner_id(value, false))
        }
        Value::Array(parts) => parts.iter().any(|part| has_inner_id(part, false)),
        _ => false,
    }
}

pub(super) struct Walk<'s> {
    pub(super) writer: &'s Value,
    pub(super) reader: &'s Value,
    pub(super) draft: Draft,
    /// Whether definitions are equal and refer to definitions only, so that equal references mean the same.
    same_definitions: bool,
    found: Vec<Found>,
    path: Vec<String>,
    /// Pairs behind references that are being compared or have been: a schema that contains itself comes round.
    seen: HashSet<u64>,
    pairs: usize,
}

impl Walk<'_> {
    pub(super) fn certain(&mut self, problem: impl Into<String>) {
        self.tell(true, problem.into());
    }

    pub(super) fn undecided(&mut self, problem: impl Into<String>) {
        self.tell(false, problem.into());
    }

    fn tell(&mut self, certain: bool, problem: String) {
        if self.found.len() < BREAKS_MAX {
            let path: String = self.path.iter().map(|step| format!("/{step}")).collect();
            self.found.push(Found { path, certain, problem });
        }
    }

    /// Compares what stands at a step further into the payload.
    pub(super) fn at(&mut self, step: &str, writer: &Value, reader: &Value) {
        self.path.push(step.replace('~', "~0").replace('/', "~1"));
        self.pair(writer, reader);
        self.path.pop();
    }

    /// Whether all that `writer` allows is allowed by `reader`, without telling about it.
    pub(super) fn quietly(&mut self, writer: &Value, reader: &Value) -> bool {
        let before = std::mem::take(&mut self.found);
        let seen = self.seen.clone();
        self.pair(writer, reader);
        let fits = std::mem::replace(&mut self.found, before).is_empty();
        if !fits {
            // What was supposed of a pair on the way is not known after all.
            self.seen = seen;
        }
        fits
    }

    /// Compares two schemas at the same place.
    pub(super) fn pair(&mut self, writer: &Value, reader: &Value) {
        self.pairs += 1;
        if self.pairs > PAIRS_MAX || self.path.len() > DEPTH_MAX {
            if self.pairs <= PAIRS_MAX + 1 || self.found.is_empty() {
                self.undecided("the schemas are too large or too deep to be compared");
            }
            return;
        }
        if self.same(writer, reader) {
            return;
        }
        match reader {
            Value::Bool(true) => {}
            Value::Object(members) if members.keys().all(|keyword| REMARKS.contains(&keyword.as_str())) => {}
            Value::Bool(false) => match self.written(writer) {
                Ok(Allowed::Nothing) => {}
                Ok(Allowed::Some(_)) => self.certain("nothing is allowed here any more"),
                Err(problem) => self.undecided(problem),
            },
            Value::Object(members) => self.against(writer, members),
            _ => self.undecided("this is no schema"),
        }
    }

    /// Compares with a reader's schema that says something. Each of its parts must allow all that the writer's does.
    fn against(&mut self, writer: &Value, reader: &Map<String, Value>) {
        let flat = match self.written(writer) {
            Ok(Allowed::Nothing) => return,
            Ok(Allowed::Some(flat)) => flat,
            Err(problem) => return self.undecided(problem),
        };
        if let Some(reference) = reader.get("$ref") {
            match resolve(self.reader, reference) {
                Err(problem) => self.undecided(problem),
                Ok(target) => {
                    let mut hasher = DefaultHasher::new();
                    (flat.to_schema().to_string(), reference.as_str()).hash(&mut hasher);
                    if self.seen.insert(hasher.finish()) {
                        self.pair(writer, target);
                    }
                }
            }
        }
        for part in reader.get("allOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
            self.pair(writer, part);
        }
        for group in WHOLE {
            self.whole(group, &flat, reader);
        }
        if let Some(values) = flat.values() {
            return self.values(&values, &flat, reader);
        }
        if self.split(&flat, reader) {
            return;
        }
        self.types(&flat, reader);
    }

    /// A group of keywords that must stand as it is.
    fn whole(&mut self, group: &[&str], writer: &Shape, reader: &Map<String, Value>) {
        let said = group.iter().any(|keyword| reader.contains_key(*keyword));
        let unchanged = group.iter().all(|keyword| match (writer.0.get(*keyword), reader.get(*keyword)) {
            (Some(writer), Some(reader)) => self.same(writer, reader),
            (None, None) => true,
            _ => false,
        });
        if said && !unchanged {
            self.undecided(format!("`{}` is new or has changed, and cannot be compared", group.join("`, `")));
        }
    }

    /// Whether two parts say the same: they are equal, and so is all that their references lead to.
    pub(super) fn same(&self, writer: &Value, reader: &Value) -> bool {
        writer == reader && leads_nowhere_else(writer, self.same_definitions)
    }

    /// What the writer's schema allows at one place.
    pub(super) fn written(&self, schema: &Value) -> Result<Allowed, String> {
        shape(self.writer, schema, self.draft)
    }
}
