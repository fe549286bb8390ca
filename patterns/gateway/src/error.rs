//! What can be wrong with a gateway before it runs.

use dozen_core::{Diagnose, Fault, Retry};

/// Why a gateway, or a new set of routes, is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path or target that is no template.
    #[error("route `{route}`: `{template}` {problem}")]
    Template {
        /// The route.
        route: String,
        /// The text.
        template: String,
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
        "routes `{first}` and `{second}` match the same requests ({what}); give one of them another path, method, host, header or query"
    )]
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// What both match.
        what: String,
    },
    /// Two routes of one name.
    #[error("two routes are called `{name}`")]
    Name {
        /// The name.
        name: String,
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
            Self::Listen { source } => source.page(),
            _ => "gateway-routes",
        }
    }
}
