//! Why a request goes no further, and what its client is told.

use dozen_dataplane::Failure;
use http::{HeaderValue, StatusCode, header};

use super::document::Trouble;
use super::problem::{Flaw, Part, Refused};
use super::through::Unfit;

/// Why a request goes no further.
pub(super) enum Stopped {
    Refused(Box<Refused>),
    Failed(Failure),
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}

impl From<Trouble> for Stopped {
    /// Of a request's body.
    fn from(trouble: Trouble) -> Self {
        let refused = match trouble {
            Trouble::TooLarge => {
                Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than it may be")
            }
            Trouble::Coding => {
                let mut refused = Refused::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "the body has a content coding that cannot be looked into",
                );
                let codings = HeaderValue::from_static("gzip, deflate, br, zstd, identity");
                refused.fields.push((header::ACCEPT_ENCODING, codings));
                refused
            }
            Trouble::Broken => {
                Refused::new(StatusCode::BAD_REQUEST, "the body is not what its content coding says")
            }
            Trouble::Ended(failure) => return Self::Failed(failure),
        };
        refused.into()
    }
}

impl From<Unfit> for Stopped {
    /// Of a request's body.
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Unread(detail) => unread(detail).into(),
            Unfit::Unexpected(flaw) => Refused::flawed(vec![flaw]).into(),
        }
    }
}

/// What is said of a body that had to be JSON.
pub(super) fn no_json(error: &serde_json::Error) -> Refused {
    unread(format!("it is no JSON, at line {}, column {}", error.line(), error.column()))
}

fn unread(detail: String) -> Refused {
    let flaws = vec![Flaw { part: Part::Body, pointer: String::new(), detail }];
    Refused { flaws, ..Refused::new(StatusCode::BAD_REQUEST, "the body cannot be read") }
}
