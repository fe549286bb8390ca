//! Their errors as ours. What no rule knows is refused in our words; their text goes nowhere.
//!
//! A rule says yes or no. One about a fault says no where there is no fault, and one about a body where there is none that can
//! be read. Beyond that, a rule that can say neither is a mistake in the rule, or a change on the other side: the answer is
//! taken as if it had said no, and that is told.

use dozen_expression::{Context, Expression, Kind, Scope, Verdict};
use dozen_mapping::{Fault, Limits, Mapping, Options, Value};
use serde_json::Value as Json;

use crate::error::Gathered;
use crate::options::ErrorOptions;
use crate::problem::Problem;

/// What a provider told: everything that a rule may look at.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) status: u16,
    pub(crate) fault: Option<&'a Fault>,
    pub(crate) body: Option<&'a Value>,
}

/// One error of theirs.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its place in the list.
    place: usize,
    when: Expression,
    problem: Problem,
    members: Option<Mapping>,
    pub(crate) next: bool,
}

impl Rule {
    /// Whether it calls what it knows a matter of the question, and not of the provider.
    pub(crate) fn is_opinion(&self) -> bool {
        self.problem.status < 500
    }
}

impl Rule {
    /// Compiles the rule at `place` of the list. `has_faults` says whether the answer's format knows faults.
    pub(crate) fn compile(
        options: &ErrorOptions,
        (at, place): (&str, usize),
        has_faults: bool,
        gathered: &mut Gathered,
    ) -> Option<Self> {
        let at = &format!("{at}[{place}]");
        let scope = Scope::of([("status", Kind::Number), ("fault", Kind::Any), ("body", Kind::Any)])
            .with_members("fault", &["code", "subcode", "reason", "detail"]);
        let when = gathered.take(&format!("{at}.when"), Expression::compile(&options.when, &scope));
        if !has_faults && when.as_ref().is_some_and(|when| when.refers_to("fault")) {
            let problem =
                "only an answer in SOAP has a `fault`, so this never holds; look at `status` and `body`";
            gathered.add(format!("{at}.when"), problem);
        }
        let kind = match (&options.problem, options.next) {
            (Some(kind), _) if is_kind(kind) => kind.as_str(),
            (Some(_), _) => {
                gathered.add(format!("{at}.problem"), "it is a name of letters, digits and `-`, or a URI");
                return None;
            }
            (None, true) => "provider-refused",
            (None, false) => {
                gathered.add(at, "say what it is in our words, `problem:`, or that the next provider is asked, `next: true`");
                return None;
            }
        };
        let status = options.status.unwrap_or(502);
        if !(400..600).contains(&status) {
            gathered.add(format!("{at}.status"), "it is a status from 400 to 599");
        }
        let members = options
            .map
            .as_ref()
            .map(|table| gathered.mapped(Mapping::table(table, &format!("{at}.map"), &Options::default())));
        let title = options.title.clone().unwrap_or_else(|| kind.replace('-', " "));
        Some(Self {
            place,
            when: when?,
            problem: Problem::known(kind, status, &title),
            members: match members {
                Some(compiled) => Some(compiled?),
                None => None,
            },
            next: options.next,
        })
    }
}

fn is_kind(kind: &str) -> bool {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_';
    !kind.is_empty() && kind.len() <= 200 && (kind.chars().all(plain) || kind.parse::<http::Uri>().is_ok())
}

/// A rule that could say neither yes nor no of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecided {
    /// Its place in the list.
    pub(crate) place: usize,
    /// Why; without a value of theirs.
    pub(crate) why: String,
}

/// The first rule that holds, and the problem that it makes. Those before it that are undecided are added to `undecided`.
pub(crate) fn find<'r>(
    rules: &'r [Rule],
    told: &Told<'_>,
    limits: &Limits,
    undecided: &mut Vec<Undecided>,
) -> Option<(&'r Rule, Problem)> {
    let status = Json::from(told.status);
    let fault = told.fault.map(Fault::to_value);
    let fault_json = fault.as_ref().map_or(Json::Null, Value::approximate);
    // A large document is turned over only for who looks at it.
    let wanted = rules.iter().any(|rule| rule.when.refers_to("body"));
    let body_json = told.body.filter(|_| wanted).map_or(Json::Null, Value::approximate);
    let context = Context::new().with("status", &status).with("fault", &fault_json).with("body", &body_json);
    let rule = rules.iter().find(|rule| match rule.when.decide(&context) {
        Verdict::Yes => true,
        Verdict::No => false,
        Verdict::Unknown(why) => {
            let absent = [("fault", told.fault.is_none()), ("body", told.body.is_none())];
            if !absent.iter().any(|(name, is_absent)| *is_absent && rule.when.refers_to(name)) {
                undecided.push(Undecided { place: rule.place, why: why.to_string() });
            }
            false
        }
    })?;
    let mut problem = rule.problem.clone();
    if let Some(members) = &rule.members {
        let whole = Value::object([
            ("status", Value::from(i64::from(told.status))),
            ("fault", fault.unwrap_or_default()),
            ("body", told.body.cloned().unwrap_or_default()),
        ]);
        match members.apply(&whole, limits) {
            Ok(translated) => {
                if let Value::Object(members) = translated.value {
                    problem.members = members;
                }
            }
            Err(failure) => problem = Problem::untranslatable(format!("an error of theirs: {failure}")),
        }
    }
    Some((rule, problem))
}
