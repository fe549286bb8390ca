//! Requests that proxies and servers have disagreed about: where a body ends, what a header is called, what a line is.
//!
//! Each case is what a client writes on one connection, then waits. `@` in a path stands for the case's own name, so that
//! what arrives can be told apart. The kinds are those of the published attacks (RFC 9112 §11.2 and the reports behind
//! CVE-2022-32215, CVE-2024-1135, CVE-2025-22871, CVE-2025-55315, CVE-2025-4366); the bytes are made here.

use super::downgrade::downgrades;

/// What one connection sends.
pub(crate) struct Case {
    /// Told when it goes wrong, and put in place of `@`.
    pub(crate) name: String,
    /// The bytes, `@` replaced.
    pub(crate) bytes: Vec<u8>,
}

/// What a body that is none of the sender's business looks like: a second request.
const HIDDEN: &str = "GET /hidden/@ HTTP/1.1\r\nhost: a\r\n\r\n";

pub(crate) struct Corpus(Vec<Case>);

impl Corpus {
    /// What the next case of this kind is called.
    pub(crate) fn next(&self, kind: &str) -> String {
        format!("{}-{kind}", self.0.len())
    }

    pub(crate) fn add(&mut self, kind: &str, what: &str, text: &str) {
        let name = self.next(kind);
        // Names of kinds are of the letters that a path may have; what differs is told in the first line of a failure.
        let bytes = text.replace('@', &name);
        // The private use area stands for single bytes that are no UTF-8.
        let bytes = bytes.chars().flat_map(|char| match u32::from(char) {
            code @ 0xE000..=0xE0FF => vec![(code - 0xE000) as u8],
            _ => char.to_string().into_bytes(),
        });
        self.0.push(Case { bytes: bytes.collect(), name: format!("{name} {what:?}") });
    }

    /// A POST with these header lines and this body.
    fn post(&mut self, kind: &str, what: &str, headers: &str, body: &str) {
        self.add(kind, what, &format!("POST /@ HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}"));
    }
}

/// All cases.
pub(crate) fn corpus() -> Vec<Case> {
    let mut corpus = Corpus(Vec::new());
    lengths(&mut corpus);
    encodings(&mut corpus);
    chunks(&mut corpus);
    headers(&mut corpus);
    request_lines(&mut corpus);
    sequences(&mut corpus);
    downgrades(&mut corpus);
    corpus.0
}

/// What `content-length` may look like.
fn lengths(corpus: &mut Corpus) {
    let values = [
        "5",
        "+5",
        "-5",
        "5 ",
        " 5",
        "\t5",
        "5\t",
        "05",
        "0x5",
        "5,5",
        "5, 5",
        "5,6",
        "5;",
        "5.0",
        "5e0",
        "\"5\"",
        "",
        "five",
        "5 5",
        "5\u{b}",
        "5\0",
        "٥",
        "18446744073709551616",
        "18446744073709551621",
        "999999999999999999999",
        "4294967301",
        "-0",
        "0_5",
        "5\r\n\t",
        "1_0",
    ];
    for value in values {
        corpus.post("length", value, &format!("content-length: {value}\r\n"), &format!("hello{HIDDEN}"));
    }
    let pairs =
        [("5", "5"), ("5", "6"), ("0", "5"), ("5", "0"), ("5", "+5"), ("5", "x"), ("", "5"), ("5", "")];
    for (first, second) in pairs {
        let headers = format!("content-length: {first}\r\ncontent-length: {second}\r\n");
        corpus.post("lengths", &format!("{first} and {second}"), &headers, &format!("hello{HIDDEN}"));
    }
    for name in [
        "Content-Length ",
        "Content Length",
        "Content_Length",
        "\tContent-Length",
        "Content-Length\u{b}",
        "Content-Length\0",
    ] {
        corpus.post("length-name", name, &format!("{name}: 5\r\n"), &format!("hello{HIDDEN}"));
        let both = format!("{name}: 40\r\ncontent-length: 5\r\n");
        corpus.post("length-names", name, &both, &format!("hello{HIDDEN}"));
    }
}

