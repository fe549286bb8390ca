//! What a client is told when there is no answer to pass on: RFC 9457 problem details that leak nothing internal.

use http::StatusCode;

use crate::framing::{decimal, field, status_line};

/// Appends a whole response: head and problem document.
///
/// `detail` is shown to whoever asked, so it names nothing that they did not send themselves. `fields` are further
/// headers. `with_body` is false for the answer to a `HEAD`.
pub fn problem(
    status: u16,
    detail: &str,
    fields: &[(&str, &str)],
    keep_alive: bool,
    with_body: bool,
    out: &mut Vec<u8>,
) {
    let body = problem_document(status, detail);
    status_line(status, out);
    field("content-type", b"application/problem+json", out);
    out.extend_from_slice(b"content-length: ");
    decimal(body.len() as u64, out);
    out.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        field(name, value.as_bytes(), out);
    }
    if !keep_alive {
        field("connection", b"close", out);
    }
    out.extend_from_slice(b"\r\n");
    if with_body {
        out.extend_from_slice(body.as_bytes());
    }
}

/// The problem document alone.
pub fn problem_document(status: u16, detail: &str) -> String {
    let title =
        StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    serde_json::json!({ "type": "about:blank", "title": title, "status": status, "detail": detail })
        .to_string()
}
