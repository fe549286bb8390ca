//! Where keys come from.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::{Body, Caller, Place};
use http::{Method, StatusCode, header};
use tokio::io::AsyncReadExt as _;

use super::call::exchange;
use super::key::Readers;

/// Bytes of a key set.
const DOCUMENT_MAX: usize = 256 * 1024;

/// A place with a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Url(Place),
    File(PathBuf),
    /// Known from the start, and never changed.
    Fixed,
}

impl Source {
    /// Who else can read it.
    pub(crate) fn readers(&self) -> Readers {
        match self {
            Self::Url(_) => Readers::Everybody,
            Self::File(_) | Self::Fixed => Readers::OnlyUs,
        }
    }

    /// The document as it stands, within `limit` for a URL.
    pub(crate) async fn document(&self, caller: &Caller, limit: Duration) -> Result<Bytes, String> {
        match self {
            Self::Fixed => Err("it is part of the configuration".into()),
            Self::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
                let mut document = Vec::new();
                file.take(DOCUMENT_MAX as u64 + 1)
                    .read_to_end(&mut document)
                    .await
                    .map_err(|error| error.to_string())?;
                match document.len() <= DOCUMENT_MAX {
                    true => Ok(document.into()),
                    false => Err(format!("it has more than {DOCUMENT_MAX} bytes")),
                }
            }
            Self::Url(place) => {
                let request = place.request(Method::GET);
                let request = request.header(header::ACCEPT, "application/json").body(Body::empty());
                let (head, body) = exchange(caller, place, request, DOCUMENT_MAX, limit)
                    .await
                    .map_err(|error| dozen_core::chain(&error))?;
                match head.status {
                    StatusCode::OK => Ok(body),
                    status => Err(format!("it answered {}", status.as_u16())),
                }
            }
        }
    }
}
