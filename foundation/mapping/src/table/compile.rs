//! From the table as it is written to the table as it is run.

use std::sync::Arc;

use dozen_expression::{Expression, Kind, Scope};
use serde_json::Value as Json;

use super::coverage;
use super::field::Said;
use super::gives::gives;
use super::path::Path;
use super::rule::{Count, Enum, Field, Fields, From, Into, Make, Other, Otherwise, Rule};
use super::schema::Part;
use super::target;
use super::template::Template;
use crate::jq::Program;
use crate::mapping::{OnError, Options};
use crate::mistake::{MISTAKES_MAX, Mistake, Mistakes};
use crate::value::{Object, Value};

/// How deep tables may nest.
const DEPTH_MAX: usize = 32;

/// The most rules of one mapping.
const RULES_MAX: usize = 5000;

/// Compiles a rule that stands at `at`.
pub(crate) fn compile(written: &Value, at: &str, options: &Options<'_>) -> Result<Rule, Mistakes> {
    let input = options.input.unwrap_or(&Json::Null);
    let mut compiler = Compiler {
        on_error: options.on_error,
        scopes: vec![Part::of(input)],
        depth: 0,
        rules: 0,
        mistakes: Vec::new(),
    };
    let rule = compiler.rule(written, at);
    if let (Some(rule), Some(output)) = (&rule, options.output) {
        target::check(rule, Part::of(output), &mut compiler.mistakes);
    }
    compiler.mistakes.truncate(MISTAKES_MAX);
    match rule {
        Some(rule) if compiler.mistakes.is_empty() => Ok(rule),
        _ => Err(Mistakes(compiler.mistakes)),
    }
}

pub(crate) struct Compiler<'s> {
    on_error: Option<OnError>,
    /// What is known of the values at hand, the whole input first.
    scopes: Vec<Part<'s>>,
    depth: usize,
    rules: usize,
    mistakes: Vec<Mistake>,
}

