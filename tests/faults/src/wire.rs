//! One request whose beginning and end are moments of the test's choice.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::PATIENCE;

/// A connection with a request on it.
pub struct Wire(TcpStream);

impl Wire {
    /// Connects to 127.0.0.1:`port`. The error is that of the connection, before anything was asked.
    pub fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.write_all(bytes.as_ref())
    }

    /// Sends a whole request that asks for the connection to be closed after its answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<()> {
        let length = body.len();
        self.send(format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    /// Everything that comes until the other side closes.
    pub fn answer(mut self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
