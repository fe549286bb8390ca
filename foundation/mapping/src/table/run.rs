//! A table at work.

use dozen_expression::{Context, Expression, Verdict};
use serde_json::Value as Json;

use super::budget::Budget;
use super::convert::scalar;
use super::outcome::{Failure, Fallback, Problem, Translated};
use super::path::{Found, Path};
use super::rule::{Count, Enum, Fields, From, Into, Make, Other, Otherwise, Rule};
use super::template::{Part, Template};
use crate::limits::Limits;
use crate::value::Value;

/// How many fallbacks of one translation are told one by one.
const FALLBACKS_MAX: usize = 16;

/// Translates `input` by `rule`.
pub(crate) fn translate(rule: &Rule, input: &Value, limits: &Limits) -> Result<Translated, Failure> {
    let mut run = Run {
        scopes: vec![input],
        seen: vec![None],
        place: Vec::new(),
        budget: Budget::new(limits),
        fallbacks: Vec::new(),
        fallbacks_total: 0,
    };
    match run.rule(rule) {
        Ok(value) => Ok(Translated {
            // A whole that is left out is null.
            value: value.unwrap_or_default(),
            fallbacks: run.fallbacks,
            fallbacks_total: run.fallbacks_total,
        }),
        Err(failure) => Err(*failure),
    }
}

struct Run<'v> {
    /// The whole input, and what was gone into.
    scopes: Vec<&'v Value>,
    /// The same as conditions see them, made when one asks, with how many values that took.
    seen: Vec<Option<(Json, usize)>>,
    /// Where in the result.
    place: Vec<Place<'v>>,
    budget: Budget,
    fallbacks: Vec<Fallback>,
    fallbacks_total: usize,
}

enum Place<'v> {
    Name(&'v str),
    Index(usize),
}

/// What an attempt gives.
enum Made {
    Value(Value),
    /// There is nothing to make it of.
    Nothing,
    /// It is not wanted.
    Unwanted,
}

type Attempt<T> = Result<T, Box<Failure>>;

