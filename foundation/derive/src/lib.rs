//! `#[derive(Message)]`: a payload with a name and a version, instead of a Rust path that a refactoring breaks.
//!
//! ```
//! use dozen_messaging::Message;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "stock.reserve")]
//! struct ReserveV1 {
//!     order: u64,
//! }
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "stock.reserve", version = 2, from = ReserveV1, key = order)]
//! struct Reserve {
//!     order: String,
//! }
//!
//! impl From<ReserveV1> for Reserve {
//!     fn from(old: ReserveV1) -> Self {
//!         Self { order: old.order.to_string() }
//!     }
//! }
//!
//! use dozen_messaging::Typed;
//! let reserve = Reserve::decode_version(1, br#"{"order": 7}"#).unwrap();
//! assert_eq!((Reserve::NAME, Reserve::VERSION, reserve.key()), ("stock.reserve", 2, Some("7".to_owned())));
//! ```
//!
//! | in `#[message(…)]` | |
//! |---|---|
//! | `name = "stock.reserve"` | required: 1 to 200 of `a-z 0-9 . - _`; it becomes the CloudEvent's `type` |
//! | `version = 2` | at least 1, which it is when it is not said |
//! | `from = ReserveV1` | the type that reads every older version; `From<ReserveV1>` makes this one of it |
//! | `key = order` | the field that orders messages: anything that is `Display`, or an `Option` of it |
//!
//! Several types of one name make a chain: each reads its own version and hands an older one down to its `from`. A chain
//! that cannot be right is refused where it is written: another name, a version that does not grow, a type parameter.
//! A newer version is never guessed at; reading it is an error that names both versions.
//!
//! The program that derives depends on `dozen-messaging`, `serde` and `serde_json`, under these names.

mod expand;
mod options;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `dozen_messaging::Typed`; see the [crate] for what `#[message(…)]` takes.
///
/// The name is required:
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, dozen_derive::Message)]
/// struct Reserve {}
/// ```
/// it is the same along a chain:
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, dozen_derive::Message)]
/// #[message(name = "stock.free")]
/// struct Free {}
///
/// #[derive(serde::Serialize, serde::Deserialize, dozen_derive::Message)]
/// #[message(name = "stock.reserve", version = 2, from = Free)]
/// struct Reserve {}
///
/// impl From<Free> for Reserve {
///     fn from(_: Free) -> Self {
///         Self {}
///     }
/// }
/// ```
/// and versions grow along it:
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, dozen_derive::Message)]
/// #[message(name = "stock.reserve", version = 2)]
/// struct Old {}
///
/// #[derive(serde::Serialize, serde::Deserialize, dozen_derive::Message)]
/// #[message(name = "stock.reserve", version = 2, from = Old)]
/// struct Reserve {}
///
/// impl From<Old> for Reserve {
///     fn from(_: Old) -> Self {
///         Self {}
///     }
/// }
/// ```
#[proc_macro_derive(Message, attributes(message))]
pub fn message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::message(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
