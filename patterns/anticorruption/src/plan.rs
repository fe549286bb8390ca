//! Which calls wait for which: inferred from what their questions are made of.
//!
//! ```text
//!   price:  with { sku: input.sku! }                      ┐ at the same time
//!   item:   with { sku: input.sku! }                      ┘
//!   rating: with { id: item.id! }                           once `item` has answered
//! ```

use std::collections::BTreeMap;

use dozen_mapping::Value;

use crate::error::Gathered;
use crate::options::CallOptions;

/// What comes in, beside the results of calls.
pub(crate) const INPUT: &str = "input";

/// The calls that each call needs, as places in the order of their names. Mistakes are gathered.
pub(crate) fn plan(
    calls: &BTreeMap<String, CallOptions>,
    at: &str,
    gathered: &mut Gathered,
) -> Vec<Vec<usize>> {
    let names: Vec<&str> = calls.keys().map(String::as_str).collect();
    let mut needs = Vec::with_capacity(names.len());
    for (name, call) in calls {
        let mut own = Vec::new();
        let at = format!("{at}.{name}.with");
        let paths = call.with.as_ref().map(|with| paths(with, &at, gathered)).unwrap_or_default();
        for path in paths {
            let root = root(path);
            match names.iter().position(|name| *name == root) {
                Some(other) if !own.contains(&other) => own.push(other),
                Some(_) => {}
                None if root == INPUT => {}
                None => {
                    let known = names.iter().copied().chain([INPUT]).filter(|known| known != name);
                    let near = dozen_core::nearest(root, known.clone());
                    let hint = match near.first() {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => {
                            format!("a path begins with one of `{}`", known.collect::<Vec<_>>().join("`, `"))
                        }
                    };
                    gathered.add(&*at, format!("there is no call `{root}`; {hint}"));
                }
            }
        }
        needs.push(own);
    }
    if let Some(stuck) = circle(&needs) {
        let stuck: Vec<&str> = stuck.into_iter().map(|call| names[call]).collect();
        gathered.add(at, format!("the calls `{}` wait for each other", stuck.join("`, `")));
    }
    needs
}

/// All paths of a `with`: only what is plainly a path can be followed to its call.
fn paths<'v>(with: &'v Value, at: &str, gathered: &mut Gathered) -> Vec<&'v str> {
    let Some(fields) = with.as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for (name, rule) in fields.iter() {
        match (rule, rule.get("from"), rule.get("value")) {
            (Value::Text(path), _, _) => found.push(&**path),
            (_, Some(Value::Text(path)), _) => found.push(&**path),
            (_, Some(Value::List(several)), _) => found.extend(several.iter().filter_map(Value::as_text)),
            (_, None, Some(_)) => {}
            _ => gathered.add(
                format!("{at}.{name}"),
                "a field of `with` is a path, `{ from: … }` or `{ value: … }`; whatever is more belongs into the `map` of \
                 the request",
            ),
        }
        for key in ["each", "jq", "template", "when", "map"] {
            if rule.get(key).is_some() {
                gathered.add(format!("{at}.{name}.{key}"), "it belongs into the `map` of the request");
            }
        }
    }
    found
}

/// The first name of a path.
fn root(path: &str) -> &str {
    let path = path.trim();
    path.split(['.', '/', '[', '!', '?']).next().unwrap_or(path)
}

/// Calls that can never be made because they wait for each other.
fn circle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut made = vec![false; needs.len()];
    loop {
        let next =
            (0..needs.len()).find(|call| !made[*call] && needs[*call].iter().all(|other| made[*other]));
        match next {
            Some(call) => made[call] = true,
            None => break,
        }
    }
    let stuck: Vec<usize> = (0..needs.len()).filter(|call| !made[*call]).collect();
    (!stuck.is_empty()).then_some(stuck)
}