impl<'v> Run<'v> {
    fn rule(&mut self, rule: &'v Rule) -> Attempt<Option<Value>> {
        let depth = self.place.len();
        let attempt = self.attempt(rule);
        self.place.truncate(depth);
        let (otherwise, failure) = match attempt {
            Ok(Made::Value(value)) => return Ok(Some(value)),
            Ok(Made::Unwanted) => return Ok(None),
            Ok(Made::Nothing) => (&rule.missing, None),
            Err(failure) if matches!(failure.problem, Problem::TooMuch { .. }) => return Err(failure),
            Err(failure) => (&rule.failing, Some(failure)),
        };
        match otherwise {
            Otherwise::Fail => {
                Err(failure.unwrap_or_else(|| self.failure(rule, first_path(rule), Problem::Missing)))
            }
            otherwise => {
                if let Some(failure) = failure {
                    self.note(*failure);
                }
                match otherwise {
                    Otherwise::Value(value) => {
                        self.spend(rule, value)?;
                        Ok(Some(value.clone()))
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    fn attempt(&mut self, rule: &'v Rule) -> Attempt<Made> {
        if let Some(when) = &rule.when
            && !self.holds(rule, when)?
        {
            return Ok(Made::Unwanted);
        }
        match &rule.make {
            Make::Constant(value) => {
                self.spend(rule, value)?;
                Ok(Made::Value(value.clone()))
            }
            Make::Object(fields) => Ok(Made::Value(self.object(fields)?)),
            Make::Template(template) => self.template(rule, template),
            Make::From(from) => self.from(rule, from),
            Make::Jq(program) => {
                let input = self.scopes.last().copied().unwrap_or(&Value::Null);
                let output = program
                    .run(input, &self.budget.limits)
                    .map_err(|problem| self.failure(rule, None, Problem::Jq(problem)))?;
                match output {
                    Some(value) => {
                        self.spend(rule, &value)?;
                        Ok(Made::Value(value))
                    }
                    None => Ok(Made::Nothing),
                }
            }
        }
    }

    fn object(&mut self, fields: &'v Fields) -> Attempt<Value> {
        let mut object = fields.begin();
        for field in fields.iter() {
            self.place.push(Place::Name(&field.name));
            let value = self.rule(&field.rule)?;
            self.place.pop();
            if let Some(value) = value {
                object.push_new(&field.name, value);
            }
        }
        Ok(Value::Object(object))
    }

    fn template(&mut self, rule: &'v Rule, template: &'v Template) -> Attempt<Made> {
        let mut text = String::new();
        for part in &template.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Path(path) => match self.values(rule, path)? {
                    Found::Nothing => return Ok(Made::Nothing),
                    Found::Several(values) => {
                        let problem = Problem::Several { found: values.len() };
                        return Err(self.failure(rule, Some(path), problem));
                    }
                    Found::One(value) => match scalar(value) {
                        Some(piece) => text.push_str(&piece),
                        None => {
                            let problem = Problem::Conversion { wanted: "text", found: the(value) };
                            return Err(self.failure(rule, Some(path), problem));
                        }
                    },
                },
            }
            // A value may come again in each of a thousand items, so texts are counted while they grow.
            if text.len() > self.budget.bytes {
                let limit = self.budget.limits.size as u64;
                let problem = Problem::TooMuch { what: "bytes of text in its result", limit };
                return Err(self.failure(rule, None, problem));
            }
        }
        let value = Value::text(text);
        self.spend(rule, &value)?;
        Ok(Made::Value(value))
    }

    fn from(&mut self, rule: &'v Rule, from: &'v From) -> Attempt<Made> {
        let mut found = Found::Nothing;
        let mut path = None;
        for candidate in &from.paths {
            path = Some(candidate);
            found = self.values(rule, candidate)?;
            if !matches!(found, Found::Nothing) {
                break;
            }
        }
        if from.count.is_list() {
            return self.list(rule, from, path, found);
        }
        match found {
            Found::Nothing => Ok(Made::Nothing),
            Found::One(value) => self.one(rule, from, path, value),
            Found::Several(values) => Err(self.failure(rule, path, Problem::Several { found: values.len() })),
        }
    }

    fn list(
        &mut self,
        rule: &'v Rule,
        from: &'v From,
        path: Option<&Path>,
        found: Found<'v>,
    ) -> Attempt<Made> {
        let values = match found {
            Found::Nothing => Vec::new(),
            Found::One(value) => vec![value],
            Found::Several(values) => values,
        };
        let mut list = Vec::with_capacity(values.len());
        for (at, value) in values.into_iter().enumerate() {
            self.place.push(Place::Index(at));
            let depth = self.place.len();
            let made = self.item(rule, from, path, value);
            self.place.truncate(depth);
            let made = match (made, &from.item) {
                (Ok(Made::Value(value)), _) => Some(value),
                (Ok(Made::Unwanted), _) => None,
                // A blank in a list of numbers is as missing there as it is elsewhere.
                (Ok(Made::Nothing), Otherwise::Fail) => {
                    return Err(self.failure(rule, path, Problem::Missing));
                }
                (Ok(Made::Nothing), Otherwise::Omit) => None,
                (Ok(Made::Nothing), Otherwise::Value(value)) => Some(value.clone()),
                (Err(failure), _) if matches!(failure.problem, Problem::TooMuch { .. }) => {
                    return Err(failure);
                }
                (Err(failure), Otherwise::Fail) => return Err(failure),
                (Err(failure), otherwise) => {
                    self.note(*failure);
                    match otherwise {
                        Otherwise::Value(value) => Some(value.clone()),
                        _ => None,
                    }
                }
            };
            self.place.pop();
            list.extend(made);
        }
        match from.count == Count::Some && list.is_empty() {
            true => Ok(Made::Nothing),
            false => Ok(Made::Value(Value::List(list))),
        }
    }

    fn item(
        &mut self,
        rule: &'v Rule,
        from: &'v From,
        path: Option<&Path>,
        value: &'v Value,
    ) -> Attempt<Made> {
        if let Some(only) = &from.only {
            self.enter(value);
            let holds = self.holds(rule, only);
            self.leave();
            if !holds? {
                return Ok(Made::Unwanted);
            }
        }
        self.one(rule, from, path, value)
    }

    fn one(
        &mut self,
        rule: &'v Rule,
        from: &'v From,
        path: Option<&Path>,
        value: &'v Value,
    ) -> Attempt<Made> {
        let made = match &from.into {
            Into::Object(fields) => {
                self.enter(value);
                let object = self.object(fields);
                self.leave();
                return Ok(Made::Value(object?));
            }
            Into::Same => Some(value.clone()),
            Into::Converted(convert) => convert.apply(value).map_err(|()| {
                let problem = Problem::Conversion { wanted: convert.noun(), found: the(value) };
                self.failure(rule, path, problem)
            })?,
            Into::Listed(list) => match listed(list, value) {
                Ok(value) => value,
                Err(problem) => return Err(self.failure(rule, path, problem)),
            },
        };
        match made {
            Some(value) => {
                self.spend(rule, &value)?;
                Ok(Made::Value(value))
            }
            None => Ok(Made::Nothing),
        }
    }

    fn enter(&mut self, value: &'v Value) {
        self.scopes.push(value);
        self.seen.push(None);
    }

    fn leave(&mut self) {
        self.scopes.pop();
        self.seen.pop();
    }

    fn holds(&mut self, rule: &Rule, condition: &Expression) -> Attempt<bool> {
        let here = self.scopes.len() - 1;
        for (name, scope) in [("item", here), ("root", 0)] {
            if !condition.refers_to(name) {
                continue;
            }
            let (_, nodes) = self.seen[scope].get_or_insert_with(|| {
                let value = self.scopes[scope];
                (value.approximate(), value.nodes())
            });
            let nodes = *nodes;
            // Each evaluation looks at all of it anew.
            self.budget.step(nodes).map_err(|fatal| self.failure(rule, None, fatal.0))?;
        }
        let mut context = Context::new();
        for (name, scope) in [("item", here), ("root", 0)] {
            if let Some((value, _)) = &self.seen[scope] {
                context = context.with(name, value);
            }
        }
        match condition.decide(&context) {
            Verdict::Yes => Ok(true),
            Verdict::No => Ok(false),
            Verdict::Unknown(problem) => Err(self.failure(rule, None, Problem::Undecided(problem))),
        }
    }

    fn values(&mut self, rule: &Rule, path: &Path) -> Attempt<Found<'v>> {
        path.values(&self.scopes, &mut self.budget).map_err(|fatal| self.failure(rule, Some(path), fatal.0))
    }

    fn spend(&mut self, rule: &Rule, value: &Value) -> Attempt<()> {
        self.budget.spend(value).map_err(|fatal| self.failure(rule, None, fatal.0))
    }

    fn note(&mut self, failure: Failure) {
        self.fallbacks_total += 1;
        if self.fallbacks.len() < FALLBACKS_MAX {
            let Failure { rule, target, problem, .. } = failure;
            self.fallbacks.push(Fallback { rule, target, problem });
        }
    }

    #[cold]
    fn failure(&self, rule: &Rule, path: Option<&Path>, problem: Problem) -> Box<Failure> {
        let mut target = String::new();
        for place in &self.place {
            match place {
                Place::Name(name) if target.is_empty() => target.push_str(name),
                Place::Name(name) => {
                    target.push('.');
                    target.push_str(name);
                }
                Place::Index(at) => target.push_str(&format!("[{at}]")),
            }
        }
        let source = path.map(|path| path.text.to_string());
        Box::new(Failure { rule: rule.at.to_string(), target, source, problem })
    }
}

fn first_path(rule: &Rule) -> Option<&Path> {
    match &rule.make {
        Make::From(from) => from.paths.first(),
        _ => None,
    }
}

fn listed(list: &Enum, value: &Value) -> Result<Option<Value>, Problem> {
    let text = scalar(value).ok_or(Problem::Conversion { wanted: "word", found: the(value) })?;
    let word = text.trim();
    if let Some((_, value)) = list.words.iter().find(|(own, _)| own == word) {
        return Ok(Some(value.clone()));
    }
    match &list.other {
        _ if word.is_empty() => Ok(None),
        Other::Value(value) => Ok(Some(value.clone())),
        Other::Error | Other::Unsaid => Err(Problem::Unlisted),
    }
}

fn the(value: &Value) -> &'static str {
    match value {
        Value::Null => "the null",
        Value::Bool(_) => "the boolean",
        Value::Number(_) => "the number",
        Value::Text(_) => "the text",
        Value::List(_) => "the list",
        Value::Object(_) => "the object",
    }
}
