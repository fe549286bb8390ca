//! From what is written to methods that can be asked, or to a sentence on what is wrong.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::cache::TokenCache;
use super::call::{Reach, place};
use super::certificate::Certificate;
use super::claims::Expected;
use super::flight::Flights;
use super::forward::{self, Forward};
use super::introspect::{self, basic};
use super::jwks::Timing;
use super::key::{Algorithm, KeySet, SECRET_MIN};
use super::method::{Key, KeyPlace, Method};
use super::source::Source;
use super::{
    Consumers, ForwardOptions, Introspect, IntrospectOptions, Jwt, JwtOptions, KeyOptions, KeySource, Keys,
    MethodOptions, Secret,
};
use crate::access::ConsumerTable;
use crate::keeper::Keeper;

impl JwtOptions {
    fn compile(&self, name: &Arc<str>, consumers: &Arc<Consumers>, keeper: &Keeper) -> Result<Jwt, String> {
        let is_secret = matches!(self.keys, KeySource::Secret(_));
        let algorithms = match (self.algorithms.as_slice(), is_secret) {
            ([], true) => vec![Algorithm::Hs256],
            ([], false) => vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
            (some, true) if some != [Algorithm::Hs256] => {
                return Err("`algorithms` names more than HS256, and a secret is for HS256 alone".into());
            }
            (some, false) if matches!(self.keys, KeySource::Url(_)) && some.contains(&Algorithm::Hs256) => {
                return Err(
                    "`algorithms` names HS256, whose keys are secret, and a `url` can be read by others; \
                            use `keys: { secret: … }`"
                        .into(),
                );
            }
            (some, _) => some.to_vec(),
        };
        if self.audience.is_empty() {
            return Err("`audience` is empty; say for whom tokens must be, or `\"*\"` for anybody".into());
        }
        if !is_secret && self.stale_max <= self.refresh {
            return Err(
                "`stale-max` must be longer than `refresh`, or the keys are too old before they are \
                        fetched again"
                    .into(),
            );
        }
        if self.refresh.is_zero() || self.cool_down.is_zero() || self.timeout.is_zero() {
            return Err("`refresh`, `cool-down` and `timeout` must be longer than nothing".into());
        }
        let expected = Expected {
            issuer: self.issuer.clone(),
            audience: audience(&self.audience),
            required: self.required.clone(),
            leeway: self.leeway,
        };
        Ok(Jwt {
            name: name.clone(),
            keys: self.source(keeper)?,
            algorithms,
            kind: self.kind.clone(),
            expected,
            consumer: self.consumer.clone(),
            consumers: consumers.clone(),
            verified: TokenCache::new(self.cache_max),
        })
    }

    fn source(&self, keeper: &Keeper) -> Result<Arc<Keys>, String> {
        let timing = Timing {
            refresh: self.refresh,
            cool_down: self.cool_down,
            timeout: self.timeout,
            stale_max: self.stale_max,
        };
        let (name, source) = match &self.keys {
            KeySource::Secret(secret) if secret.reveal().len() < SECRET_MIN => {
                return Err(format!(
                    "`keys.secret` is shorter than {SECRET_MIN} bytes; make one with `openssl rand -base64 48`"
                ));
            }
            KeySource::Secret(secret) => {
                let set = KeySet::of_secret(secret.reveal().as_bytes());
                return Ok(Arc::new(Keys::new(
                    "a secret".into(),
                    Source::Fixed,
                    timing,
                    set,
                    keeper.callers(),
                )));
            }
            KeySource::Url(url) => (url.clone(), Source::Url(place(url)?)),
            KeySource::File(path) => (path.display().to_string(), Source::File(path.clone())),
        };
        keeper.keys.get(&name, &(source.clone(), timing), || {
            let keys = Arc::new(Keys::new(name.clone(), source, timing, KeySet::default(), keeper.callers()));
            keeper.keep(&keys);
            Ok(keys)
        })
    }
}

