//! Trees with places that are filled from what is known: the body of a call, the reply.
//!
//! In a body a text is a text, and `{…}` in it is filled in; `"{order.sku}"` alone is the value itself, whatever it is. In a
//! reply a text without braces is the reference itself: `order.sku`. There `$` stands for all members of an object, and
//! `$value` for a constant.

use std::sync::Arc;

use dozen_mapping::{Object, Value};

use super::Wrong;
use super::scope::{Known, Reference, Scope};
use super::words::{Lack, Words};
use crate::places::Spelling;

const SPREAD: &str = "$";
const CONSTANT: &str = "$value";

/// What a text without braces is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Texts,
    References,
}

/// A tree with places.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Constant(Value),
    One(Reference),
    Words(Words),
    List(Box<[Shape]>),
    /// The members of these objects, and these members of its own, which win.
    Object(Box<[Reference]>, Box<[(Arc<str>, Shape)]>),
}

/// Why a tree cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Something is not there that has to be.
    Lacks(Lack),
    /// What stands behind `$` is no object: the reference.
    NoObject(Box<str>),
    /// It would have more values than it may have.
    TooLarge,
}

/// A tree that is being filled.
pub(super) struct Filling<'k> {
    pub(super) known: Known<'k>,
    /// Whether what calls and the body did not give is an error; otherwise it is left out.
    pub(super) is_strict: bool,
    /// How many values there may still be.
    pub(super) room: usize,
}

impl Shape {
    pub(super) fn parse(
        value: &Value,
        at: &str,
        reading: Reading,
        scope: &mut Scope<'_>,
    ) -> Result<Self, Wrong> {
        let wrong = |problem: String| (at.to_owned(), problem);
        Ok(match value {
            Value::Text(text) if reading == Reading::References && !text.contains(['{', '}']) => {
                Self::One(scope.reference(text, Spelling::Plain).map_err(wrong)?)
            }
            Value::Text(text) => {
                let words = Words::parse(text, false, scope).map_err(wrong)?;
                match (words.alone(), words.literal()) {
                    (Some(alone), _) => Self::One(alone.clone()),
                    (None, Some(text)) => Self::Constant(Value::text(text)),
                    (None, None) => Self::Words(words),
                }
            }
            Value::List(list) => {
                let items = list.iter().enumerate();
                let items = items.map(|(n, item)| Self::parse(item, &format!("{at}[{n}]"), reading, scope));
                Self::List(items.collect::<Result<_, Wrong>>()?)
            }
            Value::Object(object) => Self::object(object, at, reading, scope)?,
            constant => Self::Constant(constant.clone()),
        })
    }

    fn object(object: &Object, at: &str, reading: Reading, scope: &mut Scope<'_>) -> Result<Self, Wrong> {
        let (mut spreads, mut members) = (Vec::new(), Vec::new());
        for (name, value) in object.iter() {
            let place = format!("{at}.{name}");
            match &**name {
                CONSTANT if reading == Reading::References && object.len() == 1 => {
                    return Ok(Self::Constant(value.clone()));
                }
                SPREAD if reading == Reading::References => {
                    let all = value.as_list().unwrap_or(std::slice::from_ref(value));
                    for one in all {
                        let Some(text) = one.as_text() else {
                            return Err((
                                place,
                                "names the objects whose members belong here: `order`".into(),
                            ));
                        };
                        let spread = scope.reference(text, Spelling::Plain);
                        spreads.push(spread.map_err(|problem| (place.clone(), problem))?);
                    }
                }
                other if other.starts_with('$') && reading == Reading::References => {
                    let known = "`$` stands for all members of an object, and `{ $value: … }` for a constant";
                    return Err((place, format!("cannot stand here; {known}")));
                }
                _ => members.push((name.clone(), Self::parse(value, &place, reading, scope)?)),
            }
        }
        Ok(Self::Object(spreads.into(), members.into()))
    }

    /// Whether it certainly makes an object, and the names of its own members.
    pub(super) fn members(&self) -> Option<impl Iterator<Item = &Arc<str>>> {
        match self {
            Self::Object(_, members) => Some(members.iter().map(|(name, _)| name)),
            _ => None,
        }
    }

    /// The value, or nothing if it refers to what is not there. A member that is nothing is left out of its object, an item
    /// out of its list.
    pub(super) fn fill(&self, filling: &mut Filling<'_>) -> Result<Option<Value>, Unfit> {
        match self {
            Self::Constant(value) => filling.copy(value).map(Some),
            Self::One(reference) => match filling.known.value(reference) {
                Some(value) => filling.copy(&value).map(Some),
                None => filling.without(Lack::of(reference)),
            },
            Self::Words(words) => {
                let mut text = String::new();
                match words.write(&filling.known, &mut text) {
                    Lack::Nothing => filling.copy(&Value::text(text)).map(Some),
                    lack => filling.without(lack),
                }
            }
            Self::List(items) => {
                filling.take(1)?;
                let items = items.iter().map(|item| item.fill(filling));
                let filled: Result<Vec<Option<Value>>, Unfit> = items.collect();
                Ok(Some(Value::List(filled?.into_iter().flatten().collect())))
            }
            Self::Object(spreads, members) => {
                filling.take(1)?;
                let mut object = Object::with_capacity(members.len());
                for spread in spreads {
                    match filling.known.value(spread).as_deref() {
                        None => drop(filling.without(Lack::of(spread))?),
                        Some(Value::Null) => {}
                        Some(Value::Object(of)) => {
                            for (name, value) in of.iter() {
                                let value = filling.copy(value)?;
                                object.insert(name.clone(), value);
                            }
                        }
                        Some(_) => return Err(Unfit::NoObject(spread.text.clone())),
                    }
                }
                for (name, member) in members {
                    if let Some(value) = member.fill(filling)? {
                        object.insert(name.clone(), value);
                    }
                }
                Ok(Some(Value::Object(object)))
            }
        }
    }
}

impl Filling<'_> {
    fn take(&mut self, nodes: usize) -> Result<(), Unfit> {
        self.room = self.room.checked_sub(nodes).ok_or(Unfit::TooLarge)?;
        Ok(())
    }

    fn copy(&mut self, value: &Value) -> Result<Value, Unfit> {
        self.take(value.nodes())?;
        Ok(value.clone())
    }

    fn without(&self, lack: Lack) -> Result<Option<Value>, Unfit> {
        match self.is_strict && lack > Lack::Fact {
            true => Err(Unfit::Lacks(lack)),
            false => Ok(None),
        }
    }
}
