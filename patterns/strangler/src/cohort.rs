//! Who belongs together: a key decides, the same way on every gateway and in every language.
//!
//! ```text
//!   point = the first 8 bytes of SHA-256(feature, 0, key), as a part of 2^64         new side  ⇔  point < share
//! ```
//!
//! So a key stays where it is when nothing changes (*sticky*), and a greater share only adds keys, a smaller one only takes
//! the last ones back (*monotone*). Each feature draws its own line: nobody is the canary of everything.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::Side;

/// The header in which a tester chooses a side, and in which a gateway tells those behind it what was decided.
pub const HEADER: &str = "dozen-feature";

/// Bytes of a header that is looked at.
const HEADER_MAX: usize = 1024;

/// Where a key stands, as a part of 2^64.
pub fn point(feature: &str, key: &str) -> u64 {
    let digest = Sha256::new().chain_update(feature).chain_update([0]).chain_update(key).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// What a request's key is. Written `user`, `header NAME` or `cookie NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// Whoever the request was authenticated as.
    #[default]
    User,
    /// The value of a header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
}

impl Key {
    /// The key of a request; `None` when it has none, and then it is served by the old side until the move is complete.
    pub fn of<'r>(&self, user: Option<&'r str>, header: impl Fn(&str) -> Option<&'r str>) -> Option<&'r str> {
        let found = match self {
            Self::User => user,
            Self::Header(name) => header(name),
            Self::Cookie(name) => cookie(header("cookie")?, name),
        };
        found.filter(|key| !key.is_empty())
    }
}

/// The value of one cookie in a `cookie` header.
pub fn cookie<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.split(';').find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

/// Which side a `dozen-feature` header chooses for `feature`: `checkout=new, search=old; key=SECRET`. `None` when it does not
/// name the feature, when nobody may choose, or when it does not know the key.
pub fn forced(header: &str, feature: &str, force_key: Option<&str>) -> Option<Side> {
    let wanted = force_key?;
    let (choices, shown) = header.get(..header.len().min(HEADER_MAX))?.split_once(';')?;
    let shown = shown.trim().strip_prefix("key=")?;
    same(wanted, shown).then(|| chosen(choices, feature)).flatten()
}

/// Which side a `dozen-feature` header names for `feature`. For headers that come from a gateway that is trusted.
pub fn chosen(choices: &str, feature: &str) -> Option<Side> {
    choices.split(',').find_map(|choice| {
        let (name, side) = choice.trim().split_once('=')?;
        (name == feature).then(|| side.parse().ok()).flatten()
    })
}

/// Compares without telling by the time it takes how much of it is right.
fn same(left: &str, right: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(left).iter().zip(digest(right)).fold(0, |all, (left, right)| all | (left ^ right)) == 0
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(' ') {
            None if text == "user" => Ok(Self::User),
            Some(("header", name)) if !name.trim().is_empty() => {
                Ok(Self::Header(name.trim().to_ascii_lowercase()))
            }
            Some(("cookie", name)) if !name.trim().is_empty() => Ok(Self::Cookie(name.trim().to_owned())),
            _ => Err(format!("`{text}` is no key: write `user`, `header NAME` or `cookie NAME`")),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Share;

    #[test]
    fn the_point_of_a_key_never_changes() {
        // Other programs compute it too: `printf 'checkout\0ann' | sha256sum`.
        assert_eq!(point("checkout", "ann"), POINT_OF_ANN);
        assert_ne!(point("checkout", "ann"), point("search", "ann"), "each feature draws its own line");
    }

    const POINT_OF_ANN: u64 = 0x151c_edfd_8eeb_fe00;

    #[test]
    fn a_share_of_the_keys_is_that_share() {
        let share = Share::percent(5);
        let taken = (0..20_000).filter(|key| share.takes(point("checkout", &key.to_string()))).count();
        assert!((900..1_100).contains(&taken), "{taken} of 20000");
    }

    #[test]
    fn a_tester_needs_the_key() {
        let header = "search=old, checkout=new; key=s3cret";
        assert_eq!(forced(header, "checkout", Some("s3cret")), Some(Side::New));
        assert_eq!(forced(header, "search", Some("s3cret")), Some(Side::Old));
        assert_eq!(forced(header, "cart", Some("s3cret")), None);
        assert_eq!(forced(header, "checkout", Some("other")), None);
        assert_eq!(forced(header, "checkout", None), None, "nobody may");
        assert_eq!(forced("checkout=new", "checkout", Some("s3cret")), None);
        assert_eq!(chosen("checkout=new", "checkout"), Some(Side::New), "from a gateway that is trusted");
    }

    #[test]
    fn a_key_is_found_where_it_is_said_to_be() {
        let header = |name: &str| match name {
            "cookie" => Some("a=1; sid=x y=z"),
            "x-user" => Some("ann"),
            _ => None,
        };
        let key = |text: &str| text.parse::<Key>().expect("a key");
        assert_eq!(key("user").of(Some("bob"), header), Some("bob"));
        assert_eq!(key("header X-User").of(None, header), Some("ann"));
        assert_eq!(key("cookie sid").of(None, header), Some("x y=z"));
        assert_eq!(key("cookie none").of(None, header), None);
        for wrong in ["", "ip", "header", "header  ", "cookies a"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn cohorts_are_sticky_and_monotone(key in ".{1,40}", one in 0u32..=1_000_000, other in 0u32..=1_000_000) {
            let point = point("checkout", &key);
            prop_assert_eq!(point, super::point("checkout", &key));
            let (small, great) = (Share::millionths(one.min(other)), Share::millionths(one.max(other)));
            prop_assert!(!small.takes(point) || great.takes(point));
        }
    }
}
