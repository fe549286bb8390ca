//! Documents of 10 KB: one order with its lines, as different systems would say it.

use std::fmt::Display;

/// Lines of the order; with as many, each document has about 10 KB.
const LINES: usize = 75;

/// In JSON, as an old system says it.
pub(super) fn old() -> String {
    let line = |at: usize| {
        format!(
            "{{\"sku\":\"SKU-{at:05}\",\"title\":\"A thing of some kind, number {at}\",\"quantity\":{at},\"price\":{at}.5,\
             \"state\":\"A\",\"day\":\"31.01.2026\"}}"
        )
    };
    format!(
        "{{\"madeAt\":\"2026-02-01T08:00:00Z\",\"order\":{{\"id\":12345678901234567890,\
         \"customer\":{{\"name\":\"Ann\",\"address\":{{\"city\":\"Rome\"}}}},\"items\":[{}]}}}}",
        joined((0..LINES).map(line), ",")
    )
}

/// The same from a new system: members and lines in another order, numbers in another spelling, and a moment of its own.
pub(super) fn new() -> String {
    let line = |at: usize| {
        format!(
            "{{\"day\":\"31.01.2026\",\"price\":{at}.50,\"quantity\":{at},\"sku\":\"SKU-{at:05}\",\"state\":\"A\",\
             \"title\":\"A thing of some kind, number {at}\"}}"
        )
    };
    format!(
        "{{\"order\":{{\"customer\":{{\"address\":{{\"city\":\"Rome\"}},\"name\":\"Ann\"}},\
         \"id\":12345678901234567890,\"items\":[{}]}},\"madeAt\":\"2026-02-01T08:00:07Z\"}}",
        joined((0..LINES).rev().map(line), ",")
    )
}

/// In XML.
pub(super) fn xml() -> String {
    let line = |at: usize| {
        format!(
            "<item sku=\"SKU-{at:05}\"><title>A thing of some kind</title><quantity>{at}</quantity><price>{at}.5</price>\
             <state>A</state><day>31.01.2026</day></item>"
        )
    };
    format!(
        "<order xmlns=\"urn:erp\" id=\"1234\"><customer><name>Ann</name><address><city>Rome</city></address></customer>{}</order>",
        joined((0..LINES).map(line), "")
    )
}

fn joined(pieces: impl Iterator<Item = impl Display>, between: &str) -> String {
    pieces.map(|piece| piece.to_string()).collect::<Vec<_>>().join(between)
}
