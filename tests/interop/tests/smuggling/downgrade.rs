//! What a client of HTTP/2 may say that HTTP/1.1 cannot: heads and bodies that would mean something else when they are
//! written down as lines (the downgrades of James Kettle, *HTTP/2: The Sequel is Always Worse*, 2021).
//!
//! Frames are made by hand, with nothing compressed: a library would refuse to send most of these.

use super::corpus::Corpus;

/// How every connection of HTTP/2 begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Nothing of it may reach a server.
pub(crate) const NEVER: &str = "h2never";
/// It reaches a server exactly once.
pub(crate) const ONCE: &str = "h2once";
/// No server gets all of it; some tell of what they get before it breaks off.
pub(crate) const BROKEN: &str = "h2broken";
/// Servers differ about it by themselves.
pub(crate) const APART: &str = "h2apart";
/// It may be refused or passed on.
const PERHAPS: &str = "h2perhaps";

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A header, as bytes that stand for themselves.
type Line<'l> = (&'l str, &'l str);

const GET: [Line<'static>; 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/@")];
const POST: [Line<'static>; 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/@")];
const HIDDEN: &str = "GET /hidden/@ HTTP/1.1\r\nhost: a\r\n\r\n";

/// The statuses of the streams of which `bytes` tell, and whether the last has ended. 0 stands for one that was reset.
pub(crate) fn statuses(mut bytes: &[u8]) -> (Vec<u16>, bool) {
    let (mut statuses, mut is_over) = (Vec::new(), false);
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let Some(payload) = rest.get(..length) else { break };
        bytes = &rest[length..];
        match (*kind, payload.first()) {
            // An answer's first field is its status; 200 has a number of its own in the table of HPACK.
            (HEADERS, Some(first)) => {
                statuses.push(if *first == 0x88 { 200 } else { 400 });
                is_over |= flags & END_STREAM != 0;
            }
            (0, _) => is_over |= flags & END_STREAM != 0,
            (3, _) => {
                statuses.push(0);
                is_over = true;
            }
            (7, _) => is_over = true,
            _ => {}
        }
    }
    (statuses, is_over)
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &str, out: &mut String) {
    let length = payload.chars().count();
    for byte in
        [length >> 16, length >> 8 & 255, length & 255, kind.into(), flags.into(), 0, 0, 0, stream.into()]
    {
        out.push(byte_of(byte));
    }
    out.push_str(payload);
}

/// A byte, as the corpus writes one: those beyond ASCII stand in the private use area.
fn byte_of(byte: usize) -> char {
    let code = if byte < 0x80 { byte } else { 0xE000 + byte };
    char::from_u32(code as u32).unwrap_or('?')
}

/// Literal fields without indexing and without Huffman's code (RFC 7541 §6.2.2).
fn block(fields: &[Line<'_>], name: &str) -> String {
    let mut out = String::new();
    let string = |text: &str, out: &mut String| {
        let text = text.replace('@', name);
        let length = text.chars().count();
        if length < 127 {
            out.push(byte_of(length));
        } else {
            let mut more = length - 127;
            out.push(byte_of(127));
            while more >= 128 {
                out.push(byte_of(more % 128 + 128));
                more /= 128;
            }
            out.push(byte_of(more));
        }
        out.push_str(&text);
    };
    for (key, value) in fields {
        out.push('\0');
        string(key, &mut out);
        string(value, &mut out);
    }
    out
}

struct Downgrades<'c>(&'c mut Corpus);

impl Downgrades<'_> {
    fn add(&mut self, kind: &str, fields: &[Line<'_>], data: Option<&str>, trailers: Option<&[Line<'_>]>) {
        let name = self.0.next(kind);
        let mut text: String = PREFACE.iter().map(|byte| char::from(*byte)).collect();
        frame(SETTINGS, 0, 0, "", &mut text);
        let ends = |is_last: bool| if is_last { END_STREAM } else { 0 };
        let head = block(fields, &name);
        frame(HEADERS, END_HEADERS | ends(data.is_none() && trailers.is_none()), 1, &head, &mut text);
        if let Some(data) = data {
            frame(0, ends(trailers.is_none()), 1, &data.replace('@', &name), &mut text);
        }
        if let Some(trailers) = trailers {
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers, &name), &mut text);
        }
        let shown: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.0.add(kind, &shown.join(" ").chars().take(200).collect::<String>(), &text);
    }

    /// A `GET` with one more field.
    fn get(&mut self, kind: &str, key: &str, value: &str) {
        self.add(kind, &[&GET[..], &[(key, value)]].concat(), None, None);
    }

    /// A `GET` in which a pseudo-header is another.
    fn instead(&mut self, kind: &str, key: &str, value: &str) {
        let fields = GET.map(|(known, usual)| (known, if known == key { value } else { usual }));
        self.add(kind, &fields, None, None);
    }

    /// A `POST` with one more field and this body.
    fn post(&mut self, kind: &str, key: &str, value: &str, data: &str) {
        self.add(kind, &[&POST[..], &[(key, value)]].concat(), Some(data), None);
    }
}

