//! Tokens and what becomes of them, without a socket.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod caches;
mod consumers;
mod rules;
mod tokens;

use std::time::Instant;

use dozen_core::Timestamp;
use dozen_dataplane::framing::Field;

use super::View;

/// 2026-01-01.
const NOW: Timestamp = Timestamp(1_767_225_600_000_000);

/// Looks at `GET /orders/7?limit=3&q=a%20b` with these headers.
fn look<T>(fields: &[(&str, &str)], at: impl FnOnce(&View<'_>) -> T) -> T {
    let fields: Vec<Field<'_>> =
        fields.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect();
    at(&View {
        worker: 0,
        method: "GET",
        scheme: "http",
        host: "shop.example",
        path: "/orders/7",
        query: Some("limit=3&q=a%20b"),
        fields: &fields,
        address: "192.0.2.1".parse().unwrap(),
        tls: None,
        trace: None,
        route: "orders",
        now: NOW,
        started: Instant::now(),
    })
}
