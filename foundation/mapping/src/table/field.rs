//! What is said of one rule in its long form.

use dozen_expression::Expression;

use super::compile::{Compiler, below};
use super::convert::Convert;
use super::path::Path;
use super::rule::{Count, Enum};
use crate::mapping::OnError;
use crate::mistake::Mistake;
use crate::value::{Object, Value};

/// All that may be said of a rule.
#[derive(Default)]
pub(super) struct Said {
    pub(super) paths: Vec<Path>,
    /// The key that the paths stand at.
    pub(super) from_at: &'static str,
    pub(super) value: Option<Value>,
    pub(super) template: Option<String>,
    pub(super) jq: Option<String>,
    pub(super) map: Option<Object>,
    /// The key that the fields stand at.
    pub(super) map_at: &'static str,
    pub(super) convert: Option<Convert>,
    pub(super) list: Option<Enum>,
    pub(super) count: Count,
    /// Whether the table says the count itself.
    pub(super) count_said: bool,
    pub(super) when: Option<Expression>,
    /// The condition on each of several.
    pub(super) only: Option<Expression>,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    pub(super) on_error: Option<OnError>,
    /// What happens with one of several.
    pub(super) item_on_error: Option<OnError>,
}

const KEYS: [&str; 13] = [
    "from", "as", "default", "required", "count", "on-error", "when", "each", "map", "enum", "value",
    "template", "jq",
];

const EACH_KEYS: [&str; 6] = ["from", "as", "on-error", "when", "map", "enum"];

impl Said {
    pub(super) fn long(compiler: &mut Compiler<'_>, object: &Object, at: &str) -> Option<Self> {
        let mut said = Self { from_at: "from", map_at: "map", ..Self::default() };
        let mut count = None;
        let mut each = None;
        let mut right = true;
        for (key, value) in object.iter() {
            let at_key = below(at, key);
            right &= match &**key {
                "each" => {
                    each = Some(value);
                    true
                }
                "default" => {
                    said.default = Some(value.clone());
                    true
                }
                "value" => {
                    said.value = Some(value.clone());
                    true
                }
                "required" => match value {
                    Value::Bool(required) => {
                        said.required = *required;
                        true
                    }
                    _ => refuse(compiler, &at_key, "it is `true` or `false`"),
                },
                "count" => {
                    count = match value.as_text() {
                        Some("one") => Some(Count::One),
                        Some("optional") => Some(Count::Optional),
                        Some("many") => Some(Count::Many),
                        _ => None,
                    };
                    count.is_some() || refuse(compiler, &at_key, "it is `one`, `optional` or `many`")
                }
                "on-error" => {
                    said.on_error = on_error(value);
                    said.on_error.is_some()
                        || refuse(compiler, &at_key, "it is `fail`, `default`, `omit` or `null`")
                }
                "template" => text(compiler, &mut said.template, value, &at_key),
                "jq" => text(compiler, &mut said.jq, value, &at_key),
                _ => said.part(compiler, key, value, &at_key).unwrap_or_else(|| {
                    let mistake = Mistake::new(at, format!("there is no key `{key}`"));
                    let near = dozen_core::nearest(key, KEYS);
                    compiler.wrong(match near.is_empty() {
                        true => mistake.hint("an object of fields is written `{ map: { … } }`"),
                        false => mistake.nearest(key, KEYS.into_iter()),
                    });
                    false
                }),
            };
        }
        if let Some(each) = each {
            right &= said.each(compiler, each, &below(at, "each"));
        }
        if !right {
            return None;
        }
        let plural = each.is_some() || said.paths.iter().any(Path::is_plural);
        said.count_said = plural || count.is_some();
        said.count = match count {
            None if plural => Count::Many,
            count => count.unwrap_or_default(),
        };
        if said.count == Count::Many && said.required {
            said.count = Count::Some;
        }
        let problem = said.contradiction(object, each.is_some());
        match problem {
            Some(problem) => {
                compiler.wrong(Mistake::new(at, problem));
                None
            }
            None => Some(said),
        }
    }

