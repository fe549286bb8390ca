//! A composition, compiled: its calls, who waits for whom, and what is made of their answers.

use std::sync::Arc;
use std::time::Duration;

use dozen_mapping::{Mapping, Options, Value};
use http::HeaderName;

use super::call::Call;
use super::dag;
use super::need::{Need, Otherwise};
use super::options::{Compose, KEYS};
use super::read::{Keys, meant};
use super::reply::Reply;
use super::scope::{Given, KnownFacts, Reference, Scope, Source, VARIABLES};
use super::shape::{Reading, Shape};
use super::status::{Complete, Table};
use super::{CALLS_MAX, Wrong};
use crate::text::Facts;

/// The longest deadline: longer than anybody waits.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of all answers together, unless the file says otherwise.
const SUM_MAX: usize = 4 * 1024 * 1024;

/// A composition, compiled.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) calls: Box<[Call]>,
    /// For each call, 0 if it waits for nobody, and else one more than the highest that it waits for.
    pub(super) levels: Box<[usize]>,
    /// For each call, those that wait for it.
    pub(super) waiters: Box<[Vec<usize>]>,
    facts: KnownFacts,
    pub(super) takes_body: bool,
    pub(super) reply: Reply,
    pub(super) table: Table,
    /// What the member is called that names what is missing.
    pub(super) errors: Option<Arc<str>>,
    pub(super) deadline: Duration,
    pub(super) sum_max: usize,
    /// Headers of the request that every call is sent with.
    pub(super) pass: Box<[HeaderName]>,
}

impl Plan {
    /// Compiles what is written, for a route that matches these names and may take so long.
    pub(crate) fn compile(written: &Compose, matched: &[&str], usual: Duration) -> Result<Self, Wrong> {
        let keys = Keys::of(&written.0, "compose")?;
        let own = keys.object.iter().filter(|(name, _)| !KEYS.contains(&&***name));
        let (names, trees): (Vec<Arc<str>>, Vec<&Value>) =
            own.map(|(name, call)| (name.clone(), call)).unzip();
        if names.is_empty() || names.len() > CALLS_MAX {
            return Err((keys.at, format!("has {} calls; it can have from 1 to {CALLS_MAX}", names.len())));
        }
        for (name, call) in names.iter().zip(&trees) {
            check_name(&keys, name, call, matched)?;
        }
        let mut scope = Scope::new(&names, matched);
        let (mut calls, mut uses) = (Vec::new(), Vec::new());
        for (name, tree) in names.iter().zip(&trees) {
            let mut call = Call::compile(name, tree, &mut scope)?;
            let used = scope.take_uses();
            call.waits_for = used.iter().filter_map(called).collect();
            call.waits_for.sort_unstable();
            call.waits_for.dedup();
            calls.push(call);
            uses.push(used);
        }
        let waits: Vec<Vec<usize>> = calls.iter().map(|call| call.waits_for.clone()).collect();
        let levels =
            dag::levels(&waits).map_err(|circle| (keys.place(&names[circle[0]]), told(&circle, &names)))?;
        for (call, used) in calls.iter().zip(&uses) {
            check_needs(&keys, call, used, &calls)?;
        }
        let errors = match keys.get("errors") {
            None => Some("errors".into()),
            Some(Value::Bool(false) | Value::Null) => None,
            Some(Value::Text(name)) if !name.is_empty() => Some(name.clone().into()),
            Some(_) => {
                return keys.wrong("errors", "is neither a name for the list of what is missing nor `false`");
            }
        };
        let reply = reply(&keys, &mut scope, errors.as_deref())?;
        let table =
            keys.get("status").map(|status| Table::read(status, &names)).transpose()?.unwrap_or_default();
        if let Complete::Call(at) = table.complete
            && calls[at].need != Need::Required
        {
            let problem = format!("has the status of `{}`, which is optional and may have none", names[at]);
            return Err(("compose.status.complete".into(), problem));
        }
        let mut waiters = vec![Vec::new(); calls.len()];
        for (at, of) in waits.iter().enumerate() {
            of.iter().for_each(|of| waiters[*of].push(at));
        }
        Ok(Self {
            calls: calls.into(),
            levels: levels.into(),
            waiters: waiters.into(),
            takes_body: scope.takes_body,
            facts: scope.finish(),
            reply,
            table,
            errors,
            deadline: keys.duration("deadline")?.unwrap_or(usual).min(DEADLINE_MAX),
            sum_max: keys.size("max")?.unwrap_or(SUM_MAX),
            pass: keys.headers("pass")?,
        })
    }

