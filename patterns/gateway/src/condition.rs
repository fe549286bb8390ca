//! What a route asks for beside host, path and method.

use std::fmt;
use std::sync::LazyLock;

use dozen_expression::{Context, Expression, Kind, Scope, Verdict};
use serde_json::{Map, Value};

use crate::asked::{Asked, Claims, claim_text, decoded};
use crate::options::Match;
use crate::pattern::Wanted;

/// All that must hold. What is cheap is looked at first, and claims last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    parts: Box<[Part]>,
    when: Option<Expression>,
}

/// One value and what it must be.
#[derive(Clone, Debug)]
struct Part {
    of: Source,
    name: Box<str>,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Header,
    Query,
    Cookie,
    Claim,
}

/// Whether conditions hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    /// That depends on claims, and nobody has looked at them yet.
    Claims,
}

/// What makes one route's conditions more specific than another's, the weightiest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Weight {
    pub(crate) count: usize,
    pub(crate) exact: usize,
    pub(crate) patterns: usize,
}

impl Conditions {
    /// Compiles them; an error is a text and what is wrong with it.
    pub(crate) fn compile(matching: &Match) -> Result<Self, (String, String)> {
        let mut parts = Vec::new();
        let sources = [
            (Source::Header, &matching.headers),
            (Source::Query, &matching.query),
            (Source::Cookie, &matching.cookie),
            (Source::Claim, &matching.claim),
        ];
        for (of, wanted) in sources {
            for (name, text) in wanted {
                let wanted = Wanted::parse(text).map_err(|problem| (text.clone(), problem))?;
                let name = if of == Source::Header { name.to_ascii_lowercase() } else { name.clone() };
                parts.push(Part { of, name: name.into(), wanted });
            }
        }
        parts.sort_by(|one, other| (one.of, &one.name).cmp(&(other.of, &other.name)));
        let compile = |text: &String| {
            Expression::compile(text, scope())
                .map_err(|mistake| (text.clone(), format!("is no condition: {mistake}")))
        };
        Ok(Self { parts: parts.into(), when: matching.when.as_ref().map(compile).transpose()? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.when.is_none()
    }

    pub(crate) fn weight(&self) -> Weight {
        let some =
            |wanted: fn(&Wanted) -> bool| self.parts.iter().filter(|part| wanted(&part.wanted)).count();
        Weight {
            count: self.parts.len() + usize::from(self.when.is_some()),
            exact: some(|wanted| matches!(wanted, Wanted::Exactly(_))),
            patterns: some(|wanted| matches!(wanted, Wanted::Like(_))),
        }
    }

    pub(crate) fn hold(&self, asked: &Asked<'_>) -> Holds {
        let unseen = matches!(asked.claims, Claims::NotYet);
        let mut waits = false;
        for part in &self.parts {
            if part.of == Source::Claim && unseen {
                waits = true;
            } else if !part.holds(asked) {
                return Holds::No;
            }
        }
        match &self.when {
            _ if waits => Holds::Claims,
            Some(when) if unseen && when.refers_to("claims") => Holds::Claims,
            Some(when) if decide(when, asked) != Verdict::Yes => Holds::No,
            _ => Holds::Yes,
        }
    }

    /// The first that does not hold, in words; `None` where [`Self::hold`] does not say no.
    pub(crate) fn unmet(&self, asked: &Asked<'_>) -> Option<String> {
        let unseen = matches!(asked.claims, Claims::NotYet);
        let looked_at = self.parts.iter().filter(|part| !(unseen && part.of == Source::Claim));
        if let Some(part) = looked_at.into_iter().find(|part| !part.holds(asked)) {
            return Some(format!("{part} does not hold"));
        }
        let when = self.when.as_ref().filter(|_| self.hold(asked) == Holds::No)?;
        match decide(when, asked) {
            Verdict::Unknown(problem) => Some(format!("`{when}` cannot be decided: {problem}")),
            _ => Some(format!("`{when}` does not hold")),
        }
    }
}

/// Equal texts mean equal conditions, because the parts are in order.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts.iter().map(Part::to_string);
        let when = self.when.as_ref().map(|when| format!("when `{when}`"));
        let all: Vec<String> = parts.chain(when).collect();
        f.write_str(&all.join(", "))
    }
}

impl Part {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        let wanted = &self.wanted;
        match self.of {
            Source::Header => asked.headers.named(&self.name).any(|value| wanted.holds(value)),
            Source::Query => asked.parameters().any(|(name, value)| {
                *decoded(name) == *self.name.as_bytes() && wanted.holds(&decoded(value))
            }),
            Source::Cookie => {
                asked.cookies().any(|(name, value)| name == self.name.as_bytes() && wanted.holds(value))
            }
            Source::Claim => match asked.claim(&self.name) {
                None | Some(Value::Null) => false,
                Some(_) if *wanted == Wanted::Any => true,
                Some(Value::Array(values)) => values.iter().any(|value| claim_is(value, wanted)),
                Some(value) => claim_is(value, wanted),
            },
        }
    }
}

fn claim_is(value: &Value, wanted: &Wanted) -> bool {
    claim_text(value).is_some_and(|text| wanted.holds(text.as_bytes()))
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.of {
            Source::Header => "header",
            Source::Query => "query parameter",
            Source::Cookie => "cookie",
            Source::Claim => "claim",
        };
        write!(f, "{source} `{}` = `{}`", self.name, self.wanted)
    }
}

/// What a `when` may refer to.
pub(crate) fn scope() -> &'static Scope {
    static SCOPE: LazyLock<Scope> = LazyLock::new(|| {
        let texts =
            ["method", "scheme", "host", "path", "address", "consumer"].map(|name| (name, Kind::Text));
        let maps = ["query", "headers", "cookies", "claims"].map(|name| (name, Kind::Map));
        Scope::of(texts.into_iter().chain(maps))
    });
    &SCOPE
}

/// A request has at most 16 KiB of head and 100 headers, so what is built here is bounded.
fn decide(when: &Expression, asked: &Asked<'_>) -> Verdict {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
    let map = |pairs: &mut dyn Iterator<Item = (String, Value)>| {
        let mut map = Map::new();
        // The first value of a name counts.
        for (name, value) in pairs {
            map.entry(name).or_insert(value);
        }
        Value::Object(map)
    };
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value_of = |variable: &str| match variable {
        "method" => asked.method.into(),
        "scheme" => asked.scheme.into(),
        "host" => crate::host::without_port(asked.host).to_ascii_lowercase().into(),
        "path" => asked.path.into(),
        "address" => asked.address.to_string().into(),
        "consumer" => asked.consumer.map_or(Value::Null, Value::from),
        "query" => {
            map(&mut asked.parameters().map(|(key, value)| (name(&decoded(key)), text(&decoded(value)))))
        }
        "headers" => {
            map(&mut asked.headers.all().map(|(key, value)| (key.to_ascii_lowercase(), text(value))))
        }
        "cookies" => map(&mut asked.cookies().map(|(key, value)| (name(key), text(value)))),
        "claims" => match asked.claims {
            Claims::Are(claims) => claims.clone(),
            Claims::None | Claims::NotYet => Value::Object(Map::new()),
        },
        _ => Value::Null,
    };
    let wanted = scope().names().filter(|variable| when.refers_to(variable));
    let values: Vec<(&str, Value)> = wanted.map(|variable| (variable, value_of(variable))).collect();
    let context = values.iter().fold(Context::new(), |context, (name, value)| context.with(name, value));
    when.decide(&context)
}
