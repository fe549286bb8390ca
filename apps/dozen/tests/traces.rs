//! Traces: what a collector hears of requests, through `dozen up`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod door;
mod running;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;

use door::Door;
use dozen_harness::free_port;
use running::PATIENCE;
use serde_json::Value as Json;

/// Answers what `answer` makes of each request: its head and its body.
fn serve(listener: TcpListener, answer: impl Fn(&str, &[u8]) -> (u16, String) + Clone + Send + 'static) {
    spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            spawn(move || talk(stream, answer));
        }
    });
}

fn talk(mut stream: TcpStream, answer: impl Fn(&str, &[u8]) -> (u16, String)) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..count]);
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 4]).to_lowercase();
            let length: usize = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            let whole = end + 4 + length;
            if bytes.len() < whole {
                break;
            }
            let (status, body) = answer(&head, &bytes[end + 4..whole]);
            bytes.drain(..whole);
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A collector of OTLP at this port: each document that it is sent.
fn collector(port: u16) -> Receiver<Json> {
    let (sender, documents) = channel();
    serve(TcpListener::bind(("127.0.0.1", port)).unwrap(), move |head, body| {
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert_eq!(field(head, "content-type"), Some("application/json"));
        sender.send(serde_json::from_slice(body).unwrap()).unwrap();
        (200, "{}".into())
    });
    documents
}

/// A service whose answers are the traces that it was told of. What is flaky fails the first time.
fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let failed = std::sync::Arc::new(AtomicUsize::new(0));
    serve(listener, move |head, _| {
        let trace = field(head, "traceparent").unwrap();
        match head.starts_with("get /flaky ") && failed.fetch_add(1, Ordering::Relaxed) == 0 {
            true => (503, String::new()),
            false => (200, format!("{{\"trace\": \"{trace}\"}}")),
        }
    });
    port
}

/// The next spans, as many as are asked for, those of services after those of the requests.
struct Heard {
    documents: Receiver<Json>,
    spans: Vec<Json>,
}

impl Heard {
    fn next(&mut self, count: usize) -> Vec<Json> {
        while self.spans.len() < count {
            let document = self.documents.recv_timeout(PATIENCE).unwrap();
            let resource = &document["resourceSpans"][0];
            let name = &resource["resource"]["attributes"][0];
            assert_eq!(
                (&name["key"], &name["value"]["stringValue"]),
                (&"service.name".into(), &"test".into())
            );
            assert!(!document.to_string().contains("s3cr3t"), "{document}");
            self.spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().iter().cloned());
        }
        let mut spans: Vec<Json> = self.spans.drain(..count).collect();
        spans.sort_by_key(|span| {
            (span["kind"].as_u64(), span["startTimeUnixNano"].as_str().unwrap().to_owned())
        });
        spans
    }
}

fn attribute<'s>(span: &'s Json, name: &str) -> Option<&'s str> {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == name)?;
    let value = &found["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str())
}

fn file(gateway: u16, origin: u16, collector: u16, percent: u16) -> String {
    format!(
        "traces: {{ to: 'http://127.0.0.1:{collector}', sample-percent: {percent} }}\n\
         services:\n  web: {{ at: 'http://127.0.0.1:{origin}' }}\n  \
           flaky: {{ at: 'http://127.0.0.1:{origin}', retry: {{ on: 503, backoff: 1ms }} }}\n\
         gateway:\n  listen: 127.0.0.1:{gateway}\n  routes:\n    \
           'GET /orders/{{id}}': web\n    /flaky: flaky\n    \
           /both: {{ compose: {{ one: {{ get: 'web:/one' }}, two: {{ get: 'web:/two/{{one.trace}}' }} }} }}\n"
    )
}

/// The trace and the step that a service was told of.
fn told(text: &str) -> (String, String, String) {
    let trace: Json = serde_json::from_str(text).unwrap();
    let parts: Vec<&str> = trace["trace"].as_str().unwrap().split('-').collect();
    (parts[1].into(), parts[2].into(), parts[3].into())
}

