//! A body that is looked into: gathered, and decompressed, within a bound.

use std::io::Read;

use bytes::Bytes;
use dozen_dataplane::framing::Refusal;
use dozen_dataplane::{Body, Error, Failure};
use http::{HeaderMap, HeaderName, header};
use ruzstd::decoding::StreamingDecoder;

/// The largest window that a zstd frame may ask for: what RFC 9659 lets an encoder of HTTP use.
const WINDOW_MAX: u64 = 8 * 1024 * 1024;

/// Frames of one zstd body. Each costs memory of its own to begin with, however little is in it.
const FRAMES_MAX: usize = 64;
/// Headers that say something of the bytes of a body which is not the same any more.
pub(super) static OF_BYTES: [HeaderName; 6] = [
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-digest"),
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Why a body cannot be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is larger than it may be, as it came or decompressed.
    TooLarge,
    /// It is in a coding that nobody here knows.
    Coding,
    /// It is not what its coding says.
    Broken,
    /// It broke off.
    Ended(Failure),
}

/// The whole of it.
pub(super) async fn gather(body: Body, max: usize) -> Result<Bytes, Trouble> {
    body.collect(max).await.map_err(|error| match error {
        Error::BodyTooLarge { .. } => Trouble::TooLarge,
        Error::Body { source } => {
            let mut at: Option<&(dyn std::error::Error + 'static)> = Some(&*source);
            while let Some(one) = at {
                if let Some(failure) = one.downcast_ref::<Failure>() {
                    return Trouble::Ended(*failure);
                }
                match one.downcast_ref::<Refusal>() {
                    Some(Refusal::BodyTooLarge) => return Trouble::TooLarge,
                    Some(refusal) => return Trouble::Ended(Failure::Request(*refusal)),
                    None => at = one.source(),
                }
            }
            Trouble::Ended(Failure::Broken)
        }
        _ => Trouble::Ended(Failure::Broken),
    })
}

/// What stands behind its codings, which then no longer hold. The bound is on every step.
pub(super) fn decoded(bytes: Bytes, headers: &mut HeaderMap, max: usize) -> Result<Bytes, Trouble> {
    let mut bytes = bytes;
    let codings: Vec<String> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|coding| String::from_utf8_lossy(coding).trim().to_ascii_lowercase())
        .collect();
    // More than two is nobody's intention, and each may multiply.
    if codings.len() > 2 {
        return Err(Trouble::Coding);
    }
    for coding in codings.iter().rev() {
        bytes = match coding.as_str() {
            "identity" | "" => bytes,
            "gzip" | "x-gzip" => unpack(flate2::read::MultiGzDecoder::new(&*bytes), max)?,
            "deflate" => unpack(flate2::read::ZlibDecoder::new(&*bytes), max)?,
            "br" => unpack(brotli::Decompressor::new(&*bytes, 4096), max)?,
            "zstd" => frames(&bytes, max)?,
            _ => return Err(Trouble::Coding),
        };
    }
    if headers.remove(header::CONTENT_ENCODING).is_some() {
        OF_BYTES.iter().for_each(|name| drop(headers.remove(name)));
    }
    Ok(bytes)
}

/// A body of zstd is one frame or several (RFC 8878 §3).
fn frames(mut packed: &[u8], max: usize) -> Result<Bytes, Trouble> {
    let mut plain = Vec::new();
    for _ in 0..FRAMES_MAX {
        if packed.is_empty() {
            return Ok(plain.into());
        }
        let frame = StreamingDecoder::new_with_max_window_size(&mut packed, WINDOW_MAX);
        let frame = frame.map_err(|_| Trouble::Broken)?;
        plain.extend_from_slice(&unpack(frame, max - plain.len())?);
    }
    if packed.is_empty() { Ok(plain.into()) } else { Err(Trouble::Coding) }
}

fn unpack(packed: impl Read, max: usize) -> Result<Bytes, Trouble> {
    let mut plain = Vec::new();
    packed.take(max as u64 + 1).read_to_end(&mut plain).map_err(|_| Trouble::Broken)?;
    if plain.len() > max { Err(Trouble::TooLarge) } else { Ok(plain.into()) }
}
