//! What an app's answer to an event means.

use http::StatusCode;
use serde_json::Value;

use crate::query::fold;

/// What to do with the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was handled.
    Done,
    /// It was not; again later. Why.
    Retry(String),
    /// It is not wanted. Why.
    Drop(String),
}

/// Reads an answer by its status and its body.
///
/// A body that says nothing says success: SDKs answer a handler without a result with nothing, `null`, or whatever
/// the handler returned.
pub(crate) fn read(status: StatusCode, body: &[u8]) -> Answer {
    if status == StatusCode::NOT_FOUND {
        return Answer::Drop("the app has no such route (404)".into());
    }
    if !status.is_success() {
        return Answer::Retry(format!("the app answered {status}"));
    }
    let said =
        serde_json::from_slice(body).ok().and_then(fold).and_then(|mut answer| answer.remove("status"));
    word(said.as_ref())
}

/// Reads the word of one `status`.
pub(crate) fn word(status: Option<&Value>) -> Answer {
    match status {
        None | Some(Value::Null) => Answer::Done,
        Some(Value::String(word)) => match word.as_str() {
            "" | "SUCCESS" => Answer::Done,
            "RETRY" => Answer::Retry("the app answered RETRY".into()),
            "DROP" => Answer::Drop("the app answered DROP".into()),
            other => Answer::Retry(format!("the app answered the unknown status `{}`", shorten(other))),
        },
        Some(_) => Answer::Done,
    }
}

/// Reads the answer to a bulk of one event: a missing entry, or one that says nothing, is a retry here.
pub(crate) fn read_bulk(status: StatusCode, body: &[u8], id: &str) -> Answer {
    if !status.is_success() {
        return read(status, body);
    }
    let said =
        serde_json::from_slice(body).ok().and_then(fold).and_then(|mut answer| answer.remove("statuses"));
    let Some(Value::Array(entries)) = said else {
        return Answer::Retry("the app's answer to a bulk has no `statuses`".into());
    };
    let mut entries = entries.into_iter().filter_map(fold);
    match entries.find(|entry| entry.get("entryid").is_some_and(|entry| entry == id)) {
        Some(entry) if entry.get("status").is_some_and(|status| status != "") => word(entry.get("status")),
        _ => Answer::Retry("the app's answer to a bulk says nothing of the event".into()),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str) -> Answer {
        read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn the_table_of_answers() {
        for body in [
            "",
            "null",
            "ok",
            "{}",
            "[]",
            "7",
            r#"{"status":""}"#,
            r#"{"status":"SUCCESS"}"#,
            r#"{"Status":null}"#,
        ] {
            assert_eq!(check(200, body), Answer::Done, "{body}");
        }
        assert_eq!(check(204, ""), Answer::Done);
        assert!(matches!(check(200, r#"{"status":"RETRY"}"#), Answer::Retry(_)));
        assert!(matches!(check(200, r#"{"STATUS":"DROP"}"#), Answer::Drop(_)));
        assert!(matches!(check(200, r#"{"status":"MAYBE"}"#), Answer::Retry(_)));
        assert!(matches!(check(404, r#"{"status":"SUCCESS"}"#), Answer::Drop(_)));
        for status in [301, 400, 403, 429, 500, 503] {
            assert!(matches!(check(status, r#"{"status":"SUCCESS"}"#), Answer::Retry(_)), "{status}");
        }
    }

    #[test]
    fn a_bulk_must_name_the_event() {
        let bulk = |body: &str| read_bulk(StatusCode::OK, body.as_bytes(), "e1");
        assert_eq!(bulk(r#"{"statuses":[{"entryId":"e1","status":"SUCCESS"}]}"#), Answer::Done);
        assert!(matches!(bulk(r#"{"statuses":[{"entryId":"e1","status":"DROP"}]}"#), Answer::Drop(_)));
        for silent in ["", "{}", r#"{"statuses":[]}"#, r#"{"statuses":[{"entryId":"e1","status":""}]}"#] {
            assert!(matches!(bulk(silent), Answer::Retry(_)), "{silent}");
        }
    }
}
