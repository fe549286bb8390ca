//! Whether what a table makes is what the schema of the output has.

use super::compile::below;
use super::rule::{From, Into, Make, Otherwise, Rule};
use super::schema::{Part, kind_of};
use crate::mistake::Mistake;

/// Adds what is certainly wrong. What a schema does not say plainly is not looked at.
pub(super) fn check(rule: &Rule, part: Part<'_>, mistakes: &mut Vec<Mistake>) {
    types(rule, part, mistakes);
    match &rule.make {
        Make::Object(fields) => members(rule, fields, part, mistakes),
        Make::From(From { count, into: Into::Object(fields), .. }) => {
            let part = if count.is_list() { part.items() } else { part };
            members(rule, fields, part, mistakes);
        }
        _ => {}
    }
}

fn types(rule: &Rule, part: Part<'_>, mistakes: &mut Vec<Mistake>) {
    let Some(allowed) = part.types() else { return };
    let fits = |kind: &str| allowed.iter().any(|own| *own == kind || (*own == "number" && kind == "integer"));
    let made = rule.gives.iter().flatten().copied();
    let fallback = [("on-error", &rule.failing), ("default", &rule.missing)];
    let wrong = made.clone().find(|kind| !fits(kind)).map(|kind| ("", kind)).or_else(|| {
        fallback.into_iter().find_map(|(key, otherwise)| match otherwise {
            Otherwise::Value(value) => {
                let kind = kind_of(&value.approximate());
                (!fits(kind)).then_some((key, kind))
            }
            _ => None,
        })
    });
    if let Some((key, kind)) = wrong {
        let problem = format!("it gives {}, and the output has {}", article(kind), allowed.join(" or "));
        mistakes.push(Mistake::new(
            if key.is_empty() { rule.at.to_string() } else { below(&rule.at, key) },
            problem,
        ));
    }
}

fn members(rule: &Rule, fields: &[super::rule::Field], part: Part<'_>, mistakes: &mut Vec<Mistake>) {
    let named: Vec<&str> = part.names().collect();
    for field in fields {
        let at = &field.rule.at;
        match part.property(&field.name) {
            Some(own) if named.contains(&&*field.name) || part.is_open() => check(&field.rule, own, mistakes),
            _ => {
                let mistake = Mistake::new(&**at, format!("the output has no `{}`", field.name));
                mistakes.push(mistake.nearest(&field.name, part.names()));
            }
        }
    }
    for name in part.required() {
        match fields.iter().find(|field| *field.name == *name) {
            None => {
                let problem = format!("the output requires `{name}`, and no field gives it");
                mistakes.push(Mistake::new(below(&rule.at, "map"), problem));
            }
            Some(field) if may_be_left_out(&field.rule) => {
                let problem = "the output requires it, and it may be left out";
                mistakes.push(
                    Mistake::new(&*field.rule.at, problem).hint("`required: true` or `default:` keep it"),
                );
            }
            Some(_) => {}
        }
    }
}

fn may_be_left_out(rule: &Rule) -> bool {
    rule.when.is_some() || rule.missing == Otherwise::Omit || rule.failing == Otherwise::Omit
}

fn article(kind: &str) -> String {
    match kind {
        "integer" | "object" | "array" => format!("an {kind}"),
        "null" => kind.to_owned(),
        kind => format!("a {kind}"),
    }
}

/// One of JSON Schema's types.
pub(super) fn known_kind(kind: &str) -> Option<&'static str> {
    ["null", "boolean", "number", "integer", "string", "array", "object"]
        .into_iter()
        .find(|known| *known == kind)
}
