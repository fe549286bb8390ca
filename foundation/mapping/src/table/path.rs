//! Where a field has its value from: `order.items[0].sku`, `ns:Item/Price`, `Item/@code`.
//!
//! ```text
//!  path   = origin | [ origin separator ] step { separator step }
//!  origin = "."                       the value at hand: the whole input, or the item of the innermost `each`
//!         | "$"                       the whole input
//!         | "^" { "^" }               the value around the one at hand, one `each` or `from` further out a sign
//!  step   = ( name | quoted ) { "[" number "]" | "[*]" }
//! ```
//!
//! Names are separated by `/` when the path has one, and by `.` when not; so XML's names may have dots and JSON's
//! slashes, or else stand in quotes. A step goes into every element of a list. What a path finds is a row of values:
//! the elements of a list that stands at its end are counted one by one, and null counts as nothing.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::budget::{Budget, Fatal};
use crate::value::{Object, Value};

/// The most steps of a path.
const STEPS_MAX: usize = 32;

/// A compiled path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) text: Arc<str>,
    pub(crate) origin: Origin,
    pub(crate) steps: Vec<Step>,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Here,
    Root,
    /// How many scopes further out.
    Out(usize),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Member(Name),
    Index(usize),
    Each,
}

/// The name of a member. It remembers where that stood the last time: the objects of a list are mostly alike, and so are the
/// documents of one system.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    last: AtomicUsize,
}

impl Name {
    pub(crate) fn new(text: Arc<str>) -> Self {
        Self { text, last: AtomicUsize::new(0) }
    }

    /// The value of the member.
    pub(crate) fn of<'v>(&self, object: &'v Object) -> Option<&'v Value> {
        let guess = self.last.load(Ordering::Relaxed);
        let place = object.place_near(&self.text, guess)?;
        if place != guess {
            self.last.store(place, Ordering::Relaxed);
        }
        object.values().get(place)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Clone for Name {
    fn clone(&self) -> Self {
        Self::new(self.text.clone())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

/// What a path finds.
pub(crate) enum Found<'v> {
    Nothing,
    One(&'v Value),
    Several(Vec<&'v Value>),
}

impl Path {
    /// Compiles a path, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let outward = text.bytes().take_while(|byte| *byte == b'^').count();
        // Whether a separator stands before the first name.
        let (origin, rest, mut separated) = match text.as_bytes() {
            [] => return Err("a path is missing here; `.` is the whole value at hand".into()),
            [b'.'] | [b'.', b'[', ..] => (Origin::Here, &text[1..], true),
            [b'$', ..] => (Origin::Root, &text[1..], true),
            [b'^', ..] => (Origin::Out(outward), &text[outward..], true),
            _ => (Origin::Here, text, false),
        };
        let separator = if outside_quotes(rest).any(|sign| sign == '/') { '/' } else { '.' };
        let mut steps = Vec::new();
        let mut rest = if separated { indices(rest, &mut steps)? } else { rest };
        while !rest.is_empty() {
            if separated {
                rest = rest
                    .strip_prefix(separator)
                    .ok_or_else(|| format!("a `{separator}` is missing before `{rest}`"))?;
            }
            separated = true;
            let (name, after) = name(rest, separator)?;
            steps.push(Step::Member(Name::new(name.into())));
            rest = indices(after, &mut steps)?;
        }
        match steps.len() > STEPS_MAX {
            true => Err(format!("a path has at most {STEPS_MAX} steps")),
            false => Ok(Self { text: text.into(), origin, steps }),
        }
    }

    /// Whether it says itself that it finds any number of values.
    pub(crate) fn is_plural(&self) -> bool {
        self.steps.contains(&Step::Each)
    }

    /// The one member of the value at hand that it names, if it is no more than that.
    pub(crate) fn member(&self) -> Option<&Name> {
        match (self.origin, self.steps.as_slice()) {
            (Origin::Here, [Step::Member(name)]) => Some(name),
            _ => None,
        }
    }

    /// The values, before a list at the end is taken apart. `scopes` are the whole input and what `each` and `from`
    /// have gone into, innermost last.
    pub(crate) fn select<'v>(&self, scopes: &[&'v Value], budget: &mut Budget) -> Result<Found<'v>, Fatal> {
        let start = match self.origin {
            Origin::Here => scopes.last(),
            Origin::Root => scopes.first(),
            Origin::Out(count) => scopes.len().checked_sub(count + 1).and_then(|at| scopes.get(at)),
        };
        let Some(start) = start else { return Ok(Found::Nothing) };
        budget.step(self.steps.len())?;
        let mut one = *start;
        for (at, step) in self.steps.iter().enumerate() {
            match (step, one) {
                (Step::Member(_), Value::List(_)) | (Step::Each, _) => {
                    return several(&[one], &self.steps[at..], budget);
                }
                _ => match go(step, one) {
                    Some(next) => one = next,
                    None => return Ok(Found::Nothing),
                },
            }
        }
        Ok(Found::One(one))
    }

    /// The values one by one: a list at the end is its elements, and null is nothing.
    pub(crate) fn values<'v>(&self, scopes: &[&'v Value], budget: &mut Budget) -> Result<Found<'v>, Fatal> {
        Ok(match self.select(scopes, budget)? {
            Found::One(Value::Null) => Found::Nothing,
            Found::One(Value::List(list)) => {
                budget.step(list.len())?;
                row(list.iter().filter(|value| **value != Value::Null).collect())
            }
            Found::Several(values)
                if values.iter().any(|value| matches!(value, Value::Null | Value::List(_))) =>
            {
                let mut flat = Vec::with_capacity(values.len());
                for value in values {
                    match value {
                        Value::Null => {}
                        Value::List(list) => {
                            budget.step(list.len())?;
                            flat.extend(list.iter().filter(|value| **value != Value::Null));
                        }
                        value => flat.push(value),
                    }
                }
                row(flat)
            }
            found => found,
        })
    }
}

