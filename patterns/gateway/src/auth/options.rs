//! What a user writes about who may pass.

mod asking;
mod jwt;

use serde::{Deserialize, Serialize};

use crate::one_or_many::one_or_many;

pub use super::key::Algorithm;
pub use asking::{ForwardOptions, IntrospectOptions, OnUnreachable};
pub use jwt::{JwtOptions, KeySource};

/// A route's `auth`: one name, or this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuthOptions {
    /// One of these methods must vouch; they are names in `identity`, and asked in this order.
    #[serde(deserialize_with = "one_or_many")]
    pub any: Vec<String>,
    /// All of these must.
    #[serde(deserialize_with = "one_or_many")]
    pub all: Vec<String>,
    /// What must hold besides, in CEL over `claims`, `consumer`, `client`, `request` and `route`.
    pub require: Option<String>,
    /// Whether a request without any credential passes too. One with a wrong credential does not.
    pub optional: bool,
}

/// One way to show who one is: an entry of `identity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodOptions {
    /// A signed token.
    Jwt(JwtOptions),
    /// An API key of a consumer's.
    Key(KeyOptions),
    /// A token that its issuer is asked about.
    Introspect(IntrospectOptions),
    /// A service that decides.
    Forward(ForwardOptions),
    /// The certificate that the client showed in its handshake.
    Certificate(CertificateOptions),
}

/// `key`: an API key, in a header or in the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOptions {
    /// This header, which the service does not see.
    Header(String),
    /// This query parameter. The service sees it, and so do logs on the way: prefer a header.
    Query(String),
}

/// `certificate`: the certificate that the client showed in its handshake, as `gateway.tls.client-ca` asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateOptions {
    /// Whether one passes that is no consumer's, as the subject that it names. Without it, only those that `consumers` name.
    pub strangers: bool,
    /// The header in which the service is told the certificate's names. A client's own of this name is removed.
    pub header: Option<String>,
}