#[test]
fn each_request_each_attempt_and_each_call_is_a_step_that_a_collector_hears_of_and_a_secret_is_in_none() {
    let (origin, port) = (origin(), free_port());
    let door = Door::open(|gateway| file(gateway, origin, port, 100));
    // Nobody collects yet, and no request minds.
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let secrets = [("traceparent", sent), ("authorization", "Bearer s3cr3t"), ("x-api-key", "s3cr3t")];
    let answer = door.ask("/orders/7?token=s3cr3t", &secrets);
    assert_eq!(answer.status, 200);
    let mut heard = Heard { documents: collector(port), spans: Vec::new() };

    let spans = heard.next(2);
    let [request, attempt] = spans.as_slice() else { panic!() };
    let (trace, step, flags) = told(&answer.text());
    assert_eq!((trace.as_str(), flags.as_str()), ("4bf92f3577b34da6a3ce929d0e0e4736", "01"));
    assert_eq!((&request["traceId"], &attempt["traceId"]), (&trace.clone().into(), &trace.into()));
    assert_eq!((&request["kind"], &attempt["kind"]), (&2.into(), &3.into()));
    assert_eq!(request["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(attempt["parentSpanId"], request["spanId"]);
    assert_eq!(attempt["spanId"], step.as_str(), "the service goes on from the attempt");
    assert_eq!(request["name"], "GET /orders/{id}");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("url.path", "/orders/7"),
        ("url.scheme", "http"),
        ("server.address", "127.0.0.1"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(attribute(request, name), Some(value), "{request}");
    }
    assert_eq!(attribute(attempt, "dozen.service"), Some("web"));
    assert_eq!(attribute(attempt, "server.port"), Some(origin.to_string().as_str()));

    // A request that is sent again: a step for each time, and the service that answered goes on from the second.
    let answer = door.ask("/flaky", &[]);
    let spans = heard.next(3);
    let [request, first, second] = spans.as_slice() else { panic!() };
    assert!(request["parentSpanId"].is_null() && request["status"] == serde_json::json!({}), "{request}");
    assert_eq!(attribute(first, "http.response.status_code"), Some("503"));
    assert_eq!((attribute(first, "error.type"), &first["status"]["code"]), (Some("503"), &2.into()));
    assert_eq!(attribute(second, "http.request.resend_count"), Some("1"));
    assert_eq!(told(&answer.text()).1, second["spanId"]);

    // A composition: a step for each call, and each service goes on from its own.
    let answer = door.ask("/both", &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let spans = heard.next(3);
    let [request, one, two] = spans.as_slice() else { panic!() };
    let parts: Json = serde_json::from_str(&answer.text()).unwrap();
    for (call, name) in [(one, "one"), (two, "two")] {
        assert_eq!(call["parentSpanId"], request["spanId"]);
        assert_eq!(told(&parts[name].to_string()).1, call["spanId"]);
        assert_eq!(attribute(call, "dozen.service"), Some("web"));
    }

    // What no route takes is a request, too.
    assert_eq!(door.ask("/none", &[]).status, 404);
    let spans = heard.next(1);
    assert_eq!((&spans[0]["name"], attribute(&spans[0], "http.route")), (&"GET".into(), None));
    let page = door.metrics();
    assert!(page.contains("dozen_traces_spans_sent_total 9\n"), "{page}");
    assert!(page.contains("dozen_traces_spans_dropped_total 0\n"), "{page}");
}

#[test]
fn a_share_of_traces_is_kept_and_a_reload_changes_it() {
    let (origin, port) = (origin(), free_port());
    let mut heard = Heard { documents: collector(port), spans: Vec::new() };
    let door = Door::open(|gateway| file(gateway, origin, port, 0));
    for _ in 0..20 {
        assert_eq!(told(&door.ask("/orders/1", &[]).text()).2, "00", "who comes after is told otherwise");
    }
    // Of a trace that began elsewhere whoever began it decides.
    let sent = |flags: &str| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    assert_eq!(told(&door.ask("/orders/2", &[("traceparent", &sent("00"))]).text()).2, "00");
    assert_eq!(told(&door.ask("/orders/3", &[("traceparent", &sent("01"))]).text()).2, "01");
    assert_eq!(attribute(&heard.next(2)[0], "url.path"), Some("/orders/3"));

    let gateway = door.gateway;
    let before = std::fs::read_to_string(door.up.folder.path().join("dozen.yaml")).unwrap();
    door.up.write(&before.replace(&file(gateway, origin, port, 0), &file(gateway, origin, port, 100)));
    door.up.hear("the file was taken over");
    assert_eq!(told(&door.ask("/orders/4", &[]).text()).2, "01");
    assert_eq!(attribute(&heard.next(2)[0], "url.path"), Some("/orders/4"));
}
