//! Recorded answers in place of a system. A request finds the answer that was recorded for the same one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_dataplane::Error;
use dozen_mapping::{Format, Limits, Value};

use super::{Exchange, Failed, RecordedAnswer, RecordedRequest};
use crate::ask::Ask;
use crate::foreign::{Foreign, ForeignAnswer, ForeignError, ForeignRequest, Place};

/// Exchanges by the way that they belong to.
#[derive(Debug, Default)]
pub(crate) struct Recorded(BTreeMap<Place, Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    request: RecordedRequest,
    document: Document,
    format: Option<Format>,
    answer: RecordedAnswer,
}

/// What a request says, whatever spaces and order it is written with.
#[derive(Debug)]
enum Document {
    Read(Value),
    Bytes(Bytes),
}

impl Document {
    fn of(bytes: &Bytes, format: Option<&Format>) -> Self {
        match format.map(|format| format.decode(bytes, None, &Limits::default())) {
            Some(Ok(value)) => Self::Read(value),
            _ => Self::Bytes(bytes.clone()),
        }
    }

    fn means(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(one), Self::Read(other)) => one.means(other),
            (Self::Bytes(one), Self::Bytes(other)) => one == other,
            _ => false,
        }
    }
}

impl Recorded {
    pub(crate) fn add(&mut self, way: &Ask, exchange: &Exchange) {
        let format = way.question.format();
        let document = Document::of(&exchange.request.bytes().unwrap_or_default(), format.as_ref());
        let (request, answer) = (exchange.request.clone(), exchange.answer.clone());
        self.0.entry(way.place.clone()).or_default().push(Entry { request, document, format, answer });
    }

    /// The answer to this request, if there is one.
    pub(super) fn find(&self, place: &Place, request: &http::Request<Bytes>) -> Option<&RecordedAnswer> {
        let asked = RecordedRequest::of(request);
        let entries = self.0.get(place)?;
        let found = entries.iter().find(|entry| {
            entry.request.method.eq_ignore_ascii_case(&asked.method)
                && entry.request.target == asked.target
                && entry.document.means(&Document::of(request.body(), entry.format.as_ref()))
        });
        found.map(|entry| &entry.answer)
    }
}

/// What a recorded answer is to whoever asks.
pub(super) fn play(answer: &RecordedAnswer) -> Result<ForeignAnswer, ForeignError> {
    let broken = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let address = || "example:0".to_owned();
    match answer.failed {
        Some(Failed::Timeout) => Err(ForeignError::TimedOut),
        Some(Failed::Unreachable) => {
            let error = Error::Connect { address: address(), source: broken() };
            Err(ForeignError::Unreachable(error.into()))
        }
        Some(Failed::Broken) => {
            Err(ForeignError::Broken(Error::Broken { address: address(), source: broken() }.into()))
        }
        None => answer.whole().ok_or(ForeignError::NotRecorded),
    }
}

#[async_trait]
impl Foreign for Recorded {
    async fn ask(&self, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        self.find(&asked.place, &asked.request).map_or(Err(ForeignError::NotRecorded), play)
    }
}
