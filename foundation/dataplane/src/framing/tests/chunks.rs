//! Bodies in chunks.

use proptest::prelude::*;

use crate::framing::*;

/// All data, and the bytes behind the body, when the input comes in pieces of `step`.
fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize), Refusal> {
    decode_all(input, step).map(|(data, _, left)| (data, left))
}

/// The same, and the trailer lines between them.
fn decode_all(input: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, usize), Refusal> {
    let mut decoder = ChunkedDecoder::default();
    let (mut data, mut trailers, mut at) = (Vec::new(), Vec::new(), 0);
    for piece in input.chunks(step.max(1)) {
        let mut piece = piece;
        while !piece.is_empty() && !decoder.is_done() {
            let taken = decoder.take(piece)?;
            data.extend_from_slice(taken.data);
            trailers.extend_from_slice(taken.trailer);
            at += taken.consumed;
            piece = &piece[taken.consumed..];
        }
    }
    if decoder.is_done() { Ok((data, trailers, input.len() - at)) } else { Err(Refusal::Truncated) }
}

#[test]
fn chunks() {
    let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(300));
    let long_trailers = format!("0\r\n{}\r\n", "x: y\r\n".repeat(3000));
    let fine = |data: &str, left| Ok((data.as_bytes().to_vec(), left));
    for (input, expected) in [
        ("0\r\n\r\n", fine("", 0)),
        ("3\r\nabc\r\n0\r\n\r\n", fine("abc", 0)),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nNEXT", fine("abcde", 4)),
        ("A\r\n0123456789\r\n00\r\n\r\n", fine("0123456789", 0)),
        ("1;name=value\r\na\r\n0;x\r\n\r\n", fine("a", 0)),
        ("1;n=\"a;b\"\r\na\r\n0\r\n\r\n", fine("a", 0)),
        ("0\r\nTrailer: x\r\nOther: y\r\n\r\n", fine("", 0)),
        ("1\r\n\n\r\n0\r\n\r\n", fine("\n", 0)),
        ("\r\n", Err(Refusal::ChunkSize)),
        ("x\r\n", Err(Refusal::ChunkSize)),
        ("-1\r\n", Err(Refusal::ChunkSize)),
        ("+1\r\na\r\n0\r\n\r\n", Err(Refusal::ChunkSize)),
        ("0x1\r\na\r\n0\r\n\r\n", Err(Refusal::ChunkSize)),
        (" 1\r\na\r\n0\r\n\r\n", Err(Refusal::ChunkSize)),
        ("1 \r\na\r\n0\r\n\r\n", Err(Refusal::ChunkSize)),
        ("1\na\r\n0\r\n\r\n", Err(Refusal::ChunkSize)),
        ("1\r\ra\r\n0\r\n\r\n", Err(Refusal::ChunkSize)),
        ("ffffffffffffffff1\r\n", Err(Refusal::ChunkSize)),
        ("1_0\r\n", Err(Refusal::ChunkSize)),
        ("1;a\nb\r\na\r\n0\r\n\r\n", Err(Refusal::ChunkExtension)),
        ("1;\"a\r\n\"\r\na\r\n0\r\n\r\n", Err(Refusal::ChunkExtension)),
        (&long_extension, Err(Refusal::ChunkExtension)),
        ("1\r\nab\r\n0\r\n\r\n", Err(Refusal::ChunkEnd)),
        ("1\r\na\n0\r\n\r\n", Err(Refusal::ChunkEnd)),
        ("1\r\na\r0\r\n\r\n", Err(Refusal::ChunkEnd)),
        ("0\r\nx: y\n\r\n", Err(Refusal::Trailers)),
        ("0\r\n x\r\n\r\n", Err(Refusal::Trailers)),
        ("0\r\n\n", Err(Refusal::Trailers)),
        ("0\r\n\ra", Err(Refusal::Trailers)),
        (&long_trailers, Err(Refusal::Trailers)),
        ("3\r\nab", Err(Refusal::Truncated)),
        ("0\r\n", Err(Refusal::Truncated)),
    ] {
        for step in [1, 2, 3, 7, input.len()] {
            assert_eq!(decode(input.as_bytes(), step), expected, "{input:?} in pieces of {step}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_body_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, 5);
    }

    #[test]
    fn chunks_do_not_depend_on_how_they_were_split(
        input in "([0-3](;[a-z]{0,3})?\r\n[a-c]{0,3}\r\n){0,4}(0\r\n(x: y\r\n){0,3}\r\n)?[a\r\n0]{0,4}",
        step in 1usize..9,
    ) {
        prop_assert_eq!(decode_all(input.as_bytes(), step), decode_all(input.as_bytes(), input.len()));
    }

    #[test]
    fn what_is_written_in_chunks_is_read_back(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        step in 1usize..20,
    ) {
        let mut wire = Vec::new();
        pieces.iter().for_each(|piece| chunk(piece, &mut wire));
        last_chunk(&mut wire);
        prop_assert_eq!(decode(&wire, step), Ok((pieces.concat(), 0)));
    }
}
