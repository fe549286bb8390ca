//! What is made of values of the input.

use super::convert::scalar;
use super::outcome::{Problem, the};
use super::path::{Found, Path};
use super::rule::{Count, Enum, From, Into, Make, Other, Otherwise, Rule};
use super::run::{Attempt, Made, Place, Run};
use crate::value::{Object, Value};

impl<'v> Run<'v> {
    /// The short way, which nearly all fields go: one member that is there, made into one value. Whatever is otherwise in
    /// any way is `None`, and goes the long one.
    pub(super) fn member(&mut self, rule: &Rule, here: &Object) -> Option<Value> {
        let Rule { when: None, make: Make::From(from), .. } = rule else { return None };
        let [path] = from.paths.as_slice() else { return None };
        let value = path.member()?.of(here)?;
        if from.count.is_list() || matches!(value, Value::Null | Value::List(_)) {
            return None;
        }
        let made = match &from.into {
            Into::Same => value.clone(),
            Into::Converted(convert) => convert.apply(value).ok()??,
            Into::Listed(list) => listed(list, value).ok()??,
            Into::Object(_) => return None,
        };
        self.budget.step(1).ok()?;
        self.budget.spend(&made).ok()?;
        Some(made)
    }

    pub(super) fn from(&mut self, rule: &'v Rule, from: &'v From) -> Attempt<Made> {
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
            self.scopes.enter(value);
            let holds = self.holds(rule, only);
            self.scopes.leave();
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
                self.scopes.enter(value);
                let object = self.object(fields);
                self.scopes.leave();
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