/// All of them.
pub(crate) fn downgrades(corpus: &mut Corpus) {
    let mut cases = Downgrades(corpus);
    cases.add(ONCE, &GET, None, None);
    cases.add(ONCE, &POST, Some("hello"), None);
    of_connection(&mut cases);
    lines(&mut cases);
    targets(&mut cases);
    pseudo_headers(&mut cases);
    lengths(&mut cases);
    trailers(&mut cases);
}

/// What belongs to one connection of HTTP/1.1 has no place in a stream.
fn of_connection(cases: &mut Downgrades<'_>) {
    let chunks = format!("0\r\n\r\n{HIDDEN}");
    for value in ["chunked", "identity", "gzip, chunked", " chunked", "Chunked", "xchunked"] {
        cases.post(NEVER, "transfer-encoding", value, &chunks);
        cases.get(NEVER, "transfer-encoding", value);
    }
    for (key, value) in [
        ("connection", "close"),
        ("connection", "keep-alive"),
        ("connection", "transfer-encoding"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "chunked"),
    ] {
        cases.get(NEVER, key, value);
        cases.post(NEVER, key, value, "hello");
    }
    cases.get(ONCE, "te", "trailers");
    // A look-alike frames nothing, and servers that take it for the header must not see it.
    cases.post(PERHAPS, "transfer_encoding", "chunked", &chunks);
    cases.get(PERHAPS, "expect", "100-continue");
}

/// Bytes that end a line, or a text, where there are lines.
fn lines(cases: &mut Downgrades<'_>) {
    let hidden = format!("a\r\n\r\n{HIDDEN}");
    for value in [
        "a\r\nx-evil: 1",
        "a\nx-evil: 1",
        "a\rx-evil: 1",
        "a\0b",
        "a\u{1}b",
        "a\u{7f}b",
        "a\r\ntransfer-encoding: chunked",
        "a\r\n",
        "\r\na",
        &hidden,
    ] {
        cases.get(NEVER, "x-plain", value);
    }
    for key in [
        "X-Upper",
        "x y",
        "x:y",
        "",
        "x\r\nx-evil",
        "x\0",
        "x-evil: 1\r\nx",
        "transfer-encoding : x",
        " x",
        "x\t",
        "x\u{e0ff}",
    ] {
        cases.get(NEVER, key, "1");
    }
    cases.get(ONCE, "x-plain", "a \u{e080}\u{e0ff} b");
    for value in [" a", "a ", "\ta"] {
        cases.get(PERHAPS, "x-plain", value);
    }
    let many: Vec<Line<'_>> = GET.into_iter().chain([("x-many", "1"); 120]).collect();
    cases.add(NEVER, &many, None, None);
}

/// Methods and paths that would be more than one word of a request line.
fn targets(cases: &mut Downgrades<'_>) {
    let split = format!("/@ HTTP/1.1\r\nhost: a\r\n\r\n{HIDDEN}");
    for path in [
        "/@ HTTP/1.1",
        "/@ x",
        "/@\r\nx-evil: 1",
        "/@\n",
        "/@\t",
        "/@\0",
        "@",
        "",
        "*",
        "http://a/@",
        "/@#x",
        "/../@",
        "/@/../../x",
        "/@/%2e%2e/%2e%2e/x",
        "/@%00",
        "/@%zz",
        &split,
    ] {
        // A fragment is cut off before anybody sees it, and steps are taken within the path.
        let kind = if path.contains("..") || path.contains('#') || path == "*" { PERHAPS } else { NEVER };
        cases.instead(kind, ":path", path);
    }
    let split = format!("GET /@ HTTP/1.1\r\nhost: a\r\n\r\n{HIDDEN}");
    for method in ["get", "CONNECT", "GET ", " GET", "G\r\nET", "GET /x", "", &split] {
        cases.instead(NEVER, ":method", method);
    }
}

