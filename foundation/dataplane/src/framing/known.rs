//! The headers that decide about framing and the connection.

use super::{Field, Refusal};

/// What those of one head say.
#[derive(Default)]
pub(super) struct Known<'b> {
    pub(super) host: Option<&'b [u8]>,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) names_more: bool,
    pub(super) expects_continue: bool,
    pub(super) names_upgrade: bool,
    pub(super) offers_websocket: bool,
    pub(super) takes_trailers: bool,
    pub(super) announces: bool,
    /// Something that belongs to one connection of HTTP/1.
    pub(super) of_connection: bool,
}

impl<'b> Known<'b> {
    pub(super) fn read(fields: &[Field<'b>], of_request: bool) -> Result<Self, Refusal> {
        let mut known = Self::default();
        for field in fields {
            // The length of the name rules out nearly every header for the price of one comparison.
            match field.name.len() {
                2 if of_request && is(field.name, "te") => {
                    known.takes_trailers |= has_option(field.value, b"trailers");
                }
                4 if of_request && is(field.name, "host") => {
                    once(&mut known.host, field.value, Refusal::HostTwice)?;
                }
                6 if of_request && is(field.name, "expect") => {
                    if !field.value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Refusal::Expectation);
                    }
                    known.expects_continue = true;
                }
                7 if is(field.name, "upgrade") => {
                    known.of_connection = true;
                    known.offers_websocket |= field.value.eq_ignore_ascii_case(b"websocket");
                }
                7 if is(field.name, "trailer") => known.announces = true,
                10 if is(field.name, "connection") => known.connection(field.value),
                10 if is(field.name, "keep-alive") => known.of_connection = true,
                14 if is(field.name, "content-length") => {
                    once(&mut known.length, decimal(field.value)?, Refusal::LengthTwice)?;
                }
                17 if is(field.name, "transfer-encoding") => {
                    let is_chunked = match of_request {
                        true => field.value == b"chunked",
                        false => field.value.eq_ignore_ascii_case(b"chunked"),
                    };
                    if known.chunked || !is_chunked {
                        return Err(Refusal::Encoding);
                    }
                    known.chunked = true;
                }
                16 if is(field.name, "proxy-connection") => known.of_connection = true,
                _ => {}
            }
        }
        if known.chunked && known.length.is_some() {
            return Err(Refusal::LengthWithEncoding);
        }
        Ok(known)
    }

    fn connection(&mut self, value: &[u8]) {
        self.of_connection = true;
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if !option.is_empty() {
                self.names_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                self.names_more = true;
            }
        }
    }
}

/// Whether a header is `lower`. Exactly: a look-alike such as `Content_Length` frames nothing.
fn is(name: &str, lower: &str) -> bool {
    name.eq_ignore_ascii_case(lower)
}

/// Sets what must not have been set before.
fn once<T>(place: &mut Option<T>, value: T, twice: Refusal) -> Result<(), Refusal> {
    if place.replace(value).is_some() { Err(twice) } else { Ok(()) }
}

/// Whether a comma-separated list has this option; parameters behind `;` are not looked at.
fn has_option(value: &[u8], option: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|one| {
        let name = one.split(|byte| *byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(option)
    })
}

/// A plain decimal number: no sign, no list, no white space inside, no overflow.
fn decimal(text: &[u8]) -> Result<u64, Refusal> {
    if text.is_empty() || text.len() > 19 {
        return Err(Refusal::LengthMalformed);
    }
    text.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => Ok(number * 10 + u64::from(byte - b'0')),
        _ => Err(Refusal::LengthMalformed),
    })
}
