//! One HTTP/1.1 request on one connection: enough to ask a server under test something.
//!
//! It is independent of every HTTP library that the product uses on purpose: a test that shares its client's bugs with
//! the server proves little.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A server that says nothing for this long has failed the test.
const TIMEOUT: Duration = Duration::from_secs(30);
/// An answer larger than this is not read.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names, in lower case, and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, with chunked coding removed.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `GET url`, where `url` is `http://host:port/path?query`.
pub fn get(url: &str) -> Result<Reply, String> {
    request("GET", url, &[], b"")
}

/// `POST url` with a body.
pub fn post(url: &str, content_type: &str, body: impl AsRef<[u8]>) -> Result<Reply, String> {
    request("POST", url, &[("content-type", content_type)], body.as_ref())
}

/// Any request. `host`, `content-length` and `connection: close` are added.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, String> {
    exchange(method, url, headers, body).map_err(|error| format!("{method} {url}: {error}"))
}

/// The same off the runtime's threads, for a test whose server runs on them.
pub async fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, String> {
    let (method, url, body) = (method.to_owned(), url.to_owned(), body.to_vec());
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let asked = tokio::task::spawn_blocking(move || {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        request(&method, &url, &headers, &body)
    });
    asked.await.map_err(|error| format!("the request panicked: {error}"))?
}

fn exchange(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, String> {
    let rest = url.strip_prefix("http://").ok_or("only http:// is spoken here")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let path = if path.is_empty() { "/" } else { path };
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let text = |error: std::io::Error| error.to_string();
    let address = address.to_socket_addrs().map_err(text)?.next().ok_or("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(text)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(text)?;
    stream.set_write_timeout(Some(TIMEOUT)).map_err(text)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    if !body.is_empty() || !matches!(method, "GET" | "HEAD" | "DELETE") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).map_err(text)?;
    read_reply(&mut BufReader::new(stream.take(BYTES_MAX)), method == "HEAD")
}

fn read_reply(from: &mut impl BufRead, is_head: bool) -> Result<Reply, String> {
    loop {
        let first = line(from)?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| format!("`{first}` is no status line"))?;
        let mut headers = Vec::new();
        loop {
            let header = line(from)?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').ok_or_else(|| format!("`{header}` is no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if (100..200).contains(&status) {
            continue; // an interim answer; the real one follows
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if !is_head && status != 204 && status != 304 {
            reply.body = read_body(from, &reply)?;
        }
        return Ok(reply);
    }
}

fn read_body(from: &mut impl BufRead, reply: &Reply) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    if reply.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = line(from)?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| format!("`{size}` is no chunk size"))?;
            take(from, size, &mut body)?;
            line(from)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match reply.header("content-length") {
        Some(length) => {
            let length = length.parse().map_err(|_| format!("`{length}` is no content length"))?;
            take(from, length, &mut body)?;
        }
        None => {
            from.read_to_end(&mut body).map_err(|error| error.to_string())?;
        }
    }
    Ok(body)
}

fn take(from: &mut impl BufRead, bytes: u64, into: &mut Vec<u8>) -> Result<(), String> {
    let read = from.by_ref().take(bytes).read_to_end(into).map_err(|error| error.to_string())?;
    if read as u64 == bytes { Ok(()) } else { Err(format!("the body ended after {read} of {bytes} bytes")) }
}

fn line(from: &mut impl BufRead) -> Result<String, String> {
    let mut text = String::new();
    let read = from.by_ref().take(64 * 1024).read_line(&mut text).map_err(|error| error.to_string())?;
    if read == 0 {
        return Err("the connection ended before the answer did".to_owned());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Result<Reply, String> {
        read_reply(&mut text.as_bytes(), false)
    }

    #[test]
    fn reads_the_three_kinds_of_body() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEXTRA",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            let reply = reply(text).unwrap();
            assert_eq!((reply.status, reply.text().as_str()), (200, "hello"), "{text}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_error() {
        assert!(reply("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").unwrap_err().contains("5 of 9"));
        assert!(reply("HTTP/1.1 200 OK\r\n").unwrap_err().contains("ended"));
        assert!(reply("what?\r\n\r\n").unwrap_err().contains("no status line"));
    }
}