/// Hosts that are several, and fields that only look as if they were part of the frame.
fn pseudo_headers(cases: &mut Downgrades<'_>) {
    for authority in
        ["a b", "a\r\nx-evil: 1", "user\u{e040}a", "a/b", "a:x", "a:1:2", "a?", "a#", "a\0", "a,b", ":80"]
    {
        cases.instead(NEVER, ":authority", authority);
    }
    cases.get(NEVER, "host", "b");
    cases.get(ONCE, "host", "a");
    cases.add(NEVER, &[&GET[..], &[("host", "a"), ("host", "a")]].concat(), None, None);
    cases.add(NEVER, &[&GET[..], &[("host", "a"), ("host", "b")]].concat(), None, None);
    cases.add(ONCE, &[GET[0], GET[1], GET[3], ("host", "a")], None, None);
    cases.add(NEVER, &[GET[0], GET[1], GET[3]], None, None);
    cases.add(NEVER, &[GET[0], GET[1], GET[2]], None, None);
    cases.add(NEVER, &[GET[1], GET[2], GET[3]], None, None);
    cases.add(NEVER, &[GET[0], GET[2], GET[3]], None, None);
    cases.add(NEVER, &[&GET[..], &[(":path", "/hidden/@")]].concat(), None, None);
    cases.add(NEVER, &[&GET[..], &[(":method", "POST")]].concat(), None, None);
    cases.add(NEVER, &[&GET[..], &[("x-plain", "1"), (":authority", "b")]].concat(), None, None);
    cases.get(NEVER, ":status", "200");
    cases.get(NEVER, ":unknown", "1");
    cases.instead(PERHAPS, ":scheme", "https");
    cases.instead(NEVER, ":scheme", "http://b/?");
    cases.add(ONCE, &[&GET[..], &[("cookie", "a=1"), ("cookie", "b=2")]].concat(), None, None);
}

/// Lengths that the frames contradict.
fn lengths(cases: &mut Downgrades<'_>) {
    cases.post(ONCE, "content-length", "5", "hello");
    cases.post(NEVER, "content-length", "0", "hello");
    cases.post(BROKEN, "content-length", "4", "hello");
    cases.post(BROKEN, "content-length", "6", "hello");
    for value in ["+5", "-5", "0x5", "5 ", "5, 5", "5,5", "", "five", "99999999999999999999"] {
        cases.post(NEVER, "content-length", value, "hello");
    }
    cases.post(BROKEN, "content-length", "1", &format!("x{HIDDEN}"));
    cases.get(NEVER, "content-length", "5");
    let twice = |one, other| [&POST[..], &[("content-length", one), ("content-length", other)]].concat();
    cases.add(NEVER, &twice("5", "6"), Some("hello"), None);
    cases.add(NEVER, &twice("5", "5"), Some("hello"), None);
    cases.post(PERHAPS, "content_length", "0", "hello");
}

/// Fields behind a body must not change what was decided before it.
fn trailers(cases: &mut Downgrades<'_>) {
    for (key, value) in
        [("x-plain", "1"), ("content-length", "1"), ("host", "b"), ("transfer-encoding", "chunked")]
    {
        // Not every server of HTTP/1.1 takes trailers.
        let kind = if key == "x-plain" { APART } else { PERHAPS };
        cases.add(kind, &POST, Some("hello"), Some(&[(key, value)]));
    }
    cases.add(PERHAPS, &POST, Some("hello"), Some(&[(":path", "/hidden/@")]));
    cases.add(NEVER, &POST, Some("hello"), Some(&[("x-plain", "a\r\nx-evil: 1")]));
}
