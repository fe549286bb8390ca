//! Which status the client gets.
//!
//! | what happened | key of `status` | unless it says otherwise |
//! |---|---|---|
//! | every call gave something | `complete` | 200; or the name of a required call, whose status it is then |
//! | an optional call gave nothing | `partial` | as `complete` |
//! | a required call has no service that is available | `unavailable` | 503 |
//! | … took too long | `late` | 504 |
//! | … was answered with a status that is no success | `answered` | 502; `pass` is that status, from 400 on |
//! | … was answered with something that is too large, no JSON, or nothing at all | `broken` | 502 |

use std::sync::Arc;

use dozen_mapping::Value;
use http::StatusCode;

use super::Wrong;
use super::read::Keys;

/// Why a call gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It refers to something that the request's body does not have.
    Request,
    /// It refers to something that another call did not give.
    Skipped,
    /// There is nobody to ask.
    Unavailable { retry_after: Option<u64> },
    /// It took too long.
    Late,
    /// Nobody accepted a connection.
    Unreached,
    /// There was no answer, or not all of one.
    Broken,
    /// There was more of it than there may be.
    TooLarge,
    /// It was no JSON.
    Form,
    /// It was answered with a status that is no success.
    Answered(StatusCode),
}

impl Failure {
    /// What it is in a trace.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Skipped => "skipped",
            Self::Unavailable { .. } => "unavailable",
            Self::Late => "timeout",
            Self::Unreached => "connect",
            Self::Broken => "reset",
            Self::TooLarge => "body-too-large",
            Self::Form => "malformed-answer",
            Self::Answered(_) => "answered",
        }
    }

    /// The status of this part, as the client is told.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Request => StatusCode::BAD_REQUEST,
            Self::Skipped => StatusCode::FAILED_DEPENDENCY,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Unreached | Self::Broken | Self::TooLarge | Self::Form => StatusCode::BAD_GATEWAY,
            Self::Answered(status) => status,
        }
    }

    /// A sentence for the client, in which nothing stands of what is behind.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Request => "the request does not have what is needed to ask for it",
            Self::Skipped => "it needs something that another part did not give",
            Self::Unavailable { .. } => "it is not available at the moment",
            Self::Late => "it did not come in time",
            Self::Unreached | Self::Broken => "no answer came that can be used",
            Self::TooLarge => "the answer is too large",
            Self::Form => "the answer has another form than is expected",
            Self::Answered(_) => "it was answered with this status",
        }
    }

    /// Whether it says that there is nothing, and not that something went wrong.
    pub(super) fn is_absence(self) -> bool {
        matches!(self, Self::Answered(StatusCode::NOT_FOUND | StatusCode::GONE))
    }
}

/// What becomes of a status that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// This status.
    Is(StatusCode),
    /// The same, if it can be one of an error.
    Pass,
}

impl Answered {
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value.as_text() {
            Some("pass") => Some(Self::Pass),
            _ => code(value, 400, 599).map(Self::Is),
        }
    }
}

/// Where the status of a complete answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complete {
    Is(StatusCode),
    Call(usize),
}

/// The rule of one composition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) complete: Complete,
    pub(super) partial: Option<StatusCode>,
    broken: StatusCode,
    unavailable: StatusCode,
    late: StatusCode,
    answered: Answered,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            complete: Complete::Is(StatusCode::OK),
            partial: None,
            broken: StatusCode::BAD_GATEWAY,
            unavailable: StatusCode::SERVICE_UNAVAILABLE,
            late: StatusCode::GATEWAY_TIMEOUT,
            answered: Answered::Is(StatusCode::BAD_GATEWAY),
        }
    }
}

impl Table {
    pub(super) fn read(written: &Value, calls: &[Arc<str>]) -> Result<Self, Wrong> {
        let keys = Keys::of(written, "compose.status")?;
        keys.only(&["complete", "partial", "broken", "unavailable", "late", "answered"])?;
        let read = |name: &str, least: u16, most: u16, usual: StatusCode| match keys.get(name) {
            None => Ok(usual),
            Some(value) => match code(value, least, most) {
                Some(code) => Ok(code),
                None => keys.wrong(name, format!("is no status from {least} to {most}")),
            },
        };
        let usual = Self::default();
        let call = keys.get("complete").and_then(Value::as_text).map(|name| {
            let at = calls.iter().position(|call| **call == *name);
            let problem = || format!("is `{name}`, which is neither a status from 200 to 299 nor a call");
            at.map_or_else(|| keys.wrong("complete", problem()), |at| Ok(Complete::Call(at)))
        });
        let answered = match keys.get("answered").map(Answered::read) {
            Some(None) => return keys.wrong("answered", "is neither `pass` nor a status from 400 to 599"),
            read => read.flatten().unwrap_or(usual.answered),
        };
        Ok(Self {
            complete: match call {
                Some(call) => call?,
                None => Complete::Is(read("complete", 200, 299, StatusCode::OK)?),
            },
            partial: match keys.get("partial") {
                Some(_) => Some(read("partial", 200, 299, StatusCode::OK)?),
                None => None,
            },
            broken: read("broken", 400, 599, usual.broken)?,
            unavailable: read("unavailable", 400, 599, usual.unavailable)?,
            late: read("late", 400, 599, usual.late)?,
            answered,
        })
    }

    /// The status of the whole when a call failed that it cannot do without. `own` is what the call says of it.
    pub(super) fn failed(&self, failure: Failure, own: Option<Answered>) -> StatusCode {
        match failure {
            Failure::Request => StatusCode::BAD_REQUEST,
            Failure::Unavailable { .. } => self.unavailable,
            Failure::Late => self.late,
            Failure::Answered(status) => match own.unwrap_or(self.answered) {
                Answered::Is(status) => status,
                Answered::Pass if status.is_client_error() || status.is_server_error() => status,
                Answered::Pass => self.broken,
            },
            Failure::Skipped | Failure::Unreached | Failure::Broken | Failure::TooLarge | Failure::Form => {
                self.broken
            }
        }
    }
}

/// A status within bounds, written as a number or as its digits.
fn code(value: &Value, least: u16, most: u16) -> Option<StatusCode> {
    let number = match value {
        Value::Number(number) => u16::try_from(number.as_i64()?).ok()?,
        Value::Text(text) => text.parse().ok()?,
        _ => return None,
    };
    (least..=most).contains(&number).then(|| StatusCode::from_u16(number).ok()).flatten()
}
