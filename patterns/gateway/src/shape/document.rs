//! A body that is looked into: gathered, and decompressed, within a bound.

use std::io::Read;

use bytes::Bytes;
use dozen_dataplane::framing::Refusal;
use dozen_dataplane::{Body, Error, Failure};
use http::{HeaderMap, header};

/// The largest window that a zstd frame may ask for: what RFC 9659 lets an encoder of HTTP use.
const WINDOW_MAX: u64 = 8 * 1024 * 1024;

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
            "zstd" => {
                let reader =
                    ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&*bytes, WINDOW_MAX);
                unpack(reader.map_err(|_| Trouble::Broken)?, max)?
            }
            _ => return Err(Trouble::Coding),
        };
    }
    headers.remove(header::CONTENT_ENCODING);
    Ok(bytes)
}

fn unpack(packed: impl Read, max: usize) -> Result<Bytes, Trouble> {
    let mut plain = Vec::new();
    packed.take(max as u64 + 1).read_to_end(&mut plain).map_err(|_| Trouble::Broken)?;
    if plain.len() > max { Err(Trouble::TooLarge) } else { Ok(plain.into()) }
}
