//! Headers that a handler adds to a request, or changes in an answer.

use http::HeaderMap;

use super::Failure;
use crate::framing::{Field, field, is_hop_by_hop, names_equal};

/// Header lines, written down as they will be sent.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub(super) Vec<u8>);

impl Fields {
    /// Adds a header; `name` must be a header's name. A value that cannot stand in one (a line end, a control
    /// character) is left out.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        if value.iter().all(|byte| *byte >= 32 && *byte != 127) {
            field(name, value, &mut self.0);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // Nothing but `add` writes here, so each line has its colon, and no value has a line end.
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let at = memchr::memchr(b':', line)?;
            Some((&line[..at], line.get(at + 2..line.len() - 1)?))
        })
    }
}

/// Names of headers, behind one another in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Names(String);

impl Names {
    /// Adds a name, which must be a header's.
    pub fn add(&mut self, name: &str) {
        self.0.push_str(name);
        self.0.push('\n');
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator('\n')
    }
}

/// What a handler changes in the head of a request. Kept from one request to the next, so that it costs no memory anew.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) added: Fields,
    pub(super) dropped: Names,
    /// Asked for instead of the client's.
    pub(super) host: Option<String>,
}

impl Edits {
    pub(super) fn clear(&mut self) {
        self.added.0.clear();
        self.dropped.0.clear();
        self.host = None;
    }

    pub(super) fn drops(&self, name: &str) -> bool {
        self.dropped.iter().any(|dropped| names_equal(name, dropped))
    }

    /// Makes these changes, too.
    pub(super) fn extend(&mut self, added: &Fields, dropped: &Names) {
        self.added.0.extend_from_slice(&added.0);
        self.dropped.0.push_str(&dropped.0);
    }
}

/// What a handler changes in the head of an answer.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    dropped: Names,
    pub(super) added: Fields,
}

impl Changes {
    /// Adds a header beside those of the same name. Headers of the connection and of the framing are not a handler's,
    /// and are left out.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        if !is_hop_by_hop(name) && !names_equal(name, "content-length") {
            self.added.add(name, value);
        }
    }

    /// Replaces all headers of this name by one.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Takes out all headers of this name that the service sent.
    pub fn remove(&mut self, name: &str) {
        self.dropped.add(name);
    }

    /// Makes these changes, too.
    pub fn extend(&mut self, others: &Self) {
        self.dropped.0.push_str(&others.dropped.0);
        self.added.0.extend_from_slice(&others.added.0);
    }

    pub(super) fn drops(&self, name: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case(name))
    }
}

/// The head of an answer, before it is sent to the client.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The status.
    pub status: u16,
    /// Why this is no service's answer, if it is none.
    pub failure: Option<Failure>,
    pub(super) head: Head<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Head<'a> {
    Lines(&'a [Field<'a>]),
    Map(&'a HeaderMap),
}

impl<'a> Answered<'a> {
    /// Name and value of each header that the service sent. Names are spelled as it pleased.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let (lines, map) = match self.head {
            Head::Lines(lines) => (lines, None),
            Head::Map(map) => (&[][..], Some(map)),
        };
        let of_map = map.into_iter().flat_map(HeaderMap::iter);
        let of_map = of_map.map(|(name, value)| (name.as_str(), value.as_bytes()));
        lines.iter().map(|field| (field.name, field.value)).chain(of_map)
    }

    /// The first header called `name`.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_back_as_they_were_added() {
        let mut fields = Fields::default();
        fields.add("x-one", b"1: 2");
        fields.add("x-two", b"");
        fields.add("x-bad", b"a\r\nx-evil: 1");
        let read: Vec<_> = fields.iter().collect();
        assert_eq!(read, [(&b"x-one"[..], &b"1: 2"[..]), (b"x-two", b"")]);
    }

    #[test]
    fn names_are_taken_out_whole() {
        let mut edits = Edits::default();
        edits.dropped.add("x-one");
        edits.extend(&Fields::default(), &Names("x-two\n".into()));
        assert!(edits.drops("X_One") && edits.drops("x-two"));
        assert!(!edits.drops("x-") && !edits.drops("") && !edits.drops("one"));
        edits.clear();
        assert!(!edits.drops("x-one"));
    }

    #[test]
    fn framing_is_not_a_handlers() {
        let mut changes = Changes::default();
        changes.set("Content-Length", b"1");
        changes.add("transfer-encoding", b"chunked");
        changes.set("vary", b"origin");
        assert_eq!(changes.added.iter().count(), 1);
        assert!(changes.drops("Vary") && !changes.drops("date"));
    }
}
