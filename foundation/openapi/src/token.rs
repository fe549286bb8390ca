//! Who may call: whoever has the token, if there is one.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};

use crate::Problem;

/// Asks every request for `Authorization: Bearer <token>`. Without a token, nothing is asked.
pub fn guarded(router: Router, token: Option<String>) -> Router {
    let Some(token) = token else { return router };
    let token: Arc<str> = token.into();
    router.layer(from_fn(move |request: Request, next: Next| {
        let token = token.clone();
        async move { if admits(&token, request.headers()) { next.run(request).await } else { refuse() } }
    }))
}

fn refuse() -> Response {
    Problem::unauthorized().into_response()
}

fn admits(token: &str, headers: &HeaderMap) -> bool {
    let Some(sent) = headers.get(header::AUTHORIZATION) else { return false };
    let (scheme, sent) = sent.as_bytes().split_at_checked(7).unwrap_or_default();
    // An empty token protects nothing, so it admits nobody.
    !token.is_empty() && scheme.eq_ignore_ascii_case(b"bearer ") && same(token.as_bytes(), sent.trim_ascii())
}

/// Whether the two are the same. Takes as long for a wrong text as for the right one; only the length may show.
fn same(secret: &[u8], text: &[u8]) -> bool {
    let differing = secret.iter().zip(text).fold(0u8, |seen, (one, other)| seen | (one ^ other));
    std::hint::black_box(differing) == 0 && secret.len() == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_admits() {
        let admits = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            super::admits("s3cret", &headers)
        };
        assert!(admits("Bearer s3cret") && admits("bearer s3cret "));
        for wrong in ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret!", "Basic s3cret"] {
            assert!(!admits(wrong), "{wrong}");
        }
        assert!(!super::admits("s3cret", &HeaderMap::new()));
        assert!(!super::admits(
            "",
            &HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer ".parse().unwrap())])
        ));
    }
}
