//! Who asks, and whether they may.
//!
//! ```text
//!            ┌ jwt         cache ─► Jws ─► Keys ─► claims        Keys: fetched beside requests, never by them
//!            ├ key         sha256 of the key ─► consumer
//! request ──►┤                                        any · all ──► Identity ──► require (CEL) ──► Check
//!            ├ introspect  cache ─► RFC 7662
//!            └ forward     a service of the user's says
//! ```
//!
//! A method looks at one request and answers at once where it can ([`Check::Now`]): a cached token, an API key, a missing
//! credential. Where it has to ask somebody it hands back a future ([`Check::Later`]) that owns what it needs.
//!
//! Promises. An algorithm belongs to a key, never to a token: `none`, an unknown algorithm and a public key used as a
//! secret have nothing to verify with. A token is verified once, and known again by all of its bytes until it expires or
//! the keys change. Keys are refreshed before they are old, and when a token names one that is not known, by one fetch
//! at a time and with a pause between two. When their source is away they are used for a bounded time, and then nobody
//! passes: the answer is 503, since it is not the client who is at fault. What a client is told names the credential that
//! is wanted and no more; the reason is a word of a closed set, for logs and metrics.

mod cache;
mod call;
mod certificate;
mod claims;
mod compile;
mod consumer;
mod flight;
mod forward;
mod guard;
mod identity;
mod introspect;
mod jwks;
mod jws;
mod jwt;
mod key;
mod method;
mod options;
mod policy;
mod refusal;
mod secret;
mod source;
mod view;

pub use consumer::{ApiKey, Consumer, ConsumerOptions, KeyHash};
pub use guard::{Check, Guard};
pub use identity::Identity;
pub use jwks::{Keys, KeysHealth};
pub use options::{
    Algorithm, AuthOptions, CertificateOptions, ForwardOptions, IntrospectOptions, JwtOptions, KeyOptions,
    KeySource, MethodOptions, OnUnreachable,
};
pub use policy::Policy;
pub use refusal::{Passed, Reason, Refusal};
pub use secret::Secret;
pub use view::View;

pub(crate) use call::Callers;
pub(crate) use consumer::Consumers;
pub(crate) use guard::Need;
pub(crate) use introspect::Introspect;
pub(crate) use jwks::Timing;
pub(crate) use jwt::Jwt;
pub(crate) use method::Method;
pub(crate) use policy::KeyText;
pub(crate) use source::Source;
pub(crate) use view::Kept;

#[cfg(test)]
mod tests;
