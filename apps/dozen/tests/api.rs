//! The API of queues and topics under `dozen up`: on its own port, beside a sidecar, and when everything stops.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use dozen_harness::{Program, Signal, free_port, request};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "Bearer s3cret";

/// Asks with the token; gives the status and the answer.
fn ask(method: &str, url: &str, body: &str) -> (u16, Value) {
    let headers = [("authorization", TOKEN), ("content-type", "application/json")];
    let reply = request(method, url, &headers, body.as_bytes()).unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

/// Follows the events of `orders`, and returns when the stream has begun.
fn follow(base: &str) -> BufReader<TcpStream> {
    let (address, _) = base.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("GET /dozen/v1/topics/orders/events HTTP/1.1\r\nhost: x\r\nauthorization: {TOKEN}\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut follower = BufReader::new(socket);
    let mut line = String::new();
    follower.read_line(&mut line).unwrap();
    assert!(line.contains("200"), "{line}");
    follower
}

#[test]
fn the_api_stands_on_its_port_and_beside_each_sidecar_and_lets_nobody_wait_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (api, sidecar) = (free_port(), free_port());
    let file = format!(
        "app: a\nstore: sqlite:a.db\nconsole: false\nregistry: {{ listen: '127.0.0.1:0' }}\n\
         api: {{ listen: '127.0.0.1:{api}', token: s3cret }}\n\
         services: {{ mail: {{ run: [sleep, '60'], sidecar: {{ port: {sidecar} }} }} }}\n\
         queues: {{ invoices: }}\ntopics: {{ orders: }}\nlimits: {{ stop-deadline: 20s }}\n"
    );
    std::fs::write(folder.path().join("dozen.yaml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
    command.arg("up").current_dir(folder.path()).env_remove("RUST_LOG").env("NO_COLOR", "1");
    let up = Program::start("dozen up", command).unwrap();
    up.wait_for_line("a is up; state is in", PATIENCE).unwrap();
    let (api, beside) =
        (format!("http://127.0.0.1:{api}/dozen/v1"), format!("http://127.0.0.1:{sidecar}/dozen/v1"));

    for base in [&api, &beside] {
        let refused = request("GET", &format!("{base}/queues"), &[], b"").unwrap();
        assert_eq!(refused.status, 401, "{}", refused.text());
        let (status, document) = ask("GET", &format!("{base}/openapi.json"), "");
        assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    }
    let (status, problem) = ask("GET", &format!("{api}/nothing"), "");
    assert_eq!((status, &problem["type"]), (404, &json!("urn:dozen:problem:unknown-path")));

    // Sent on one port, received on the other, settled on the first again.
    let (status, sent) = ask("POST", &format!("{api}/queues/invoices/messages?type=t"), r#"{"order":7}"#);
    assert_eq!(status, 201, "{sent}");
    let (_, received) = ask("POST", &format!("{beside}/queues/invoices/receive?wait=20s"), "");
    let message = &received["messages"][0];
    assert_eq!(message["message"]["id"], sent["ids"][0]);
    let settled =
        ask("POST", &format!("{api}/queues/invoices/ack"), &json!({ "lease": message["lease"] }).to_string());
    assert_eq!(settled.0, 200, "{}", settled.1);
    assert_eq!(ask("PUT", &format!("{beside}/topics/orders/subscriptions/mail"), "").0, 201);
    // The sidecar's own API is where it was.
    assert_eq!(
        request("GET", &format!("http://127.0.0.1:{sidecar}/v1.0/metadata"), &[], b"").unwrap().status,
        200
    );

    let followers = [api, beside].map(|base| follow(&base));
    up.signal(Signal::TERM).unwrap();
    let ended = up.wait_exit(PATIENCE).unwrap();
    assert!(ended.success(), "{ended}: {}", up.output());
    for mut follower in followers {
        let mut rest = String::new();
        follower.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("event: cut") && rest.contains("stops"), "{rest}");
    }
}
