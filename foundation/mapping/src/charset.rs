//! Bytes as text, and back.
//!
//! What a document is written in is said by a byte order mark, else by the mapping, else by its content type, else by
//! its XML declaration, else it is UTF-8. A byte that is nothing there is an error with its place, unless the mapping
//! says that losing it is fine.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::{DecodeError, EncodeError, Position, shown};

/// How much of a document is looked through for an XML declaration, in bytes.
const DECLARATION_MAX: usize = 256;

/// In which charset, and how strictly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Charset {
    /// What the mapping says it is. None leaves it to the document and its content type.
    pub declared: Option<&'static Encoding>,
    /// Whether bytes and characters that have no place are replaced rather than refused.
    pub lossy: bool,
}

impl Charset {
    /// The charset of this name, of those that web browsers know.
    pub fn named(label: &str) -> Option<&'static Encoding> {
        Encoding::for_label(label.as_bytes())
    }

    /// The charset of a document, and how many bytes of it are a mark of that.
    pub(crate) fn of(
        &self,
        bytes: &[u8],
        content_type: Option<&str>,
        is_xml: bool,
    ) -> Result<(&'static Encoding, usize), DecodeError> {
        if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
            return Ok((encoding, mark));
        }
        if let Some(declared) = self.declared {
            return Ok((declared, 0));
        }
        let named = |label: &str| {
            Self::named(label).ok_or_else(|| DecodeError::UnknownCharset { label: shown(label) })
        };
        if let Some(label) = content_type.and_then(parameter) {
            return Ok((named(label)?, 0));
        }
        match declaration(bytes).filter(|_| is_xml).map(named).transpose()? {
            // What can be read as ASCII is no UTF-16, whatever it says: programs write the charset that their strings have.
            Some(encoding) if encoding != UTF_16LE && encoding != UTF_16BE => Ok((encoding, 0)),
            _ => Ok((UTF_8, 0)),
        }
    }

    /// The text that the bytes are in `encoding`.
    pub(crate) fn decode<'b>(
        &self,
        bytes: &'b [u8],
        encoding: &'static Encoding,
    ) -> Result<Cow<'b, str>, DecodeError> {
        if self.lossy {
            return Ok(encoding.decode_without_bom_handling(bytes).0);
        }
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
        text.ok_or_else(|| {
            let problem = format!("these bytes are nothing in {}", encoding.name());
            DecodeError::malformed(Position::Byte(first_wrong(bytes, encoding)), problem)
        })
    }

    /// The bytes of a text, in the declared charset.
    pub(crate) fn encode(&self, text: String) -> Result<Vec<u8>, EncodeError> {
        let encoding = self.declared.unwrap_or(UTF_8);
        if encoding == UTF_8 {
            return Ok(text.into_bytes());
        }
        let units = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        if encoding == UTF_16LE {
            return Ok(units(u16::to_le_bytes));
        }
        if encoding == UTF_16BE {
            return Ok(units(u16::to_be_bytes));
        }
        if self.lossy {
            // What has no place becomes `?`, and not a character reference, which only HTML would read.
            let mut bytes = Vec::with_capacity(text.len());
            for sign in text.chars() {
                let mut buffer = [0; 4];
                match encoding.encode(sign.encode_utf8(&mut buffer)) {
                    (_, _, true) => bytes.push(b'?'),
                    (own, _, false) => bytes.extend_from_slice(&own),
                }
            }
            return Ok(bytes);
        }
        match encoding.encode(&text) {
            (bytes, _, false) => Ok(bytes.into_owned()),
            _ => Err(EncodeError::new("", format!("a character has no place in {}", encoding.name()))),
        }
    }
}

impl Charset {
    /// The bytes of a whole document as they are written. One that begins like a byte order mark gets one in front, or its
    /// beginning would be taken for one by whoever reads it.
    pub(crate) fn marked(&self, bytes: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
        match Encoding::for_bom(&bytes) {
            None => Ok(bytes),
            Some((seen, mark)) if seen == self.declared.unwrap_or(UTF_8) => {
                Ok([&bytes[..mark], &bytes].concat())
            }
            Some((seen, _)) => {
                let problem =
                    format!("the document begins with what is a byte order mark of {}", seen.name());
                Err(EncodeError::new("", problem))
            }
        }
    }
}

/// How many bytes are right before the first that is not.
fn first_wrong(bytes: &[u8], encoding: &'static Encoding) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut buffer = [0; 1024];
    let mut at = 0;
    while at < bytes.len() {
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(&bytes[at..], &mut buffer, true);
        at += read;
        match result {
            DecoderResult::Malformed(length, after) => {
                return at.saturating_sub(usize::from(length) + usize::from(after));
            }
            DecoderResult::InputEmpty => break,
            DecoderResult::OutputFull => {}
        }
    }
    at
}

/// The charset that a content type names.
fn parameter(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// The charset that an XML declaration names. All charsets that can name themselves so agree on ASCII.
fn declaration(bytes: &[u8]) -> Option<&str> {
    let head = &bytes[..bytes.len().min(DECLARATION_MAX)];
    let head = head.strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let head = std::str::from_utf8(&head[..end]).ok()?;
    let rest = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
    let (label, _) = rest[1..].split_once(quote)?;
    Some(label)
}
