//! Spans as OTLP has them over HTTP, in JSON (OpenTelemetry protocol 1.x, `ExportTraceServiceRequest`).

use dozen_core::span::{Attribute, Side, Span};
use serde_json::{Value as Json, json};

/// The path that is asked.
pub(super) const PATH: &str = "/v1/traces";

/// Who the spans are of, and the spans.
pub(super) fn document(service: &str, spans: &[Span]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource =
        [("service.name", service), ("telemetry.sdk.name", "dozen"), ("telemetry.sdk.version", version)];
    let resource: Vec<Json> = resource
        .into_iter()
        .map(|(name, text)| json!({ "key": name, "value": { "stringValue": text } }))
        .collect();
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "dozen.gateway", "version": version }, "spans": spans }]
    }] })
}

fn span(span: &Span) -> Json {
    // Whole numbers of 64 bits are texts, as everywhere in JSON of protocol buffers.
    let began = i128::from(span.began.0) * 1000;
    let ended = began + i128::try_from(span.took.as_nanos()).unwrap_or(0);
    let mut document = json!({
        "traceId": format!("{:032x}", span.trace.trace_id),
        "spanId": format!("{:016x}", span.trace.parent_id),
        "flags": u8::from(span.trace.sampled),
        "name": span.name,
        "kind": match span.side { Side::Server => 2, Side::Client => 3 },
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": ended.to_string(),
        "attributes": span.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "status": if span.is_failed { json!({ "code": 2 }) } else { json!({}) },
    });
    if let Some(parent) = span.parent {
        document["parentSpanId"] = format!("{parent:016x}").into();
    }
    document
}

fn attribute((name, value): &(&'static str, Attribute)) -> Json {
    let value = match value {
        Attribute::Text(text) => json!({ "stringValue": text }),
        Attribute::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({ "key": name, "value": value })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dozen_core::{Timestamp, TraceContext};

    use super::*;

    #[test]
    fn a_span_is_told_as_the_protocol_has_it() {
        let trace = TraceContext { trace_id: 0xab, parent_id: 0xcd, sampled: true };
        let span = Span {
            trace,
            parent: Some(7),
            side: Side::Client,
            name: "GET".into(),
            began: Timestamp(1_700_000_000_000_001),
            took: Duration::from_nanos(1500),
            is_failed: true,
            attributes: vec![("http.response.status_code", 503_u16.into()), ("error.type", "503".into())],
        };
        let told = document("shop", &[span]);
        let resource = &told["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "shop");
        let expected = json!({
            "traceId": "000000000000000000000000000000ab", "spanId": "00000000000000cd", "flags": 1,
            "parentSpanId": "0000000000000007", "name": "GET", "kind": 3,
            "startTimeUnixNano": "1700000000000001000", "endTimeUnixNano": "1700000000000002500",
            "status": { "code": 2 },
            "attributes": [
                { "key": "http.response.status_code", "value": { "intValue": "503" } },
                { "key": "error.type", "value": { "stringValue": "503" } },
            ]
        });
        assert_eq!(resource["scopeSpans"][0]["spans"][0], expected);
    }
}
