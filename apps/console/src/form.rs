//! Forms: what a page of this console sends back, read whole before anything is believed.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest, Request};
use dozen_core::{Timestamp, duration};
use dozen_messaging::Start;
use http::{HeaderMap, Uri};

use crate::console::Console;
use crate::{Error, guard};

/// The fields of a form, in their order. A name may stand there several times.
pub(crate) struct Filled {
    fields: Vec<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
}

impl<S: Send + Sync> FromRequest<S> for Filled {
    type Rejection = std::convert::Infallible;

    /// A form that cannot be read has no fields, and so no token.
    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let (headers, uri) = (request.headers().clone(), request.uri().clone());
        let form: Result<Form<Vec<(String, String)>>, FormRejection> =
            Form::from_request(request, state).await;
        Ok(Self { fields: form.map(|Form(fields)| fields).unwrap_or_default(), headers, uri })
    }
}

impl Filled {
    /// That it comes from a page of this console.
    pub(crate) fn check(&self, console: &Console) -> Result<(), Error> {
        let token = self.get("token").ok_or_else(|| Error::Invalid("the form has no token".into()))?;
        guard::is_own_page(&self.headers, &self.uri, token, &console.token)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// What was filled in; nothing counts as absent.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// A moment, or how long ago it was.
pub(crate) fn past(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let span = duration::parse(text).and_then(|span| i64::try_from(span.as_micros()).ok());
    match (span, Timestamp::parse(text)) {
        (Some(span), _) => Ok(Timestamp(now.0.saturating_sub(span))),
        (None, Some(moment)) => Ok(moment),
        (None, None) => Err(Error::Invalid(format!(
            "`{}` is no moment; write one like `2026-01-31T12:00:00Z`, or how long ago: `2h`",
            text.chars().take(100).collect::<String>()
        ))),
    }
}

/// Where a reader goes on: `earliest`, `latest`, a position, a moment, or how long ago.
pub(crate) fn place(text: &str, now: Timestamp) -> Result<Start, Error> {
    match (text, text.parse::<u64>()) {
        ("earliest", _) => Ok(Start::Earliest),
        ("latest", _) => Ok(Start::Latest),
        (_, Ok(position)) => Ok(Start::After(position)),
        _ => past(text, now).map(Start::At),
    }
}
