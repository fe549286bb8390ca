//! Headers with which a proxy speaks of the client, and headers with which a service speaks of itself.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use dozen_core::TraceContext;
use dozen_dataplane::framing::names_equal;
use dozen_dataplane::resilience::deadline;
use dozen_dataplane::{Incoming, Outgoing};

use crate::auth::Identity;
use crate::network::{self, Network};

/// Written by this gateway; a client's own are lies until somebody vouches for them.
const ABOUT_CLIENT: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
    "forwarded",
];
/// Written by services about themselves, of use only to attackers.
const ABOUT_SERVICE: [&str; 6] =
    ["server", "x-powered-by", "via", "x-aspnet-version", "x-aspnetmvc-version", "x-backend-server"];

/// Whether a request's header is replaced by ours, or is not believed.
pub(crate) fn is_replaced(name: &str, is_trusted: bool) -> bool {
    // Every name here begins with one of these; nearly no other header does.
    match name.as_bytes().first() {
        Some(b't' | b'T') => names_equal(name, "traceparent"),
        // Anybody may be in a hurry: a deadline only ever becomes shorter.
        Some(b'd' | b'D') if names_equal(name, deadline::HEADER) => false,
        // What is said of the caller here is said by this gateway alone; the rest is for proxies of ours.
        Some(b'd' | b'D') if Identity::owns(name) => Identity::writes(name) || !is_trusted,
        Some(b'x' | b'X' | b'f' | b'F') if ABOUT_CLIENT.iter().any(|known| names_equal(name, known)) => {
            names_equal(name, ABOUT_CLIENT[0]) || !is_trusted
        }
        _ => false,
    }
}

/// What the client spoke: here, or to the trusted proxy in front that says so.
pub(crate) fn scheme(request: &Incoming<'_>, is_trusted: bool) -> &'static str {
    let said = if is_trusted { request.field("x-forwarded-proto") } else { None };
    match said {
        Some(said) if said.trim_ascii().eq_ignore_ascii_case(b"https") => "https",
        Some(_) => "http",
        None if request.tls.is_some() => "https",
        None => "http",
    }
}

/// Where the client is.
pub(crate) fn client(request: &Incoming<'_>, trusted: &[Network]) -> IpAddr {
    let named = request.head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case("x-forwarded-for"));
    client_address(request.peer.ip(), trusted, named.map(|field| field.value))
}

/// The peer, or the last that trusted proxies name which is not one of them. `said` are the values of `X-Forwarded-For`.
/// They are read from the end, because only what trusted proxies wrote can be believed.
fn client_address<'s>(peer: IpAddr, trusted: &[Network], said: impl Iterator<Item = &'s [u8]>) -> IpAddr {
    let mut client = peer.to_canonical();
    if !network::any(trusted, client) {
        return client;
    }
    let named: Vec<&[u8]> = said.flat_map(|value| value.split(|byte| *byte == b',')).collect();
    for text in named.into_iter().rev() {
        let parsed = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
        // What cannot be read vouches for nothing before it.
        let Some(address) = parsed else { return client };
        client = address.to_canonical();
        if !network::any(trusted, client) {
            return client;
        }
    }
    client
}

/// Whether a response's header would tell what stands behind.
pub(crate) fn reveals(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b's' | b'S' | b'v' | b'V' | b'x' | b'X') => {
            ABOUT_SERVICE.iter().any(|known| names_equal(name, known))
        }
        _ => false,
    }
}

/// Tells the service who asked, and for what host.
pub(crate) fn add(request: &Incoming<'_>, is_trusted: bool, outgoing: &mut Outgoing<'_>) {
    let mut text = [0u8; 64];
    let address = show(request.peer, &mut text);
    let before = if is_trusted { request.field("x-forwarded-for") } else { None };
    match before {
        Some(before) => outgoing.add("x-forwarded-for", &[before, b", ", address].concat()),
        None => outgoing.add("x-forwarded-for", address),
    }
    if !is_trusted || request.field("x-forwarded-host").is_none() {
        outgoing.add("x-forwarded-host", request.head.host.as_bytes());
    }
    if !is_trusted || request.field("x-forwarded-proto").is_none() {
        outgoing.add("x-forwarded-proto", if request.tls.is_some() { &b"https"[..] } else { b"http" });
    }
}

fn show(peer: SocketAddr, text: &mut [u8; 64]) -> &[u8] {
    let address: IpAddr = peer.ip().to_canonical();
    let mut room = &mut text[..];
    // 64 bytes hold every address there is.
    let _ = write!(room, "{address}");
    let left = room.len();
    &text[..64 - left]
}

/// Writes a trace context as its header. By hand: the general formatter would show in a profile.
pub(crate) fn trace_text(trace: &TraceContext) -> [u8; 55] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    for (at, byte) in trace.trace_id.to_be_bytes().iter().enumerate() {
        text[3 + 2 * at] = DIGITS[usize::from(byte >> 4)];
        text[4 + 2 * at] = DIGITS[usize::from(byte & 15)];
    }
    for (at, byte) in trace.parent_id.to_be_bytes().iter().enumerate() {
        text[36 + 2 * at] = DIGITS[usize::from(byte >> 4)];
        text[37 + 2 * at] = DIGITS[usize::from(byte & 15)];
    }
    text[54] = if trace.sampled { b'1' } else { b'0' };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dozen_core::{Ids, SystemClock};
    use std::sync::Arc;

    #[test]
    fn a_trace_context_is_written_as_its_own_text() {
        let ids = Ids::new(Arc::new(SystemClock), 7);
        for _ in 0..100 {
            let trace = TraceContext::start(&ids);
            assert_eq!(trace_text(&trace), trace.to_string().as_bytes());
        }
    }

    #[test]
    fn a_client_is_believed_as_far_as_trusted_proxies_go() {
        let trusted: Vec<Network> = ["10.0.0.0/30", "10.0.0.9"].map(|text| text.parse().unwrap()).into();
        let from = |peer: &str, said: &[&str]| {
            let said = said.iter().map(|value| value.as_bytes());
            client_address(peer.parse().unwrap(), &trusted, said).to_string()
        };
        assert_eq!(
            from("203.0.113.9", &["1.2.3.4"]),
            "203.0.113.9",
            "nobody vouches for what a stranger says"
        );
        assert_eq!(from("10.0.0.1", &["1.2.3.4, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["1.2.3.4", "198.51.100.7 , 10.0.0.9"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(from("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn look_alikes_are_replaced_too() {
        assert!(is_replaced("Dozen_Split", false) && !is_replaced("dozen-split", true));
        assert!(!is_replaced("dozen-deadline", false));
        assert!(is_replaced("dozen-attempt", false) && !is_replaced("dozen-attempt", true));
        assert!(is_replaced("Dozen_Consumer", true) && !is_replaced("date", false));
        assert!(is_replaced("X_Forwarded-For", false) && is_replaced("X-Real-IP", false));
        assert!(is_replaced("Traceparent", true) && !is_replaced("x-forwarded-host", true));
        assert!(!is_replaced("x-request-id", false) && reveals("X-Powered-By") && !reveals("x-request-id"));
    }
}
