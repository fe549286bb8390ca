//! A table at work.

use dozen_expression::{Expression, Verdict};

use super::budget::Budget;
use super::convert::scalar;
use super::outcome::{Failure, Fallback, Problem, Translated, the};
use super::path::{Found, Path};
use super::rule::{Fields, Make, Otherwise, Rule};
use super::scopes::Scopes;
use super::template::{Part, Template};
use crate::limits::Limits;
use crate::value::Value;

/// How many fallbacks of one translation are told one by one.
const FALLBACKS_MAX: usize = 16;

/// Translates `input` by `rule`.
pub(crate) fn translate(rule: &Rule, input: &Value, limits: &Limits) -> Result<Translated, Failure> {
    let mut run = Run {
        scopes: Scopes::of(input),
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

pub(super) struct Run<'v> {
    pub(super) scopes: Scopes<'v>,
    /// Where in the result.
    pub(super) place: Vec<Place<'v>>,
    pub(super) budget: Budget,
    fallbacks: Vec<Fallback>,
    fallbacks_total: usize,
}

pub(super) enum Place<'v> {
    Name(&'v str),
    Index(usize),
}

/// What an attempt gives.
pub(super) enum Made {
    Value(Value),
    /// There is nothing to make it of.
    Nothing,
    /// It is not wanted.
    Unwanted,
}

pub(super) type Attempt<T> = Result<T, Box<Failure>>;

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
                let output = program
                    .run(self.scopes.here(), &self.budget.limits)
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

    pub(super) fn object(&mut self, fields: &'v Fields) -> Attempt<Value> {
        let mut object = fields.begin();
        let here = self.scopes.here().as_object();
        for field in fields.iter() {
            if let Some(value) = here.and_then(|here| self.member(&field.rule, here)) {
                object.push_new(&field.name, value);
                continue;
            }
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
                return Err(self.failure(rule, None, self.budget.too_long()));
            }
        }
        let value = Value::text(text);
        self.spend(rule, &value)?;
        Ok(Made::Value(value))
    }

    /// Whether a condition over the value at hand holds.
    pub(super) fn holds(&mut self, rule: &Rule, condition: &Expression) -> Attempt<bool> {
        let nodes = self.scopes.nodes(condition);
        // Each evaluation looks at all of it anew.
        self.budget.step(nodes).map_err(|fatal| self.failure(rule, None, fatal))?;
        match self.scopes.decide(condition) {
            Verdict::Yes => Ok(true),
            Verdict::No => Ok(false),
            Verdict::Unknown(problem) => Err(self.failure(rule, None, Problem::Undecided(problem))),
        }
    }

    pub(super) fn values(&mut self, rule: &Rule, path: &Path) -> Attempt<Found<'v>> {
        let found = path.values(self.scopes.all(), &mut self.budget);
        found.map_err(|fatal| self.failure(rule, Some(path), fatal))
    }

    pub(super) fn spend(&mut self, rule: &Rule, value: &Value) -> Attempt<()> {
        self.budget.spend(value).map_err(|fatal| self.failure(rule, None, fatal))
    }

    pub(super) fn note(&mut self, failure: Failure) {
        self.fallbacks_total += 1;
        if self.fallbacks.len() < FALLBACKS_MAX {
            let Failure { rule, target, problem, .. } = failure;
            self.fallbacks.push(Fallback { rule, target, problem });
        }
    }

    #[cold]
    pub(super) fn failure(
        &self,
        rule: &Rule,
        path: Option<&Path>,
        problem: impl Into<Problem>,
    ) -> Box<Failure> {
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
        Box::new(Failure { rule: rule.at.to_string(), target, source, problem: problem.into() })
    }
}

fn first_path(rule: &Rule) -> Option<&Path> {
    match &rule.make {
        Make::From(from) => from.paths.first(),
        _ => None,
    }
}
