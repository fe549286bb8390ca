//! What a route does with a request, as it is written.

use serde::{Deserialize, Serialize};

/// A service that a route leads to, and its share of the route's requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", deny_unknown_fields, rename_all = "kebab-case")]
pub struct Destination {
    /// The service, and the path there if it differs from the request's: `orders` or `orders:/v2/{id}?x={query.y}`.
    pub service: String,
    /// Its share, relative to the weights of the others. 0 gets nothing.
    pub weight: u32,
}

/// `orders` is short for `{ service: orders, weight: 1 }`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Short(String),
    #[serde(rename_all = "kebab-case")]
    Long {
        service: String,
        #[serde(default = "one")]
        weight: u32,
    },
}

fn one() -> u32 {
    1
}

impl From<Written> for Destination {
    fn from(written: Written) -> Self {
        match written {
            Written::Short(service) => Self { service, weight: 1 },
            Written::Long { service, weight } => Self { service, weight },
        }
    }
}

/// How the request is changed on its way to the service, where the destination names no path of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rewrite {
    /// Stands in the place of all that the match has before its `{*rest}`.
    pub path_prefix: Option<String>,
    /// A regular expression over the whole path; where it matches, `with` is the new path.
    pub regex: Option<String>,
    /// The path to put in the place of a path that `regex` matches; `{1}` and `{name}` are its groups.
    pub with: Option<String>,
    /// The `Host` that the service sees.
    pub host: Option<String>,
}

/// Sends the client elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Redirect {
    /// An absolute URL, or a path that begins with `/`; `https` is short for the same URL with that scheme.
    pub to: String,
    /// 301, 302, 307 or 308.
    #[serde(default = "temporary")]
    pub status: u16,
}

fn temporary() -> u16 {
    307
}

/// Answers without asking a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answer {
    /// 200 to 599.
    #[serde(default = "fine")]
    pub status: u16,
    /// Its body, at most 64 KiB. Without one, a status from 400 on has a problem document, and a lower one no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What the body is.
    #[serde(default = "plain")]
    pub content_type: String,
}

fn fine() -> u16 {
    200
}

fn plain() -> String {
    "text/plain; charset=utf-8".into()
}

/// Tells clients that a route will go away (RFC 9745, RFC 8594).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Deprecated {
    /// Since when it should not be used any more: `2027-01-31T00:00:00Z`.
    pub since: Option<String>,
    /// When it goes away.
    pub sunset: Option<String>,
    /// Where the reader finds what to use instead.
    pub link: Option<String>,
    /// Whether requests from the sunset on are answered with 410 instead of being forwarded.
    pub gone: bool,
}
