//! One login for two systems, over HTTP: whose a proof is, and what the other side takes for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_core::chain;
use dozen_strangler::identity::{Bridge, BridgeOptions, Identity, Subject, cookie, with_cookie};
use dozen_strangler::{LoginOptions, ProofOptions, Sender as _, Side, Unsent};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::sender::Direct;

/// Bytes of what a system says of somebody.
const ANSWER_MAX: usize = 64 * 1024;
/// How long it may take to find out who somebody is; a client waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The logins of a feature's two systems.
pub(super) struct Login {
    options: LoginOptions,
    bridge: Bridge,
}

/// Somebody shows a proof of one side only.
#[derive(Clone)]
pub(super) struct Crossing {
    login: Arc<Login>,
    from: Side,
    proof: String,
}

impl Login {
    pub(super) fn new(options: LoginOptions, sender: Arc<Direct>) -> Self {
        let asking = Asking { options: options.clone(), sender };
        let bridge = BridgeOptions { keep: options.keep, patience: PATIENCE, ..BridgeOptions::default() };
        Self { bridge: Bridge::new(Arc::new(asking), bridge), options }
    }

    /// What has to be asked for a request that `side` serves: nothing where it has that side's proof, or none at all.
    pub(super) fn crossing<'r>(
        self: &Arc<Self>,
        side: Side,
        header: impl Fn(&str) -> Option<&'r str>,
    ) -> Option<Crossing> {
        let other = shown(self.options.of(side.other()), &header)?;
        match shown(self.options.of(side), &header) {
            Some(_) => None,
            None => Some(Crossing { login: self.clone(), from: side.other(), proof: other.to_owned() }),
        }
    }

    /// The same for a copy that goes to the other side than `served`.
    pub(super) fn copied(self: &Arc<Self>, served: Side, headers: &HeaderMap) -> Option<Crossing> {
        self.crossing(served.other(), |name| headers.get(name)?.to_str().ok())
    }
}

impl Crossing {
    /// Adds what `side` takes as a proof; a proof that is not valid adds nothing, and the side itself will say so.
    pub(super) async fn show(&self, side: Side, headers: &mut HeaderMap) -> Result<(), Unsent> {
        if side == self.from {
            return Ok(());
        }
        let Some(passport) = self.login.bridge.cross(self.from, &self.proof).await? else { return Ok(()) };
        carry(self.login.options.of(side), &passport.proof, headers);
        Ok(())
    }
}

fn shown<'r>(proof: &ProofOptions, header: impl Fn(&str) -> Option<&'r str>) -> Option<&'r str> {
    let found = match &proof.cookie {
        Some(name) => cookie(header("cookie")?, name),
        None => header("authorization")?.strip_prefix("Bearer "),
    };
    found.map(str::trim).filter(|proof| !proof.is_empty())
}

fn carry(as_of: &ProofOptions, proof: &str, headers: &mut HeaderMap) {
    let (name, value) = match &as_of.cookie {
        Some(name) => {
            let before = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
            (header::COOKIE, with_cookie(before, name, proof))
        }
        None => (header::AUTHORIZATION, format!("Bearer {proof}")),
    };
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(name, value);
    }
}

/// Asks the systems.
struct Asking {
    options: LoginOptions,
    sender: Arc<Direct>,
}

impl Asking {
    async fn ask(&self, target: &str, request: http::Request<Bytes>) -> Result<(StatusCode, Value), Unsent> {
        let (service, _) = target.split_once(':').unwrap_or((target, "/"));
        let answer = self.sender.send(service, request, ANSWER_MAX).await?;
        let value = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok((answer.status(), value))
    }
}

fn request(method: Method, target: &str, body: Bytes) -> Result<http::Request<Bytes>, Unsent> {
    let path = target.split_once(':').map_or("/", |(_, path)| path);
    let built = http::Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
    let built = if body.is_empty() { built } else { built.header(header::CONTENT_TYPE, "application/json") };
    built.body(body).map_err(|error| Unsent::Away(chain(&error)))
}

#[async_trait]
impl Identity for Asking {
    async fn introspect(&self, side: Side, proof: &str) -> Result<Option<Subject>, Unsent> {
        let options = self.options.of(side);
        let mut request = request(Method::GET, &options.whose, Bytes::new())?;
        carry(options, proof, request.headers_mut());
        let (status, said) = self.ask(&options.whose, request).await?;
        match (status.as_u16(), said.get("sub").and_then(Value::as_str)) {
            (200, Some(id)) => {
                let members = said.as_object().into_iter().flatten();
                let texts = members.filter(|(name, _)| *name != "sub");
                let texts =
                    texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
                Ok(Some(Subject { id: id.to_owned(), claims: texts.collect() }))
            }
            (401 | 403 | 404, _) => Ok(None),
            (status, _) => {
                Err(Unsent::Away(format!("`{}` does not say whose it is ({status})", options.whose)))
            }
        }
    }

    async fn issue(&self, side: Side, subject: &Subject) -> Result<String, Unsent> {
        let options = self.options.of(side);
        let mut said: Map<String, Value> =
            subject.claims.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        said.insert("sub".into(), json!(subject.id));
        let body = Value::from(said).to_string().into();
        let (status, said) = self.ask(&options.issue, request(Method::POST, &options.issue, body)?).await?;
        match said.get("proof").and_then(Value::as_str).filter(|_| status.is_success()) {
            Some(proof) => Ok(proof.to_owned()),
            None => Err(Unsent::Away(format!("`{}` makes no proof ({status})", options.issue))),
        }
    }
}
