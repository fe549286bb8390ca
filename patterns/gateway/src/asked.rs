//! A request as routing sees it: borrowed, and the same for a socket and for `explain`.

use std::borrow::Cow;
use std::net::IpAddr;

use dozen_dataplane::framing::Field;
use serde_json::Value;

use crate::auth::Identity;

/// What routes look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) method: &'r str,
    /// `http` or `https`, as the client sees it.
    pub(crate) scheme: &'static str,
    /// As in the `Host` header: in any case, with or without a port.
    pub(crate) host: &'r str,
    /// Canonical.
    pub(crate) path: &'r str,
    /// Canonical, without the `?`.
    pub(crate) query: Option<&'r str>,
    pub(crate) headers: Headers<'r>,
    pub(crate) claims: Claims<'r>,
    /// Who is authenticated, if anybody is.
    pub(crate) consumer: Option<&'r str>,
    /// Where the client is.
    pub(crate) address: IpAddr,
}

/// The claims of the caller's token.
///
/// A look-up begins without them, because the route says how a caller is authenticated. When it comes to a route that
/// asks for claims and of which everything else holds, it stops and names that route; it is then asked again with
/// what the token said, or with [`Claims::None`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claims<'r> {
    /// Nobody has looked.
    NotYet,
    /// There are none.
    None,
    /// These, verified.
    Are(&'r Value),
}

/// The headers of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Headers<'r> {
    Wire(&'r [Field<'r>]),
    Given(&'r [(String, String)]),
}

impl<'r> Headers<'r> {
    /// Those of a socket; none of a question.
    pub(crate) fn wire(self) -> &'r [Field<'r>] {
        match self {
            Self::Wire(fields) => fields,
            Self::Given(_) => &[],
        }
    }

    /// All of them, in order.
    pub(crate) fn all(self) -> impl Iterator<Item = (&'r str, &'r [u8])> {
        let (wire, given) = match self {
            Self::Wire(fields) => (fields, [].as_slice()),
            Self::Given(pairs) => ([].as_slice(), pairs),
        };
        let wire = wire.iter().map(|field| (field.name, field.value));
        wire.chain(given.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
    }

    /// The values of the headers called `name`.
    pub(crate) fn named<'n>(self, name: &'n str) -> impl Iterator<Item = &'r [u8]> + use<'r, 'n> {
        let same = move |(given, _): &(&str, &[u8])| given.eq_ignore_ascii_case(name);
        self.all().filter(same).map(|(_, value)| value)
    }
}

impl<'r> Asked<'r> {
    /// The same, asked by somebody who is known.
    pub(crate) fn by<'o>(self, identity: &'o Identity) -> Asked<'o>
    where
        'r: 'o,
    {
        Asked {
            claims: if identity.claims.is_object() { Claims::Are(&identity.claims) } else { Claims::None },
            consumer: identity.consumer.as_ref().map(|consumer| &*consumer.name),
            ..self
        }
    }

    /// Whether somebody shows who they are, so that the answer may be for them alone.
    pub(crate) fn is_personal(&self) -> bool {
        let known = self.consumer.is_some() || matches!(self.claims, Claims::Are(_));
        known || self.headers.named("authorization").next().is_some()
    }

    /// The values of the cookies called `name`.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = (&'r [u8], &'r [u8])> + use<'r> {
        let pairs = self.headers.named("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        pairs.filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let value = pair[at + 1..].trim_ascii();
            let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            Some((pair[..at].trim_ascii(), unquoted.unwrap_or(value)))
        })
    }

    /// The query's parameters as they stand: escapes not undone.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'r str, &'r str)> + use<'r> {
        let pairs = self.query.unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// A claim by its dotted name.
    pub(crate) fn claim(&self, path: &str) -> Option<&'r Value> {
        let Claims::Are(claims) = self.claims else { return None };
        // A name that holds dots itself, such as `https://shop.example/role`, is found as it stands.
        claims.get(path).or_else(|| path.split('.').try_fold(claims, |value, name| value.get(name)))
    }
}

/// A query's name or value with its escapes undone: `+` is a space, as forms write it.
pub(crate) fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.as_bytes().into();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out.into()
}

/// A claim as the text that it is compared with; objects and null are none.
pub(crate) fn claim_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_and_parameters_are_read_as_browsers_write_them() {
        let given = [("Cookie".into(), "a=1; user=\"x=y\"".into()), ("cookie".into(), "b = 2".to_owned())];
        let asked = Asked { headers: Headers::Given(&given), query: Some("q=a+b%2Bc&&x"), ..blank() };
        let cookies: Vec<_> = asked.cookies().collect();
        assert_eq!(cookies, [(&b"a"[..], &b"1"[..]), (b"user", b"x=y"), (b"b", b"2")]);
        assert_eq!(asked.parameters().collect::<Vec<_>>(), [("q", "a+b%2Bc"), ("x", "")]);
        assert_eq!((&*decoded("a+b%2Bc%"), &*decoded("%zz")), (&b"a b+c%"[..], &b"%zz"[..]));
    }

    #[test]
    fn a_claim_is_found_by_its_dotted_name() {
        let claims = serde_json::json!({ "realm": { "roles": ["a", "b"] }, "https://x.example/t": 7 });
        let asked = Asked { claims: Claims::Are(&claims), ..blank() };
        assert_eq!(asked.claim("realm.roles").unwrap()[1], "b");
        assert_eq!(claim_text(asked.claim("https://x.example/t").unwrap()).unwrap(), "7");
        assert!(asked.claim("realm.none").is_none());
    }

    fn blank() -> Asked<'static> {
        Asked {
            method: "GET",
            scheme: "http",
            host: "a",
            path: "/",
            query: None,
            headers: Headers::Given(&[]),
            claims: Claims::NotYet,
            consumer: None,
            address: IpAddr::from([127, 0, 0, 1]),
        }
    }
}
