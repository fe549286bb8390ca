//! What is said of one rule, in its short form or its long one.

use dozen_expression::Expression;

use super::compile::{Compiler, below};
use super::convert::Convert;
use super::path::Path;
use super::rule::{Count, Enum};
use crate::mapping::OnError;
use crate::mistake::Mistake;
use crate::value::{Object, Value};

/// A path with a sign behind it: `Item/Price!` is required, `Item/Note?` is optional.
pub(super) struct Short<'t> {
    pub(super) path: &'t str,
    sign: Option<char>,
}

impl<'t> Short<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let text = text.trim();
        match text.strip_suffix(['!', '?']) {
            Some(path) => Self { path, sign: text.chars().next_back() },
            None => Self { path: text, sign: None },
        }
    }
}

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
    pub(super) fn short(short: &Short<'_>, path: Path) -> Self {
        let plural = path.is_plural();
        let count = match (plural, short.sign) {
            (true, Some('!')) => Count::Some,
            (true, _) => Count::Many,
            (false, Some('?')) => Count::Optional,
            (false, _) => Count::One,
        };
        Self {
            paths: vec![path],
            from_at: "from",
            count,
            count_said: plural || short.sign == Some('?'),
            required: short.sign == Some('!'),
            ..Self::default()
        }
    }

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

    /// What cannot be said together.
    fn contradiction(&self, object: &Object, each: bool) -> Option<String> {
        let sources: Vec<&str> = ["from", "each", "value", "template", "jq"]
            .into_iter()
            .filter(|key| object.get(key).is_some())
            .collect();
        match sources.as_slice() {
            [] if self.map.is_none() => {
                return Some("it says nothing of where its value is from: `from`, `each`, `map`, `value`, `template` or `jq`".into());
            }
            [first, second, ..] => return Some(format!("`{first}` and `{second}` are two sources")),
            _ => {}
        }
        let forms =
            [("as", self.convert.is_some()), ("enum", self.list.is_some()), ("map", self.map.is_some())];
        let mut forms = forms.iter().filter(|(_, said)| *said).map(|(key, _)| *key);
        let (first, second) = (forms.next(), forms.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Some(format!("`{first}` and `{second}` are two ways to make its value"));
        }
        if let (Some(form), true) = (first, self.paths.is_empty())
            && (form != "map" || !sources.is_empty())
        {
            return Some(format!("`{form}` goes with `from` or `each`"));
        }
        if self.paths.is_empty() && object.get("count").is_some() {
            return Some("`count` goes with `from` or `each`".into());
        }
        if self.required
            && (self.default.is_some() || self.on_error.is_some_and(|on_error| on_error != OnError::Fail))
        {
            return Some(
                "`required: true` fails the translation, so neither `default` nor `on-error` can stand in"
                    .into(),
            );
        }
        if self.required && self.count == Count::Optional {
            return Some("`required: true` and `count: optional` contradict each other".into());
        }
        if self.count == Count::Many && self.default.is_some() && self.on_error != Some(OnError::Default) {
            return Some("where there is nothing, a list is empty, so `default` would never be used".into());
        }
        if each && !self.count.is_list() {
            return Some("`each` gives a list, so its `count` is `many`".into());
        }
        if self.value.is_some()
            && self.when.is_none()
            && (self.default.is_some() || self.on_error.is_some() || self.required)
        {
            return Some("a constant cannot fail; leave `default`, `on-error` and `required` out".into());
        }
        None
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
