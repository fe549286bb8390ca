//! What can go wrong between two sockets.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use dozen_core::{Diagnose, Fault, Retry};
use dozen_lifecycle::BoxError;

use crate::framing::Refusal;

/// An error of the HTTP engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address to listen on is taken.
    #[error("another process already listens on {address}; stop it or change `{setting}`")]
    AddressInUse {
        /// The address.
        address: SocketAddr,
        /// The setting that chose it.
        setting: String,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address} (from `{setting}`)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that chose it.
        setting: String,
        /// Why.
        source: io::Error,
    },
    /// The peer could not be connected to.
    #[error("cannot connect to {address}")]
    Connect {
        /// `host:port`.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to {address} broke")]
    Broken {
        /// `host:port`.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The peer has turned the request away, and has certainly not looked at it.
    #[error("{address} takes no more requests on this connection")]
    Unprocessed {
        /// `host:port`.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The peer sent something that is no unambiguous HTTP/1.1.
    #[error("{address} sent a message that is refused")]
    Refused {
        /// `host:port`.
        address: String,
        /// Why.
        source: Refusal,
    },
    /// The peer took too long.
    #[error("{address} did not answer in time")]
    TimedOut {
        /// `host:port`.
        address: String,
    },
    /// A body is larger than its reader allows.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: usize,
    },
    /// A body ended in an error.
    #[error("the body could not be read to its end")]
    Body {
        /// Why.
        source: BoxError,
    },
    /// A file with certificates or a key cannot be used.
    #[error("{file} cannot be used for TLS: {what}; {todo}", file = .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        todo: &'static str,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {what}")]
    Tls {
        /// Why, and what to do.
        what: String,
    },
    /// A request that cannot be written down as HTTP/1.1.
    #[error("the request cannot be sent: {why}")]
    Request {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::AddressInUse { .. } | Self::Listen { .. } => Fault::Caller,
            Self::Certificate { .. } | Self::Tls { .. } => Fault::Caller,
            Self::BodyTooLarge { .. } | Self::Request { .. } => Fault::Caller,
            Self::Connect { .. } | Self::Unprocessed { .. } => Fault::Dependency,
            Self::Broken { .. } | Self::Refused { .. } => Fault::Dependency,
            Self::TimedOut { .. } | Self::Body { .. } => Fault::Dependency,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::AddressInUse { .. } | Self::Listen { .. } => Retry::Never,
            Self::Certificate { .. } | Self::Tls { .. } => Retry::Never,
            Self::BodyTooLarge { .. } | Self::Request { .. } | Self::Refused { .. } => Retry::Never,
            Self::Connect { .. } | Self::Unprocessed { .. } | Self::Broken { .. } => Retry::Later,
            Self::TimedOut { .. } | Self::Body { .. } => Retry::Later,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::AddressInUse { .. } | Self::Listen { .. } => "http-listen",
            Self::Certificate { .. } | Self::Tls { .. } => "http-tls",
            Self::BodyTooLarge { .. } | Self::Request { .. } => "http-request",
            Self::Refused { .. } => "http-framing",
            Self::Connect { .. } | Self::Unprocessed { .. } | Self::Broken { .. } => "http-upstream",
            Self::TimedOut { .. } | Self::Body { .. } => "http-upstream",
        }
    }
}