impl IntrospectOptions {
    fn compile(
        &self,
        name: &Arc<str>,
        consumers: &Arc<Consumers>,
        keeper: &Keeper,
    ) -> Result<Introspect, String> {
        let credential = match (&self.client, &self.secret) {
            (Some(client), secret) => Some(basic(client, secret.as_ref().map_or("", Secret::reveal))),
            (None, Some(_)) => return Err("has a `secret` without the `client` that it belongs to".into()),
            (None, None) => None,
        };
        let wanted = if self.audience.is_empty() { None } else { audience(&self.audience) };
        Ok(Introspect {
            name: name.clone(),
            place: place(&self.url)?,
            credential,
            expected: Expected {
                issuer: self.issuer.clone(),
                audience: wanted,
                required: Vec::new(),
                leeway: Duration::ZERO,
            },
            consumer: self.consumer.clone(),
            consumers: consumers.clone(),
            timeout: self.timeout,
            keep: self.keep,
            keep_no: self.keep_no,
            on_unreachable: self.on_unreachable,
            answers: TokenCache::new(self.cache_max),
            calls: Semaphore::new(introspect::CALLS_MAX),
            waiting: Semaphore::new(introspect::WAITING_MAX),
            flights: Flights::default(),
            callers: keeper.callers(),
            reach: Reach::default(),
        })
    }
}

impl ForwardOptions {
    fn compile(&self, name: &Arc<str>, keeper: &Keeper) -> Result<Forward, String> {
        for header in self.headers.iter().chain(&self.copy) {
            is_header(header)?;
        }
        Ok(Forward {
            name: name.clone(),
            place: place(&self.url)?,
            shows: self.headers.clone(),
            copies: self.copy.iter().map(|name| name.as_str().into()).collect(),
            timeout: self.timeout,
            body_max: self.body_max,
            on_unreachable: self.on_unreachable,
            calls: Arc::new(Semaphore::new(forward::CALLS_MAX)),
            callers: keeper.callers(),
            reach: Reach::default(),
        })
    }
}

impl MethodOptions {
    /// Makes the method, or takes the one that the last configuration used.
    pub(crate) fn compile(
        &self,
        name: &str,
        table: &ConsumerTable,
        consumers: &Arc<Consumers>,
        keeper: &Keeper,
    ) -> Result<Method, String> {
        let arc: Arc<str> = name.into();
        Ok(match self {
            Self::Jwt(options) => {
                let key = (options.clone(), table.clone());
                let make = || options.compile(&arc, consumers, keeper).map(Arc::new);
                Method::Jwt(keeper.jwts.get(name, &key, make)?)
            }
            Self::Introspect(options) => {
                let key = (options.clone(), table.clone());
                let make = || options.compile(&arc, consumers, keeper).map(Arc::new);
                Method::Introspect(keeper.introspections.get(name, &key, make)?)
            }
            Self::Forward(options) => Method::Forward(Arc::new(options.compile(&arc, keeper)?)),
            Self::Certificate(options) => {
                options.header.as_deref().map_or(Ok(()), is_header)?;
                if !options.strangers && !consumers.have_certificates() {
                    return Err(
                        "takes certificates of consumers, and no consumer has one; add `certificate: …` in \
                         `consumers`, or say `strangers: true`"
                            .into(),
                    );
                }
                Method::Certificate(Arc::new(Certificate {
                    name: arc,
                    strangers: options.strangers,
                    header: options.header.as_deref().map(|header| header.to_ascii_lowercase().into()),
                    consumers: consumers.clone(),
                }))
            }
            Self::Key(options) => {
                let place = match options {
                    KeyOptions::Header(name) => {
                        is_header(name)?;
                        KeyPlace::Header(name.clone())
                    }
                    KeyOptions::Query(name) => KeyPlace::Query(name.clone()),
                };
                if !consumers.have_keys() {
                    return Err(
                        "takes API keys, and no consumer has one; add `key: sha256:…` in `consumers`".into(),
                    );
                }
                Method::Key(Arc::new(Key::new(&arc, place, consumers.clone())))
            }
        })
    }
}

/// `"*"` is anybody.
fn audience(names: &[String]) -> Option<Vec<String>> {
    let anybody = names.iter().any(|name| name == "*");
    (!anybody).then(|| names.to_vec())
}

fn is_header(name: &str) -> Result<(), String> {
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{name}` is no name of a header")),
    }
}
