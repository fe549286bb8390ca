//! What a client is told when there is no answer to pass on: RFC 9457 problem details that leak nothing internal.

use http::StatusCode;

/// The problem document of a status. `detail` is shown to whoever asked, so it names nothing that they did not send
/// themselves.
pub fn problem_document(status: u16, detail: &str) -> String {
    let title =
        StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    serde_json::json!({ "type": "about:blank", "title": title, "status": status, "detail": detail })
        .to_string()
}