fn row(mut values: Vec<&Value>) -> Found<'_> {
    match values.len() {
        0 => Found::Nothing,
        1 => values.pop().map_or(Found::Nothing, Found::One),
        _ => Found::Several(values),
    }
}

/// The steps from several values on.
fn several<'v>(from: &[&'v Value], steps: &[Step], budget: &mut Budget) -> Result<Found<'v>, Fatal> {
    let mut values = from.to_vec();
    for step in steps {
        let mut next = Vec::with_capacity(values.len());
        for value in values {
            budget.step(1)?;
            match (step, value) {
                (Step::Each, Value::List(list)) => {
                    budget.step(list.len())?;
                    next.extend(list);
                }
                (Step::Each, Value::Null) => {}
                // One element of XML looks like no list, and is one.
                (Step::Each, value) => next.push(value),
                (Step::Member(_), Value::List(list)) => {
                    budget.step(list.len())?;
                    next.extend(list.iter().filter_map(|value| go(step, value)));
                }
                (step, value) => next.extend(go(step, value)),
            }
        }
        values = next;
    }
    Ok(row(values))
}

/// One step from one value that is no list, or an index into any.
fn go<'v>(step: &Step, value: &'v Value) -> Option<&'v Value> {
    match (step, value) {
        (Step::Member(name), Value::Object(object)) => name.of(object),
        // An element without attributes is its text.
        (Step::Member(name), Value::Text(_)) if &**name == "#text" => Some(value),
        (Step::Index(index), Value::List(list)) => list.get(*index),
        (Step::Index(0), Value::Object(_) | Value::Text(_)) => Some(value),
        _ => None,
    }
}

/// Past what stands in brackets.
fn indices<'t>(mut rest: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    while let Some(inside) = rest.strip_prefix('[') {
        let (index, after) = inside.split_once(']').ok_or("a `[` is not closed")?;
        steps.push(match index {
            "*" => Step::Each,
            number => Step::Index(
                number
                    .parse()
                    .map_err(|_| format!("`[{number}]` is no index; write `[0]`, or `[*]` for all"))?,
            ),
        });
        rest = after;
    }
    Ok(rest)
}

/// A name at the start of a path, and what follows it.
fn name(rest: &str, separator: char) -> Result<(&str, &str), String> {
    if let Some(quote) = rest.chars().next().filter(|sign| matches!(sign, '"' | '\'')) {
        return rest[1..].split_once(quote).ok_or_else(|| format!("a {quote} is not closed"));
    }
    let end = rest.find([separator, '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    match name {
        "" if rest.is_empty() => Err("a name is missing at the end".into()),
        "" => Err(format!("a name is missing before `{rest}`")),
        name if name.contains(|sign: char| sign.is_whitespace() || "\"'{}()*]^$!?".contains(sign)) => {
            Err(format!("`{name}` is no name; a name with other signs stands in quotes"))
        }
        name => Ok((name, after)),
    }
}

/// The characters of a path that do not stand in quotes.
fn outside_quotes(text: &str) -> impl Iterator<Item = char> {
    let mut quote = None;
    text.chars().filter(move |sign| match quote {
        None if matches!(sign, '"' | '\'') => {
            quote = Some(*sign);
            false
        }
        None => true,
        Some(open) => {
            if open == *sign {
                quote = None;
            }
            false
        }
    })
}
