//! Headers that a route changes.

use dozen_dataplane::framing::{is_hop_by_hop, names_equal};

use crate::options::Change;
use crate::text::{Facts, Text};

/// Changes of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Lower-case names that are taken away: those of `remove`, and those that are set anew.
    dropped: Box<[Box<str>]>,
    written: Box<[(Box<str>, Text)]>,
}

impl Changes {
    pub(crate) fn compile(change: &Change, names: &[&str]) -> Result<Self, (String, String)> {
        let mut dropped: Vec<Box<str>> = Vec::new();
        for name in change.remove.iter().chain(change.set.keys()) {
            check(name)?;
            dropped.push(name.to_ascii_lowercase().into());
        }
        let mut written = Vec::new();
        for (name, value) in change.set.iter().chain(&change.add) {
            check(name)?;
            let wrong = |problem: String| (value.clone(), problem);
            if value.bytes().any(|byte| byte < 32 || byte == 127) {
                return Err(wrong("holds a character that no header can hold".into()));
            }
            let text = Text::plain(value, names).map_err(wrong)?;
            written.push((name.to_ascii_lowercase().into(), text));
        }
        Ok(Self { dropped: dropped.into(), written: written.into() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.written.is_empty()
    }

    /// The names of what is not passed on.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = &str> {
        self.dropped.iter().map(|name| &**name)
    }

    /// Whether a header that came along is not passed on.
    pub(crate) fn drops(&self, name: &str) -> bool {
        self.dropped.iter().any(|dropped| names_equal(name, dropped))
    }

    /// Hands out the headers that are added; not those that refer to something that is not there.
    pub(crate) fn write(&self, facts: &Facts<'_>, mut add: impl FnMut(&str, &str)) {
        let mut value = String::new();
        for (name, text) in &self.written {
            value.clear();
            if text.write(facts, &mut value) {
                add(name, &value);
            }
        }
    }
}

/// A header's name, and none that decides about framing, routing or the connection.
fn check(name: &str) -> Result<(), (String, String)> {
    let wrong = |problem: &str| Err((name.to_owned(), problem.to_owned()));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return wrong("is no header's name");
    }
    let ours = ["host", "content-length", "expect"];
    if is_hop_by_hop(name) || ours.iter().any(|known| names_equal(name, known)) {
        return wrong(
            "is a header that the gateway itself is responsible for; `rewrite: { host: … }` changes the host",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::asked::{Asked, Claims, Headers};
    use crate::template::Captures;

    fn changed(change: Change) -> (Changes, Vec<(String, String)>) {
        let changes = Changes::compile(&change, &[]).unwrap();
        let asked = Asked {
            method: "GET",
            scheme: "http",
            host: "shop.example",
            path: "/",
            query: None,
            headers: Headers::Given(&[]),
            claims: Claims::None,
            consumer: Some("web"),
            address: IpAddr::from([127, 0, 0, 1]),
        };
        let captures = Captures::default();
        let facts = Facts { asked: &asked, route: "r", captures: &captures, captured: "/" };
        let mut added = Vec::new();
        changes.write(&facts, |name, value| added.push((name.to_owned(), value.to_owned())));
        (changes, added)
    }

    #[test]
    fn what_is_set_replaces_and_what_refers_to_nothing_is_left_out() {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let (changes, added) = changed(Change {
            set: map(&[("X-Consumer", "{consumer}"), ("x-user", "{claim.sub}")]),
            add: map(&[("Vary", "x-tenant")]),
            remove: vec!["Cookie".into()],
        });
        // A client that names the header itself gains nothing, also where there is no value of ours.
        assert!(changes.drops("x_user") && changes.drops("COOKIE") && !changes.drops("vary"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(added, [pair("x-consumer", "web"), pair("vary", "x-tenant")]);
    }

    #[test]
    fn headers_of_the_framing_are_not_touched() {
        for name in ["Host", "content-length", "Transfer-Encoding", "connection", "a b", ""] {
            let change = Change { remove: vec![name.into()], ..Change::default() };
            assert!(Changes::compile(&change, &[]).is_err(), "{name}");
        }
    }
}