    /// A key that stands in a rule and in its `each`; none for another key.
    fn part(&mut self, compiler: &mut Compiler<'_>, key: &str, value: &Value, at: &str) -> Option<bool> {
        Some(match (key, value) {
            ("from", Value::Text(path)) => match compiler.path(path, at) {
                Some(path) => {
                    self.paths.push(path);
                    true
                }
                None => false,
            },
            ("from", Value::List(paths)) if !paths.is_empty() => {
                paths.iter().all(|path| match path.as_text() {
                    Some(text) => compiler.path(text, at).map(|path| self.paths.push(path)).is_some(),
                    None => refuse(compiler, at, "a path is a text"),
                })
            }
            ("from", _) => refuse(compiler, at, "it is a path, or a list of paths of which the first counts"),
            ("as", Value::Text(text)) => match Convert::parse(text) {
                Ok(convert) => {
                    self.convert = Some(convert);
                    true
                }
                Err((problem, hint)) => {
                    compiler.wrong(Mistake { path: at.to_owned(), problem, hint });
                    false
                }
            },
            ("as", _) => refuse(compiler, at, "it is the name of a conversion"),
            ("when", Value::Text(text)) => {
                self.when = compiler.condition(text, at);
                self.when.is_some()
            }
            ("when", _) => refuse(compiler, at, "it is a condition in CEL, over `item` and `root`"),
            ("map", Value::Object(map)) => {
                self.map = Some(map.clone());
                true
            }
            ("map", _) => refuse(compiler, at, "it is an object of fields"),
            ("enum", written) => {
                self.list = compiler.words(written, at);
                self.list.is_some()
            }
            _ => return None,
        })
    }

    /// `each: path`, or an object of what is said of each of several.
    fn each(&mut self, compiler: &mut Compiler<'_>, each: &Value, at: &str) -> bool {
        if !self.paths.is_empty() {
            return refuse(compiler, at, "`each` has a path of its own; leave `from` out");
        }
        let Value::Object(object) = each else {
            let Value::Text(path) = each else {
                return refuse(compiler, at, "it is a path, or an object with `from`");
            };
            self.from_at = "each";
            return self.part(compiler, "from", &Value::Text(path.clone()), at).unwrap_or(false);
        };
        let outer = self.when.take();
        let mut right = true;
        for (key, value) in object.iter() {
            let at_key = below(at, key);
            right &= match &**key {
                "on-error" => {
                    self.item_on_error = on_error(value).filter(|on_error| *on_error != OnError::Default);
                    self.item_on_error.is_some()
                        || refuse(compiler, &at_key, "it is `fail`, `omit` or `null`")
                }
                key if (key == "map" && self.map.is_some())
                    || (key == "as" && self.convert.is_some())
                    || (key == "enum" && self.list.is_some()) =>
                {
                    refuse(compiler, &at_key, "it stands beside `each` already")
                }
                key => self.part(compiler, key, value, &at_key).unwrap_or_else(|| {
                    let mistake = Mistake::new(at, format!("there is no key `{key}`"));
                    compiler.wrong(mistake.nearest(key, EACH_KEYS.into_iter()));
                    false
                }),
            };
        }
        if object.get("map").is_some() {
            self.map_at = "each.map";
        }
        self.from_at = "each.from";
        self.only = std::mem::replace(&mut self.when, outer);
        match self.paths.is_empty() && right {
            true => refuse(compiler, at, "`from` is missing"),
            false => right,
        }
    }
}

fn refuse(compiler: &mut Compiler<'_>, at: &str, problem: &str) -> bool {
    compiler.wrong(Mistake::new(at, problem));
    false
}

fn text(compiler: &mut Compiler<'_>, place: &mut Option<String>, value: &Value, at: &str) -> bool {
    match value {
        Value::Text(text) => {
            *place = Some(text.to_string());
            true
        }
        other => refuse(compiler, at, &format!("it is a text, and this is {}", other.kind())),
    }
}

fn on_error(value: &Value) -> Option<OnError> {
    match value {
        // YAML reads `null` as nothing.
        Value::Null => Some(OnError::Null),
        Value::Text(text) => match &**text {
            "fail" => Some(OnError::Fail),
            "omit" => Some(OnError::Omit),
            "null" => Some(OnError::Null),
            "default" => Some(OnError::Default),
            _ => None,
        },
        _ => None,
    }
}
