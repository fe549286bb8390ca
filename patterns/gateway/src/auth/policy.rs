//! Rules on who may do what, in CEL.
//!
//! | name | what it is |
//! |---|---|
//! | `claims` | what the token says; null without a token |
//! | `consumer` | `name`, `plan`, `tags`; null when nobody is known by name |
//! | `client` | `subject`, `dns`, `uris` of the certificate that the client showed; null without one |
//! | `request` | `method`, `path`, `host`, `address`, `headers` (lower case), `query` |
//! | `route` | the route's name |
//!
//! What cannot be evaluated is not allowed: a claim that is missing refuses, with a reason of its own to count by. `has(…)`
//! in front makes it a plain no.

use std::sync::LazyLock;

use dozen_dataplane::ClientIdentity;
use dozen_expression::{Context, Expression, Kind, Mistake, Problem, Scope, Verdict};
use serde_json::{Map, Value};

use super::call::unescaped;
use super::{Identity, Reason, View};

static SCOPE: LazyLock<Scope> = LazyLock::new(|| {
    Scope::of([
        ("claims", Kind::Map),
        ("consumer", Kind::Map),
        ("client", Kind::Map),
        ("request", Kind::Map),
        ("route", Kind::Text),
    ])
});

/// A rule, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(Expression);

impl Policy {
    /// Compiles a rule, or says where it goes wrong.
    pub fn compile(text: &str) -> Result<Self, Mistake> {
        Expression::compile(text, &SCOPE).map(Self)
    }

    /// Whether it lets this request of this somebody pass.
    pub(crate) fn check(&self, view: &View<'_>, identity: &Identity) -> Result<(), Reason> {
        match decide(&self.0, view, identity, |expression, context| expression.decide(context)) {
            Verdict::Yes => Ok(()),
            Verdict::No => Err(Reason::Policy),
            Verdict::Unknown(problem) => {
                tracing::debug!(route = view.route, rule = self.0.text(), %problem, "the rule has no answer");
                Err(Reason::PolicyUndecided)
            }
        }
    }
}

/// A text made from a request and who asks: the key of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyText(Expression);

impl KeyText {
    pub(crate) fn compile(text: &str) -> Result<Self, Mistake> {
        Expression::compile_text(text, &SCOPE).map(Self)
    }

    /// The text, or why there is none.
    pub(crate) fn of(&self, view: &View<'_>, identity: &Identity) -> Result<String, Problem> {
        decide(&self.0, view, identity, |expression, context| expression.text_of(context))
    }
}

/// Evaluates over what a request is; only what the expression names is built.
fn decide<T>(
    expression: &Expression,
    view: &View<'_>,
    identity: &Identity,
    evaluate: impl FnOnce(&Expression, &Context<'_>) -> T,
) -> T {
    let request = request(expression, view);
    let route = if expression.refers_to("route") { Value::from(view.route) } else { Value::Null };
    let client = if expression.refers_to("client") { client(view) } else { Value::Null };
    let consumer = identity.consumer.as_ref().map_or(&Value::Null, |consumer| &consumer.value);
    let context = Context::new()
        .with("claims", &identity.claims)
        .with("consumer", consumer)
        .with("client", &client)
        .with("request", &request)
        .with("route", &route);
    evaluate(expression, &context)
}

/// The certificate that the client showed.
fn client(view: &View<'_>) -> Value {
    let names = |client: &ClientIdentity| serde_json::json!({ "subject": client.subject, "dns": client.dns, "uris": client.uris });
    view.client().map_or(Value::Null, names)
}

fn request(expression: &Expression, view: &View<'_>) -> Value {
    let mut request = Map::new();
    let mut add = |name: &str, value: &dyn Fn() -> Value| {
        if expression.refers_to_member("request", name) {
            request.insert(name.to_owned(), value());
        }
    };
    add("method", &|| view.method.into());
    add("path", &|| view.path.into());
    add("host", &|| view.host.into());
    add("address", &|| view.address.to_string().into());
    add("headers", &|| headers(view).into());
    add("query", &|| query(view).into());
    Value::Object(request)
}

/// Headers by their names in lower case; several of one name are joined, as HTTP allows.
fn headers(view: &View<'_>) -> Map<String, Value> {
    let mut headers = Map::new();
    for field in view.fields {
        let Ok(value) = std::str::from_utf8(field.value) else { continue };
        match headers.entry(field.name.to_ascii_lowercase()).or_insert(Value::Null) {
            Value::String(before) => {
                before.push_str(", ");
                before.push_str(value);
            }
            empty => *empty = value.into(),
        }
    }
    headers
}

/// Query parameters by their names; the first of a name counts.
fn query(view: &View<'_>) -> Map<String, Value> {
    let mut query = Map::new();
    for pair in view.query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.entry(unescaped(name)).or_insert_with(|| unescaped(value).into());
    }
    query
}