    /// What the calls will want to know of a request.
    pub(crate) fn given(&self, facts: &Facts<'_>) -> Given {
        self.facts.given(facts)
    }

    /// Those that it asks.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<str>> {
        self.calls.iter().map(|call| &call.service)
    }

    /// The service of a call.
    pub(crate) fn service(&self, at: usize) -> &str {
        &self.calls[at].service
    }
}

fn called(reference: &Reference) -> Option<usize> {
    match reference.source {
        Source::Call(at) => Some(at),
        Source::Fact(_) | Source::Body => None,
    }
}

fn check_name(keys: &Keys<'_>, name: &str, call: &Value, matched: &[&str]) -> Result<(), Wrong> {
    if call.as_object().is_none() {
        return keys.wrong(
            name,
            format!(
                "is neither a call such as `{{ get: \"orders:/orders\" }}` nor a key; {}",
                meant(name, &KEYS)
            ),
        );
    }
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && name.starts_with(|first: char| first.is_ascii_alphabetic());
    if !is_name {
        return keys
            .wrong(name, "is no name for a call; use letters, digits, `-` and `_`, the first a letter");
    }
    if VARIABLES.contains(&name) {
        return keys.wrong(name, "cannot be a call's name: it stands for something of the request");
    }
    let begins =
        |one: &&&str| one.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match matched.iter().find(begins) {
        Some(of) => keys.wrong(name, format!("cannot be a call's name: the match has `{{{of}}}`")),
        None => Ok(()),
    }
}

/// `a` waits for `b`, which waits for `a`.
fn told(circle: &[usize], names: &[Arc<str>]) -> String {
    let next = circle.iter().cycle().skip(1).take(circle.len());
    let waits: Vec<String> = next.map(|at| format!("waits for `{}`", names[*at])).collect();
    format!("{}; take one of these references out", waits.join(", which "))
}

/// A call that cannot be done without may not hang on one that can.
fn check_needs(keys: &Keys<'_>, call: &Call, used: &[Reference], calls: &[Call]) -> Result<(), Wrong> {
    if call.need != Need::Required {
        return Ok(());
    }
    for reference in used {
        let Some(of) = called(reference).map(|at| &calls[at]) else { continue };
        let Need::Optional(otherwise) = &of.need else { continue };
        let is_there = match otherwise {
            Otherwise::Default(value) => reference.finds_in(value),
            Otherwise::Omit | Otherwise::Null | Otherwise::Fail => reference.has_default(),
        };
        if !is_there {
            let problem = format!(
                "is required and refers to `{}` of an optional call; say what stands in, `{{{} ?? …}}`, or make one of \
                 the two what the other is",
                reference.text, reference.text
            );
            return keys.wrong(&call.name, problem);
        }
    }
    Ok(())
}

fn reply(keys: &Keys<'_>, scope: &mut Scope<'_>, errors: Option<&str>) -> Result<Reply, Wrong> {
    match (keys.get("reply"), keys.get("map")) {
        (None, None) => Ok(Reply::Each),
        (Some(_), Some(_)) => keys.wrong("map", "stands beside `reply`; keep one of the two"),
        (Some(written), None) => {
            let shape = Shape::parse(written, "compose.reply", Reading::References, scope)?;
            let takes = errors.and_then(|errors| shape.members()?.find(|name| ***name == *errors));
            match takes {
                Some(name) => {
                    let problem = "is where the list of what is missing will stand; call that something else with `errors`";
                    Err((format!("compose.reply.{name}"), problem.into()))
                }
                None => Ok(Reply::Shape(shape)),
            }
        }
        (None, Some(table)) => {
            let mapping = Mapping::table(table, "compose.map", &Options::default());
            mapping.map(Reply::Table).map_err(|mistakes| {
                let first = mistakes.0.into_iter().next();
                first.map_or_else(Wrong::default, |mistake| {
                    let hint = mistake.hint.map_or_else(String::new, |hint| format!("; {hint}"));
                    (mistake.path, format!("cannot be used: {}{hint}", mistake.problem))
                })
            })
        }
    }
}
