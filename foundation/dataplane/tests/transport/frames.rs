//! HTTP/2 in frames that are made by hand (RFC 9113 §4.1).

use tokio::net::TcpStream;

use crate::wire::Wire;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// `GET http://a/` in HPACK.
pub(crate) const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// The next frame; `None` at the end of the connection.
pub(crate) async fn next(wire: &mut Wire<TcpStream>) -> Option<(u8, u32, Vec<u8>)> {
    while wire.read.len() < 9 {
        let mut piece = vec![0; 16384];
        let read = tokio::io::AsyncReadExt::read(&mut wire.stream, &mut piece);
        let count = tokio::time::timeout(crate::world::SOON, read).await.expect("a frame").ok()?;
        if count == 0 {
            return None;
        }
        wire.read.extend_from_slice(&piece[..count]);
    }
    let head = wire.bytes(9).await;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], stream, wire.bytes(length as usize).await))
}

/// `POST http://a/` in HPACK, the head of a request whose body follows.
pub(crate) const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'a'];
/// `200` in HPACK.
pub(crate) const OK: &[u8] = &[0x88];
