//! Arguments that several verbs share: what a message carries, which dead letters are meant, moments and waits.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use dozen_core::{Ids, Message, Timestamp, duration};
use dozen_messaging::{Selection, Start};
use serde_json::Value;

use crate::Error;

/// Bytes of a payload that are read.
const DATA_MAX: u64 = 64 * 1024 * 1024;

/// What a message carries.
#[derive(Debug, clap::Args)]
pub(crate) struct Payload {
    /// The payload: JSON, or `@file`, or `-` for the standard input
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// The message's type, for example `order.placed`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Its key: messages of one key are handled one after the other
    #[arg(long)]
    key: Option<String>,
    /// What it is about
    #[arg(long)]
    subject: Option<String>,
    /// Its id; a new one without it
    #[arg(long)]
    id: Option<String>,
    /// The media type of a payload that is not JSON; it is then taken as it is
    #[arg(long, value_name = "MEDIA-TYPE")]
    content_type: Option<String>,
}

impl Payload {
    /// The message, from `source`; of type `kind` unless it names its own.
    pub(crate) fn message(&self, source: &str, kind: &str, ids: &Ids) -> Result<Message, Error> {
        let id = self.id.clone().unwrap_or_else(|| ids.next().to_string());
        let kind = self.kind.as_deref().unwrap_or(kind);
        let mut message = Message::new(id, source, kind);
        message.time = Some(ids.clock().now());
        message.subject.clone_from(&self.subject);
        if let Some(key) = &self.key {
            message = message.with_key(key);
        }
        let data = self.data.as_deref().map(read).transpose()?;
        Ok(match data {
            None => message,
            Some(data) => {
                self.check(&data)?;
                message.with_data(Some(self.content_type.as_deref().unwrap_or("application/json")), data)
            }
        })
    }

    /// `message` with what is named here in the place of its own; id and key stay.
    pub(crate) fn edited(&self, mut message: Message) -> Result<Message, Error> {
        if self.data.is_none() && self.kind.is_none() && self.subject.is_none() && self.content_type.is_none()
        {
            return Err(Error::Usage(
                "name what shall change: new DATA, `--type`, `--subject` or `--content-type`".into(),
            ));
        }
        if self.key.is_some() || self.id.is_some() {
            return Err(Error::Usage("the id and the key of a dead letter stay as they are".into()));
        }
        if let Some(kind) = &self.kind {
            message.kind.clone_from(kind);
        }
        message.subject = self.subject.clone().or(message.subject);
        message.content_type = self.content_type.clone().or(message.content_type);
        if let Some(data) = &self.data {
            let data = read(data)?;
            if self.content_type.is_none() && message.is_json() {
                self.check(&data)?;
            }
            message.data = data.into();
        }
        Ok(message)
    }

    fn check(&self, data: &[u8]) -> Result<(), Error> {
        match (&self.content_type, serde_json::from_slice::<Value>(data)) {
            (None, Err(error)) => Err(Error::Usage(format!(
                "the payload is not JSON: {error}; put quotes around a text, or name its `--content-type`"
            ))),
            _ => Ok(()),
        }
    }
}

/// `-`, `@file`, or the text itself.
pub(crate) fn read(text: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match text {
        "-" => std::io::stdin().lock().take(DATA_MAX + 1).read_to_end(&mut bytes),
        _ => match text.strip_prefix('@') {
            None => return Ok(text.as_bytes().to_vec()),
            Some(path) => std::fs::File::open(Path::new(path))
                .and_then(|file| file.take(DATA_MAX + 1).read_to_end(&mut bytes)),
        },
    };
    read.map_err(Error::system(format!("read the payload from `{text}`")))?;
    if bytes.len() as u64 > DATA_MAX {
        return Err(Error::Usage(format!("the payload is longer than {} MiB", DATA_MAX >> 20)));
    }
    Ok(bytes)
}

/// Which dead letters are meant. All conditions must hold; without any, all are meant.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Chosen {
    /// Only the message of this id; may be given several times
    #[arg(long)]
    id: Vec<String>,
    /// Only those at this position; may be given several times
    #[arg(long)]
    position: Vec<u64>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only those of this key
    #[arg(long)]
    key: Option<String>,
    /// Only those whose last error contains this text
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only those that were given up before this moment, or longer ago than this: `2026-01-31T12:00:00Z`, `2h`
    #[arg(long, value_name = "MOMENT")]
    before: Option<Moment>,
    /// So many at most, the oldest first
    #[arg(long)]
    limit: Option<usize>,
}

impl Chosen {
    /// One selection for each id that is named, or one for all.
    pub(crate) fn selections(&self, now: Timestamp) -> Vec<Selection> {
        let selection = |id: Option<&String>| Selection {
            positions: self.position.clone(),
            id: id.cloned(),
            kind: self.kind.clone(),
            key: self.key.clone(),
            error: self.error.clone(),
            before: self.before.map(|before| before.past(now)),
            after: 0,
            limit: self.limit,
        };
        match self.id.as_slice() {
            [] => vec![selection(None)],
            ids => ids.iter().map(|id| selection(Some(id))).collect(),
        }
    }

    /// The same, and so many at most unless it says otherwise.
    pub(crate) fn at_most(mut self, limit: usize) -> Self {
        self.limit = self.limit.or(Some(limit));
        self
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// A moment, or how far it is from now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    At(Timestamp),
    Span(Duration),
}

impl Moment {
    pub(crate) fn past(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Span(span) => {
                Timestamp(now.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
            }
        }
    }

    pub(crate) fn future(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Span(span) => now.after(span),
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (duration::parse(text), Timestamp::parse(text)) {
            (Some(span), _) => Ok(Self::Span(span)),
            (None, Some(moment)) => Ok(Self::At(moment)),
            (None, None) => {
                Err("write a moment like `2026-01-31T12:00:00Z`, or a span like `30s`, `5m`, `2h`, `7d`"
                    .into())
            }
        }
    }
}

/// A wait.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .ok_or_else(|| "write a whole number and a unit: `250ms`, `30s`, `5m`, `2h` or `7d`".into())
}

/// How many in a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write how many a second, above 0: `50` or `0.5`".into())
}

/// Where a reader goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Start(Start),
    Ago(Duration),
}

impl From {
    pub(crate) fn start(self, now: Timestamp) -> Start {
        match self {
            Self::Start(start) => start,
            Self::Ago(span) => Start::At(Moment::Span(span).past(now)),
        }
    }
}

impl std::str::FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let start = match (text, text.parse::<u64>(), Timestamp::parse(text)) {
            ("latest", ..) => Start::Latest,
            ("earliest", ..) => Start::Earliest,
            (_, Ok(position), _) => Start::After(position),
            (_, _, Some(moment)) => Start::At(moment),
            _ => {
                return duration::parse(text).map(Self::Ago).ok_or_else(|| {
                    "write `earliest`, `latest`, a moment like `2026-01-31T12:00:00Z`, a span like `2h` (ago), or the \
                     position after which to go on"
                        .into()
                });
            }
        };
        Ok(Self::Start(start))
    }
}
