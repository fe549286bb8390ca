//! Who is on the other side of a connection.

use std::fmt::Write as _;

use bytes::Bytes;
use rustls::ServerConnection;

/// What was agreed on with a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSession {
    /// The host that the client asked for.
    pub server_name: Option<String>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// Who the client is, if it showed a certificate. Verified: it leads to the CA of clients.
    pub client: Option<ClientIdentity>,
}

/// The names in a client's verified certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The subject, such as `CN=orders,O=Shop`.
    pub subject: String,
    /// DNS names of the subject.
    pub dns: Vec<String>,
    /// URIs of the subject, such as `spiffe://shop/orders`.
    pub uris: Vec<String>,
    /// The certificate in DER.
    pub certificate: Bytes,
}

impl TlsSession {
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            server_name: connection.server_name().map(str::to_owned),
            version,
            client: leaf.and_then(|leaf| ClientIdentity::read(leaf)),
        }
    }
}

impl ClientIdentity {
    /// What it is best known by: its first URI, or else its first DNS name, or else the subject.
    pub fn name(&self) -> &str {
        self.names().next().unwrap_or_default()
    }

    /// All its names: URIs, DNS names, and the subject.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let alternative = self.uris.iter().chain(&self.dns).map(String::as_str);
        alternative.chain(Some(self.subject.as_str()).filter(|subject| !subject.is_empty()))
    }

    fn read(certificate: &rustls::pki_types::CertificateDer<'_>) -> Option<Self> {
        let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
        Some(Self {
            subject: subject(parsed.subject()),
            dns: parsed.valid_dns_names().map(str::to_owned).collect(),
            uris: parsed.valid_uri_names().map(str::to_owned).collect(),
            certificate: Bytes::copy_from_slice(certificate),
        })
    }
}

/// A distinguished name as text, in the order in which it is written down. What has no short name is left out.
fn subject(mut name: &[u8]) -> String {
    const SET: u8 = 0x31;
    const SEQUENCE: u8 = 0x30;
    const OBJECT: u8 = 0x06;
    let mut text = String::new();
    while let Some((SET, mut set, rest)) = element(name) {
        name = rest;
        while let Some((SEQUENCE, pair, rest)) = element(set) {
            set = rest;
            let Some((OBJECT, attribute, value)) = element(pair) else { continue };
            let Some((_, value, _)) = element(value) else { continue };
            let (Some(attribute), Ok(value)) = (short_name(attribute), std::str::from_utf8(value)) else {
                continue;
            };
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{attribute}=");
            for letter in value.chars() {
                // As RFC 4514 does, so that no value can pretend to be two.
                if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
                    text.push('\\');
                }
                text.push(if letter.is_control() { ' ' } else { letter });
            }
        }
    }
    text
}

fn short_name(attribute: &[u8]) -> Option<&'static str> {
    Some(match attribute {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        _ => return None,
    })
}

/// One element of DER: its tag, its content, and what follows it.
pub(super) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    Some((*tag, rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_and_cannot_pretend() {
        // SET { SEQUENCE { 2.5.4.3, UTF8String "a,O=b" } } SET { SEQUENCE { 2.5.4.10, UTF8String "c" } }
        let name = [
            &[0x31, 14, 0x30, 12, 6, 3, 0x55, 4, 3, 0x0c, 5][..],
            b"a,O=b",
            &[0x31, 10, 0x30, 8, 6, 3, 0x55, 4, 10, 0x0c, 1, b'c'],
        ]
        .concat();
        assert_eq!(subject(&name), "CN=a\\,O\\=b,O=c");
        for end in 0..name.len() {
            let _ = subject(&name[..end]);
        }
    }
}