/// What `transfer-encoding` may look like, with and without a length beside it.
fn encodings(corpus: &mut Corpus) {
    let values = [
        "chunked",
        "Chunked",
        "CHUNKED",
        " chunked",
        "chunked ",
        "\tchunked",
        "chunked\t",
        "\u{b}chunked",
        "chunked\u{b}",
        "chunked\0",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunked, chunked",
        "chunked,chunked",
        "identity",
        "identity, chunked",
        "chunked, identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        ", chunked",
        "chunked,",
        "",
        "x",
        "chunked\r\n x",
        "x\r\n chunked",
        "\r\n chunked",
        "ch\u{a0}unked",
        "chunK\u{e9}d",
    ];
    let body = format!("0\r\n\r\n{HIDDEN}");
    for value in values {
        corpus.post("encoding", value, &format!("transfer-encoding: {value}\r\n"), &body);
        for length in ["4", "40"] {
            let headers = format!("content-length: {length}\r\ntransfer-encoding: {value}\r\n");
            corpus.post("both", &format!("{length} and {value}"), &headers, &body);
        }
    }
    let swapped = "transfer-encoding: chunked\r\ncontent-length: 4\r\n";
    corpus.post("both-swapped", "", swapped, &body);
    for (first, second) in
        [("chunked", "chunked"), ("chunked", "identity"), ("identity", "chunked"), ("x", "chunked")]
    {
        let headers = format!("transfer-encoding: {first}\r\ntransfer-encoding: {second}\r\n");
        corpus.post("encodings", &format!("{first} and {second}"), &headers, &body);
    }
    let names = [
        "Transfer-Encoding ",
        "Transfer Encoding",
        "Transfer_Encoding",
        " Transfer-Encoding",
        "\tTransfer-Encoding",
        "Transfer-Encoding\u{b}",
        "Transfer-Encoding\0",
        "X: y\nTransfer-Encoding",
        "X: y\rTransfer-Encoding",
    ];
    for name in names {
        let headers = format!("content-length: {}\r\n{name}: chunked\r\n", body.len());
        corpus.post("encoding-name", name, &headers, &body);
    }
    corpus.add(
        "encoding-1.0",
        "",
        &format!("POST /@ HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n{body}"),
    );
    for hop in [
        "content-length",
        "transfer-encoding",
        "host",
        "close, content-length",
        "keep-alive, transfer-encoding",
    ] {
        let headers = format!("connection: {hop}\r\ncontent-length: 5\r\n");
        corpus.post("hop", hop, &headers, &format!("hello{HIDDEN}"));
        let headers = format!("connection: {hop}\r\ntransfer-encoding: chunked\r\n");
        corpus.post("hop-chunked", hop, &headers, &body);
    }
}

