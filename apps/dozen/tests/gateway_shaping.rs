//! What a route does with bodies: through `dozen up`, from the file and the files beside it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod door;
mod running;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use door::Door;
use dozen_harness::{Reply, request};

const API: &str = "
openapi: 3.1.0
paths:
  /orders:
    post:
      requestBody: { required: true, content: { application/json: { schema: { $ref: 'order.json#/Order' } } } }
  /orders/{id}:
    get:
      parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
";
const ORDER: &str = r##"{"Order": {"type": "object", "required": ["total"], "properties": {"total": {"$ref": "#/Total"}}},
    "Total": {"type": "integer"}}"##;

/// A service of somebody else: XML, a minute of freshness, and a count of what it was asked.
fn legacy() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = count.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let (mut line, mut length) = (String::new(), 0);
                    while reader.read_line(&mut line).unwrap_or(0) > 2 {
                        if let Some(stated) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = stated.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    if line.is_empty() {
                        return;
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    let pad = "x".repeat(2000);
                    let said = format!("<Order n=\"{number}\"><Pad>{pad}</Pad></Order>");
                    let head =
                        "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncache-control: max-age=60\r\n";
                    write!(stream, "{head}content-length: {}\r\n\r\n{said}", said.len()).unwrap();
                }
            });
        }
    });
    (port, asked)
}

fn file(gateway: u16, legacy: u16, map: &str) -> String {
    format!(
        "services: {{ legacy: {{ at: 'http://127.0.0.1:{legacy}' }} }}\n\
         gateway:\n  listen: 127.0.0.1:{gateway}\n  routes:\n    \
           - match: '/api/{{*rest}}'\n      name: api\n      to: 'legacy:/{{rest}}'\n      \
             openapi: {{ document: api.yaml, base: /api }}\n      \
             request: {{ body: {{ out: xml, map: {{ Order: {{ map: {{ Sum: total! }} }} }} }} }}\n      \
             response: {{ body: {{ in: xml, map: {map} }} }}\n      \
             compress: true\n      cache: {{ max: 1MiB }}\n"
    )
}

fn post(door: &Door, body: &str) -> Reply {
    let url = format!("http://127.0.0.1:{}/api/orders", door.gateway);
    request("POST", &url, &[("content-type", "application/json")], body.as_bytes()).unwrap()
}

#[test]
fn gw_m6_dozen_up_validates_translates_compresses_and_keeps_by_the_file() {
    let (legacy, asked) = legacy();
    let map = "{ n: Order/@n!, pad: Order/Pad! }";
    let door =
        Door::beside(&[("api.yaml", API), ("order.json", ORDER)], |gateway| file(gateway, legacy, map));
    let wrong = post(&door, r#"{"total": "much"}"#);
    assert_eq!((wrong.status, asked.load(Ordering::SeqCst)), (422, 0), "{}", wrong.text());
    let said: serde_json::Value = serde_json::from_slice(&wrong.body).unwrap();
    assert_eq!(said["errors"][0]["pointer"], "#/total");
    assert_eq!((door.ask("/api/orders/x", &[]).status, door.ask("/api/nothing", &[]).status), (400, 404));
    let made = post(&door, r#"{"total": 1}"#);
    assert!(made.status == 200 && made.text().starts_with(r#"{"n":"1","#), "{}", made.text());
    let first = door.ask("/api/orders/7", &[]);
    assert!(first.text().starts_with(r#"{"n":"2","#), "{}", first.text());
    let again = door.ask("/api/orders/7", &[("accept-encoding", "gzip")]);
    assert_eq!((again.header("content-encoding"), asked.load(Ordering::SeqCst)), (Some("gzip"), 2));
    assert!(again.header("cache-status").unwrap().starts_with("dozen; hit; ttl=") && again.body.len() < 200);
    let page = door.metrics();
    assert!(page.contains("dozen_gateway_cache_total{route=\"api\",result=\"hit\"} 1\n"), "{page}");
    assert!(page.contains("dozen_gateway_cache_bytes{route=\"api\"}"), "{page}");
    // Another mapping is another answer; what was kept of the one before is not used.
    let head = std::fs::read_to_string(door.up.folder.path().join("dozen.yaml")).unwrap();
    let head = head.split("services:").next().unwrap().to_owned();
    door.up.write(&(head + &file(door.gateway, legacy, "{ n: Order/@n! }")));
    door.up.hear("the file was taken over");
    assert_eq!(door.ask("/api/orders/7", &[]).text(), r#"{"n":"3"}"#);
}
