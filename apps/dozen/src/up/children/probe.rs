//! Asks one instance whether it is well: one connection, one small request, one status line.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of an answer that are read. A service that is hung up on in the middle of its answer would complain.
const ANSWER_MAX: usize = 64 * 1024;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether `path` at `address` answers `GET` with 2xx; without a path, whether it accepts a connection.
/// The error says what happened instead, to go after "last attempt: ".
pub(crate) async fn probe(address: &str, path: Option<&str>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, ask(address, path)).await {
        Ok(Ok(None | Some(200..=299))) => Ok(()),
        Ok(Ok(Some(0))) => Err("what answered is not HTTP".into()),
        Ok(Ok(Some(status))) => Err(format!("it answered {status}")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err("nobody listens there".into())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {}s", PATIENCE.as_secs())),
    }
}

/// The status of the answer, 0 where it has none; `None` where only a connection was asked for.
async fn ask(address: &str, path: Option<&str>) -> io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(address).await?;
    // A port of the ephemeral range on which nobody listens can be connected to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let Some(path) = path else { return Ok(None) };
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: dozen\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::with_capacity(512);
    while head.len() < ANSWER_MAX && stream.read_buf(&mut head).await? > 0 {}
    let digits = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    Ok(Some(digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)))
}
