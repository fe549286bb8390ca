//! What may go wrong in a rule, found before any document is seen, and whether the table says what happens then.
//!
//! A doubt is a step that may find nothing or may fail. What removes a doubt is proof (the schema of the input), and what
//! answers it is a word of the table: `required: true`, `default`, `on-error`, or a `count` where the doubt is how many
//! there are. A doubt without an answer is refused, so a table that compiles says of every step what happens when it
//! fails; whatever is not said otherwise fails the translation, with the place of the field.

use super::field::Said;
use super::rule::{Count, Into, Make, Other, Rule};
use super::schema::Part;
use crate::mistake::Mistake;

/// A step that may find nothing, or may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Doubt {
    /// There may be nothing.
    Missing(String),
    /// There may be several.
    Several(String),
    /// It may fail.
    Failing(String),
}

impl Doubt {
    fn text(&self) -> &str {
        match self {
            Self::Missing(text) | Self::Several(text) | Self::Failing(text) => text,
        }
    }
}

/// What may go wrong in the rule at `at` without a word of the table on it.
pub(super) fn unanswered(said: &Said, rule: &Rule, scopes: &[Part<'_>], at: &str) -> Option<Mistake> {
    if said.required || said.default.is_some() || said.on_error.is_some() {
        return None;
    }
    let is_open = |doubt: &Doubt| match doubt {
        Doubt::Missing(_) | Doubt::Several(_) => !said.count_said,
        Doubt::Failing(_) => said.item_on_error.is_none(),
    };
    let open: Vec<Doubt> = doubts(rule, scopes).into_iter().filter(is_open).collect();
    if open.is_empty() {
        return None;
    }
    let texts: Vec<&str> = open.iter().map(Doubt::text).collect();
    let hint = match open.iter().any(|doubt| matches!(doubt, Doubt::Failing(_))) {
        true => {
            "say what happens then: `required: true` fails the translation, `default:` and `on-error:` do not"
        }
        false => {
            "say what happens then: `required: true` fails the translation, `default:` stands in, and \
             `count: optional` leaves the field out"
        }
    };
    Some(Mistake::new(at, texts.join(", and ")).hint(hint))
}

/// All doubts in a rule, except those of rules inside of it, which are asked on their own.
fn doubts(rule: &Rule, scopes: &[Part<'_>]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if rule.when.is_some() {
        doubts.push(Doubt::Failing("`when` may be undecided".into()));
    }
    match &rule.make {
        Make::Constant(_) | Make::Object(_) => {}
        Make::Jq(_) => doubts.push(Doubt::Failing("the program may fail, or give nothing".into())),
        Make::Template(template) => {
            for path in template.paths() {
                let known = Part::look(scopes, path);
                let types = known.part.types().unwrap_or_default();
                let scalar = !types.is_empty()
                    && types.iter().all(|kind| !matches!(*kind, "object" | "array" | "null"));
                if !known.sure {
                    doubts.push(Doubt::Missing(format!("`{}` may be missing", path.text)));
                }
                if !known.single || !scalar {
                    doubts.push(Doubt::Failing(format!("`{}` may be no single text", path.text)));
                }
            }
        }
        Make::From(from) => {
            let all: Vec<_> = from.paths.iter().map(|path| (path, Part::look(scopes, path))).collect();
            let Some((path, _)) = all.last() else { return doubts };
            let source = match all.len() {
                1 => format!("`{}`", path.text),
                _ => "each of its sources".to_owned(),
            };
            if !from.count.is_list() || from.count == Count::Some {
                if !all.iter().any(|(_, known)| known.sure) && from.count != Count::Optional {
                    doubts.push(Doubt::Missing(format!("{source} may be missing")));
                }
                if !from.count.is_list()
                    && from.count != Count::Optional
                    && !all.iter().all(|(_, known)| known.single)
                {
                    doubts.push(Doubt::Several(format!("`{}` may be there several times", path.text)));
                }
            }
            if from.only.is_some() {
                doubts.push(Doubt::Failing("`each.when` may be undecided".into()));
            }
            let sure = |proof: &dyn Fn(&Part<'_>) -> bool| all.iter().all(|(_, known)| proof(&known.part));
            match &from.into {
                Into::Same => {}
                Into::Converted(convert) => {
                    let proven = |part: &Part<'_>| {
                        convert.is_sure_of(&part.types().unwrap_or_default(), part.format())
                    };
                    if !sure(&proven) {
                        doubts.push(Doubt::Failing(format!("{source} may be no {}", convert.noun())));
                    }
                }
                Into::Listed(list) => {
                    let listed = |part: &Part<'_>| match part.values() {
                        Some(values) => values.iter().all(|value| {
                            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                            list.words.iter().any(|(own, _)| *own == word)
                        }),
                        None => false,
                    };
                    if list.other == Other::Unsaid && !sure(&listed) {
                        let text = format!("{source} may be a word that `enum` does not list");
                        doubts.push(Doubt::Failing(text));
                    }
                }
                // Whatever it is, its fields are looked for in it, and have doubts of their own.
                Into::Object(_) => {}
            }
        }
    }
    doubts
}