/// What the chunks themselves may look like.
fn chunks(corpus: &mut Corpus) {
    let sizes = [
        "5",
        "05",
        "0000000005",
        "0x5",
        "+5",
        "-5",
        " 5",
        "5 ",
        "\t5",
        "5\t",
        "5;",
        "5;a",
        "5;a=b",
        "5;a=\"b\"",
        "5 ;a=b",
        "5; a=b",
        "5;a=\"b\r\nc\"",
        "5;a\nb",
        "5;a\rb",
        "5;\0",
        "5\n",
        "5\r",
        "5\0",
        "5_",
        "5h",
        "",
        "g",
        "00000000000000005",
        "10000000000000005",
        "FFFFFFFFFFFFFFFF",
        "5;\u{e9}",
    ];
    for size in sizes {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        corpus.post("chunk-size", size, "transfer-encoding: chunked\r\n", &format!("{body}{HIDDEN}"));
    }
    let bodies = [
        ("no line after the data", "5\r\nhello0\r\n\r\n"),
        ("a bare LF after the data", "5\r\nhello\n0\r\n\r\n"),
        ("a bare CR after the data", "5\r\nhello\r0\r\n\r\n"),
        ("more data than said", "5\r\nhello!\r\n0\r\n\r\n"),
        ("less data than said", "6\r\nhello\r\n0\r\n\r\n"),
        ("bare LF everywhere", "5\nhello\n0\n\n"),
        ("a bare LF at the end", "5\r\nhello\r\n0\n\r\n"),
        ("an end of one LF", "5\r\nhello\r\n0\r\n\n"),
        ("an end without a line", "5\r\nhello\r\n0\r\n"),
        ("many zeros at the end", "5\r\nhello\r\n0000\r\n\r\n"),
        ("an end with an extension", "5\r\nhello\r\n0;a=b\r\n\r\n"),
        ("a trailer", "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
        ("a length in the trailer", "5\r\nhello\r\n0\r\ncontent-length: 40\r\n\r\n"),
        ("an encoding in the trailer", "5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("a folded trailer", "5\r\nhello\r\n0\r\nx: 1\r\n 2\r\n\r\n"),
        ("a trailer without a colon", "5\r\nhello\r\n0\r\nx\r\n\r\n"),
        ("a request as a trailer", "5\r\nhello\r\n0\r\nGET /hidden/@ HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("an empty chunk in between", "5\r\nhello\r\n\r\n0\r\n\r\n"),
        ("chunks of one byte", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"),
    ];
    for (what, body) in bodies {
        corpus.post("chunk-body", what, "transfer-encoding: chunked\r\n", &format!("{body}{HIDDEN}"));
    }
}

/// Header lines that are read differently.
fn headers(corpus: &mut Corpus) {
    let lines = [
        "x y: 1",
        "x : 1",
        ": 1",
        "x",
        "x:1",
        "x:\t1",
        "x: a\rb",
        "x: a\nb",
        "x: a\0b",
        "x: a\u{7f}b",
        "x: \u{e9}",
        "x: \u{e0ff}",
        "x_y: 1",
        "x-y: 1\r\nx_y: 2",
        "\u{e9}: 1",
        "x: 1\r\n 2",
        "x: 1\r\n\t2",
        "(x): 1",
        "x@y: 1",
        "x\0: 1",
        "x: 1\r\r\ny: 2",
        "x: 1\n\ny: 2",
        "host: b",
        "Host : b",
        "expect: 100-continue",
        "expect: 200-ok",
        "content-length: 0",
        "te: trailers",
        "x-forwarded-host: evil",
        "forwarded: for=evil",
        "x-http-method-override: DELETE",
        "upgrade: h2c\r\nconnection: upgrade",
        "upgrade: websocket\r\nconnection: upgrade",
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ];
    for line in lines {
        corpus.add("header", line, &format!("GET /@ HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n{HIDDEN}"));
    }
    for (what, text) in [
        ("a blank first line", format!("\r\nGET /@ HTTP/1.1\r\nhost: a\r\n\r\n{HIDDEN}")),
        ("two blank first lines", format!("\r\n\r\nGET /@ HTTP/1.1\r\nhost: a\r\n\r\n{HIDDEN}")),
        ("a folded first header", format!("GET /@ HTTP/1.1\r\n host: a\r\nhost: a\r\n\r\n{HIDDEN}")),
        ("no host", format!("GET /@ HTTP/1.1\r\nx: a\r\n\r\n{HIDDEN}")),
        ("an empty host", format!("GET /@ HTTP/1.1\r\nhost:\r\n\r\n{HIDDEN}")),
        ("a host with a path", format!("GET /@ HTTP/1.1\r\nhost: a/b\r\n\r\n{HIDDEN}")),
        ("a host with a user", format!("GET /@ HTTP/1.1\r\nhost: b@a\r\n\r\n{HIDDEN}")),
        ("lines that end with LF", format!("GET /@ HTTP/1.1\nhost: a\n\n{HIDDEN}")),
        ("a head that ends with LF", format!("GET /@ HTTP/1.1\r\nhost: a\r\n\n{HIDDEN}")),
    ] {
        corpus.add("head", what, &text);
    }
}

/// First lines that are read differently.
fn request_lines(corpus: &mut Corpus) {
    let lines = [
        "GET /@ HTTP/1.1",
        "GET  /@ HTTP/1.1",
        "GET /@  HTTP/1.1",
        "GET\t/@\tHTTP/1.1",
        " GET /@ HTTP/1.1",
        "GET /@ HTTP/1.1 ",
        "GET /@",
        "GET /@ HTTP/1.0",
        "GET /@ HTTP/1.2",
        "GET /@ HTTP/2.0",
        "GET /@ HTTP/0.9",
        "GET /@ http/1.1",
        "GET /@ HTTP/1.10",
        "GET /@ HTTP/01.1",
        "GET /@ HTTP/1,1",
        "GET /@ HTTP/1.1 HTTP/1.1",
        "get /@ HTTP/1.1",
        "G\u{e9}T /@ HTTP/1.1",
        "G:T /@ HTTP/1.1",
        "GET @ HTTP/1.1",
        "GET http://a/@ HTTP/1.1",
        "GET http://b/@ HTTP/1.1",
        "GET https://a/@ HTTP/1.1",
        "GET a/@ HTTP/1.1",
        "GET //a/@ HTTP/1.1",
        "GET /x/../@ HTTP/1.1",
        "GET /x/%2e%2e/@ HTTP/1.1",
        "GET /x%2f@ HTTP/1.1",
        "GET /x\\@ HTTP/1.1",
        "GET /@#f HTTP/1.1",
        "GET /@?a b HTTP/1.1",
        "GET /@%00 HTTP/1.1",
        "GET /@% HTTP/1.1",
        "GET /@%zz HTTP/1.1",
        "GET /@\0 HTTP/1.1",
        "GET /\u{e9}@ HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT a:443 HTTP/1.1",
        "CONNECT /@ HTTP/1.1",
        "TRACE /@ HTTP/1.1",
        "PRI * HTTP/2.0",
    ];
    for line in lines {
        corpus.add("line", line, &format!("{line}\r\nhost: a\r\n\r\n{HIDDEN}"));
    }
}

/// Several requests on one connection.
fn sequences(corpus: &mut Corpus) {
    let post = "POST /@/first HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    let chunked =
        "POST /@/chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let get = "GET /@/get HTTP/1.1\r\nhost: a\r\n\r\n";
    for (what, text) in [
        ("two", format!("{post}{get}")),
        ("three", format!("{get}{chunked}{post}")),
        ("many", get.repeat(20)),
        ("then nonsense", format!("{post}nonsense\r\n\r\n")),
        ("a body of GET", format!("GET /@ HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello{get}")),
        (
            "chunks of GET",
            format!(
                "GET /@ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{get}"
            ),
        ),
        ("a body of HEAD", format!("HEAD /@ HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello{get}")),
        ("a body of DELETE", format!("DELETE /@ HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello{get}")),
        (
            "a request as a body",
            format!(
                "POST /@ HTTP/1.1\r\nhost: a\r\ncontent-length: 45\r\n\r\nGET /inside HTTP/1.1\r\nhost: a\r\nx: 0123456\r\n\r\n\r\n{get}"
            ),
        ),
        ("no length", format!("POST /@ HTTP/1.1\r\nhost: a\r\n\r\n{get}")),
        ("closed, and more", format!("GET /@ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n{get}")),
        ("1.0, and more", format!("GET /@ HTTP/1.0\r\nhost: a\r\n\r\n{get}")),
        ("1.0 kept, and more", format!("GET /@ HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n{get}")),
        ("a body cut short", "POST /@ HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nhello".to_owned()),
        (
            "chunks cut short",
            "POST /@ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned(),
        ),
        ("a head cut short", "GET /@ HTTP/1.1\r\nhost: a\r\nx: ".to_owned()),
        (
            "expectation, then a body at once",
            format!(
                "POST /@ HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello{get}"
            ),
        ),
        (
            "expectation without a body",
            format!("GET /@ HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n{get}"),
        ),
        ("spaces between", format!("{post}  {get}")),
        ("empty lines between", format!("{post}\r\n{get}")),
        ("many empty lines between", format!("{post}\r\n\r\n\r\n{get}")),
    ] {
        corpus.add("sequence", what, &text);
    }
}
