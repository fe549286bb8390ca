//! What a request asks, in its query and in a JSON body; what is wrong with it is told by name.

use std::fmt;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use dozen_core::{Timestamp, duration};
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Problem;

/// Bytes of a body that is read whole.
pub(crate) const BODY_MAX: usize = 16 * 1024 * 1024;

/// The query of a request as a `T`.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Query::<T>::try_from_uri(&parts.uri)?.0))
    }
}

/// A query that has no parameters, so that one that is given is noticed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The names in a request's path as a `T`.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(Path::<T>::from_request_parts(parts, state).await?.0))
    }
}

/// The body of a request, whole.
pub struct Body(pub Bytes);

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        match Limited::new(request.into_body(), BODY_MAX).collect().await {
            Ok(body) => Ok(Self(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Problem::too_large("a body", None, BODY_MAX as u64))
            }
            Err(_) => Err(Problem::invalid("body", "the body ended early")),
        }
    }
}

impl Body {
    /// The body as a JSON object. None at all stands for an empty one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bytes = match self.0.trim_ascii() {
            b"" => b"{}",
            bytes => bytes,
        };
        // An array of the values in order would do for serde, and is nothing that anyone means.
        if bytes.first() != Some(&b'{') {
            return Err(Problem::invalid("body", "the body must be one JSON object"));
        }
        serde_json::from_slice(bytes).map_err(|error| Problem::invalid("body", error.to_string()))
    }
}

/// A length of time as people write it: `300ms`, `2s`, `5m`, `1h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration::deserialize(deserializer).map(Self)
    }
}

/// A moment as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment such as `2026-09-21T14:13:20Z`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Moment, E> {
                // A `+` that nobody encoded is a space by now; no RFC 3339 text has one there otherwise.
                let moment = Timestamp::parse(text).or_else(|| Timestamp::parse(&text.replacen(' ', "+", 1)));
                moment
                    .map(Moment)
                    .ok_or_else(|| E::custom(format!("`{text}` is no moment such as `2026-09-21T14:13:20Z`")))
            }
        }
        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}
