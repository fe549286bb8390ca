//! What can be wrong with a gateway before it runs.

use dozen_core::{Diagnose, Fault, Retry};
use dozen_dataplane::PolicyError;

use crate::access::AccessError;

/// Why a gateway, or a new set of routes, is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text of a route that cannot be used: a path, a target, a condition, a header.
    #[error("route `{route}`: `{text}` {problem}")]
    Text {
        /// The route.
        route: String,
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A host that is none.
    #[error("route `{route}`: `{host}` is no host name such as `shop.example` or `*.shop.example`")]
    Host {
        /// The route.
        route: String,
        /// The text.
        host: String,
    },
    /// A method that is none.
    #[error("route `{route}`: `{method}` is no HTTP method; methods are written in capitals")]
    Method {
        /// The route.
        route: String,
        /// The text.
        method: String,
    },
    /// Two routes that match the same requests.
    #[error(
        "routes `{first}` and `{second}` match the same requests ({what}); give one of them another path, method, host or condition"
    )]
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// What both match.
        what: String,
    },
    /// More routes by regular expression in one place than are tried one after the other.
    #[error(
        "more than {max} routes match by regular expression below the same host and path, `{route}` among them"
    )]
    Patterns {
        /// One of them.
        route: String,
        /// So many may be.
        max: usize,
    },
    /// Two routes of one name.
    #[error("two routes are called `{name}`")]
    Name {
        /// The name.
        name: String,
    },
    /// What it says of who may pass, and how often, cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A change that only a restart can make.
    #[error("`{what}` cannot change while the gateway runs; restart it, or take the change back")]
    Fixed {
        /// The settings.
        what: String,
    },
    /// The access log cannot be written.
    #[error("cannot open the access log `{path}`")]
    AccessLog {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What is said of calling a service cannot work.
    #[error("{}: {source}", if .service.is_empty() { "the usual service".to_owned() } else { format!("service `{}`", .service) })]
    Policy {
        /// The service; empty for all that are not named.
        service: String,
        /// The setting.
        source: PolicyError,
    },
    /// What TLS is made of cannot be used.
    #[error("`{what}` cannot be used")]
    Tls {
        /// The setting.
        what: String,
        /// Why.
        source: dozen_dataplane::Error,
    },
    /// It cannot listen.
    #[error(transparent)]
    Listen {
        /// Why.
        source: dozen_dataplane::Error,
    },
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Listen { source } => source.fault(),
            Self::AccessLog { .. } => Fault::Dependency,
            _ => Fault::Caller,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Listen { source } => source.retry(),
            _ => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Listen { source } | Self::Tls { source, .. } => source.page(),
            Self::Policy { .. } => "configuration",
            Self::Access(source) => source.page(),
            _ => "gateway-routes",
        }
    }
}