impl Compiler<'_> {
    pub(super) fn wrong(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// A value, or nothing and a mistake.
    fn take<T>(&mut self, at: &str, read: Result<T, impl std::convert::Into<String>>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(Mistake::new(at, problem));
                None
            }
        }
    }

    /// One rule; none after a mistake.
    fn rule(&mut self, written: &Value, at: &str) -> Option<Rule> {
        self.rules += 1;
        if self.rules > RULES_MAX || self.depth > DEPTH_MAX {
            let problem = format!("a mapping has at most {RULES_MAX} rules, {DEPTH_MAX} deep");
            if self.mistakes.len() < MISTAKES_MAX {
                self.wrong(Mistake::new(at, problem));
            }
            return None;
        }
        let before = self.mistakes.len();
        let said = match written {
            Value::Text(text) => self.take(at, Said::short(text))?,
            Value::Object(object) => Said::long(self, object, at)?,
            other => {
                let problem = format!("a rule is a path or an object, and this is {}", other.kind());
                self.wrong(Mistake::new(at, problem).hint("a constant is written `{ value: … }`"));
                return None;
            }
        };
        let make = self.make(&said, at)?;
        let gives = gives(&make, &self.scopes);
        let (missing, failing) = self.branches(&said, &make, at)?;
        let rule = Rule { at: at.into(), when: said.when.clone(), make, missing, failing, gives };
        if self.on_error.is_none()
            && let Some(mistake) = coverage::unanswered(&said, &rule, &self.scopes, at)
        {
            self.wrong(mistake);
        }
        (self.mistakes.len() == before).then_some(rule)
    }

    fn make(&mut self, said: &Said, at: &str) -> Option<Make> {
        if let Some(value) = &said.value {
            return Some(Make::Constant(value.clone()));
        }
        if let Some(text) = &said.template {
            let at = below(at, "template");
            let template = self.take(&at, Template::parse(text))?;
            for path in template.paths() {
                self.look(path, &at, None);
            }
            return Some(Make::Template(template));
        }
        if let Some(text) = &said.jq {
            let at = below(at, "jq");
            let program = Program::compile(text).map_err(|mistake| mistake.under(&at));
            return match program {
                Ok(program) => Some(Make::Jq(Arc::new(program))),
                Err(mistake) => {
                    self.wrong(mistake);
                    None
                }
            };
        }
        if said.paths.is_empty() {
            let map = said.map.as_ref()?;
            return Some(Make::Object(Fields::new(self.fields(map, &below(at, said.map_at))?)));
        }
        for path in &said.paths {
            self.look(path, &below(at, said.from_at), Some(said.count));
        }
        let into = match (&said.convert, &said.list, &said.map) {
            (Some(convert), ..) => Into::Converted(convert.clone()),
            (_, Some(list), _) => Into::Listed(list.clone()),
            (_, _, Some(map)) => {
                let part = match said.paths.as_slice() {
                    [path] => Part::look(&self.scopes, path).part,
                    _ => self.scopes[0].unknown(),
                };
                self.scopes.push(part);
                let fields = self.fields(map, &below(at, said.map_at));
                self.scopes.pop();
                Into::Object(Fields::new(fields?))
            }
            _ => Into::Same,
        };
        let item = match said.item_on_error {
            Some(OnError::Omit) => Otherwise::Omit,
            Some(OnError::Null) => Otherwise::Value(Value::Null),
            _ => Otherwise::Fail,
        };
        let (paths, count, only) = (said.paths.clone(), said.count, said.only.clone());
        Some(Make::From(From { paths, count, only, into, item }))
    }

    /// Whether the input can have what a path looks for.
    fn look(&mut self, path: &Path, at: &str, count: Option<Count>) {
        let known = Part::look(&self.scopes, path);
        if let Some((name, names)) = &known.never {
            let mistake = Mistake::new(at, format!("the input has no `{name}`, its schema says"));
            let mistake = mistake.nearest(name, names.iter().copied());
            self.wrong(mistake);
        } else if known.list && count.is_some_and(|count| !count.is_list()) {
            let problem = format!("`{}` is a list in the input", path.text);
            self.wrong(Mistake::new(at, problem).hint("`count: many` gives a list, and `[0]` one of it"));
        }
    }

    fn fields(&mut self, map: &Object, at: &str) -> Option<Vec<Field>> {
        self.depth += 1;
        let mut fields = Vec::with_capacity(map.len());
        for (name, written) in map.iter() {
            let rule = self.rule(written, &below(at, name));
            fields.extend(rule.map(|rule| Field { name: name.clone(), rule }));
        }
        self.depth -= 1;
        if map.is_empty() {
            self.wrong(Mistake::new(at, "there are no fields"));
        }
        (fields.len() == map.len() && !map.is_empty()).then_some(fields)
    }

    /// What stands in where there is nothing, and where something fails.
    fn branches(&mut self, said: &Said, make: &Make, at: &str) -> Option<(Otherwise, Otherwise)> {
        let of = |on_error: OnError| match (on_error, &said.default) {
            (OnError::Fail, _) => Some(Otherwise::Fail),
            (OnError::Omit, _) => Some(Otherwise::Omit),
            (OnError::Null, _) => Some(Otherwise::Value(Value::Null)),
            (OnError::Default, default) => default.clone().map(Otherwise::Value),
        };
        let whole = self.on_error.filter(|on_error| *on_error != OnError::Default).unwrap_or(OnError::Fail);
        let Some(failing) = of(said.on_error.unwrap_or(if said.required { OnError::Fail } else { whole }))
        else {
            self.wrong(Mistake::new(at, "`on-error: default` needs a `default`"));
            return None;
        };
        let optional = matches!(make, Make::From(From { count: Count::Optional, .. }));
        let missing = match &said.default {
            Some(default) => Otherwise::Value(default.clone()),
            None if optional => Otherwise::Omit,
            None => failing.clone(),
        };
        Some((missing, failing))
    }

    /// A condition over `item`, the value at hand, and `root`, the whole input.
    pub(super) fn condition(&mut self, text: &str, at: &str) -> Option<Expression> {
        let scope = Scope::of([("item", Kind::Any), ("root", Kind::Any)]);
        let compiled = Expression::compile(text, &scope).map_err(|mistake| mistake.to_string());
        self.take(at, compiled)
    }

    pub(super) fn path(&mut self, text: &str, at: &str) -> Option<Path> {
        self.take(at, Path::parse(text))
    }

    pub(super) fn words(&mut self, written: &Value, at: &str) -> Option<Enum> {
        let Value::Object(object) = written else {
            let problem = format!("an `enum` is an object, and this is {}", written.kind());
            self.wrong(Mistake::new(at, problem).hint("write `{ theirs: ours, _: error }`"));
            return None;
        };
        let mut list = Enum::default();
        for (word, value) in object.iter() {
            match (&**word, value) {
                ("_", Value::Text(text)) if &**text == "error" => list.other = Other::Error,
                ("_", Value::Object(own)) if own.len() == 1 && own.get("value").is_some() => {
                    list.other = Other::Value(own.get("value").cloned().unwrap_or_default());
                }
                ("_", value) => list.other = Other::Value(value.clone()),
                (word, value) => list.words.push((word.trim().to_owned(), value.clone())),
            }
        }
        if list.words.is_empty() {
            self.wrong(Mistake::new(at, "an `enum` has words"));
            return None;
        }
        Some(list)
    }
}

/// The place of a key of what stands at `at`.
pub(super) fn below(at: &str, key: &str) -> String {
    match at {
        "" => key.to_owned(),
        at => format!("{at}.{key}"),
    }
}
