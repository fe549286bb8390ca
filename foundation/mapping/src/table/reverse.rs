//! A table read from right to left.
//!
//! Each field `target: { from: a/b, as: … }` becomes a value at `a/b`, made of `target` by the conversion's other
//! direction. Fields whose paths begin alike share the objects around them.

use super::path::{Name, Origin, Path, Step};
use super::rule::{Count, Enum, Field, Fields, From, Into, Make, Other, Otherwise, Rule};
use crate::mistake::Mistake;
use crate::value::Value;

/// The rule in the other direction, or the first field that has none.
pub(crate) fn reversed(rule: &Rule) -> Result<Rule, Mistake> {
    let mut fields = Vec::new();
    match &rule.make {
        Make::Object(own) => members(own, &[], &mut fields)?,
        _ => return Err(refused(rule, "only a table of fields has an opposite")),
    }
    Ok(plain(&rule.at, Make::Object(Fields::new(fields))))
}

fn plain(at: &std::sync::Arc<str>, make: Make) -> Rule {
    // What is missing on our side is left out on theirs.
    Rule { at: at.clone(), when: None, make, missing: Otherwise::Omit, failing: Otherwise::Fail, gives: None }
}

fn refused(rule: &Rule, why: &str) -> Mistake {
    Mistake::new(&*rule.at, format!("it has no opposite: {why}"))
}

/// Puts the opposite of each field into `theirs`. `ours` leads to the object that the fields are members of.
fn members(own: &[Field], ours: &[Step], theirs: &mut Vec<Field>) -> Result<(), Mistake> {
    for field in own {
        let rule = &field.rule;
        if rule.when.is_some() {
            return Err(refused(rule, "it has a `when`"));
        }
        let mut ours = ours.to_vec();
        ours.push(Step::Member(Name::new(field.name.clone())));
        match &rule.make {
            Make::Object(inner) => members(inner, &ours, theirs)?,
            Make::From(from) => value(rule, from, ours, theirs)?,
            Make::Constant(_) => return Err(refused(rule, "it is a constant")),
            Make::Template(_) => return Err(refused(rule, "it is a template")),
            Make::Jq(_) => return Err(refused(rule, "it is a program")),
        }
    }
    Ok(())
}

fn value(rule: &Rule, from: &From, ours: Vec<Step>, theirs: &mut Vec<Field>) -> Result<(), Mistake> {
    let [path] = from.paths.as_slice() else {
        return Err(refused(rule, "it has several sources"));
    };
    let mut names = Vec::new();
    for step in &path.steps {
        match step {
            Step::Member(name) => names.push(name.text.clone()),
            // All of a list is what its own list is made of.
            Step::Each if from.count.is_list() && path.steps.last() == Some(&Step::Each) => {}
            _ => return Err(refused(rule, "its path has an index")),
        }
    }
    if path.origin != Origin::Here || names.is_empty() {
        return Err(refused(rule, "its path is no row of names"));
    }
    if from.only.is_some() {
        return Err(refused(rule, "it has a `when`"));
    }
    let into = match &from.into {
        Into::Same => Into::Same,
        Into::Converted(convert) => Into::Converted(convert.reversed()),
        Into::Listed(list) => Into::Listed(opposite(rule, list)?),
        Into::Object(inner) if from.count.is_list() => {
            let mut fields = Vec::new();
            members(inner, &[], &mut fields)?;
            Into::Object(Fields::new(fields))
        }
        // An object of theirs whose fields are ours: its members are found below our name.
        Into::Object(inner) => {
            let place = place(rule, &names, theirs)?;
            return members(inner, &ours, place);
        }
    };
    let text = ours.iter().map(name_of).collect::<Vec<_>>().join(".");
    let path = Path { text: text.into(), origin: Origin::Here, steps: ours };
    let count = if from.count.is_list() { Count::Many } else { Count::Optional };
    let make = Make::From(From { paths: vec![path], count, only: None, into, item: Otherwise::Fail });
    let Some((last, around)) = names.split_last() else { return Ok(()) };
    let object = place(rule, around, theirs)?;
    if object.iter().any(|field| field.name == *last) {
        return Err(refused(rule, "another field has the same source"));
    }
    object.push(Field { name: last.clone(), rule: plain(&rule.at, make) });
    Ok(())
}

/// The object at a row of names, made where it is not there yet.
fn place<'f>(
    rule: &Rule,
    names: &[std::sync::Arc<str>],
    fields: &'f mut Vec<Field>,
) -> Result<&'f mut Vec<Field>, Mistake> {
    let Some((first, rest)) = names.split_first() else { return Ok(fields) };
    let at = match fields.iter().position(|field| field.name == *first) {
        Some(at) => at,
        None => {
            let rule = plain(&rule.at, Make::Object(Fields::default()));
            fields.push(Field { name: first.clone(), rule });
            fields.len() - 1
        }
    };
    match &mut fields[at].rule.make {
        Make::Object(inner) => place(rule, rest, inner),
        _ => Err(refused(rule, "another field has all of its source")),
    }
}

fn name_of(step: &Step) -> &str {
    match step {
        Step::Member(name) => name,
        _ => "",
    }
}

fn opposite(rule: &Rule, list: &Enum) -> Result<Enum, Mistake> {
    if let Other::Value(_) = list.other {
        return Err(refused(rule, "its `enum` has a value for all other words"));
    }
    let mut words: Vec<(String, Value)> = Vec::new();
    for (theirs, ours) in &list.words {
        let word = match super::convert::scalar(ours) {
            Some(word) => word.into_owned(),
            None => return Err(refused(rule, "its `enum` gives what is no word")),
        };
        if words.iter().any(|(own, _)| *own == word) {
            return Err(refused(rule, "its `enum` has two words that mean the same"));
        }
        words.push((word, Value::text(theirs.as_str())));
    }
    Ok(Enum { words, other: Other::Error })
}
