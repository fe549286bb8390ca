//! `dozen up` on a PostgreSQL server, with what the file can say of topics, subscriptions and queues.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dozen_harness::{Postgres, Program, Signal, free_port, get};
use dozen_pubsub::Secrets;

const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A request: its headers by lower-case name, and its body.
type Request = (BTreeMap<String, String>, Vec<u8>);

/// Takes every request, and says what came.
fn receiver() -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut headers = BTreeMap::new();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if let Some((name, value)) = line.split_once(':') {
                    headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
                }
                line.clear();
            }
            let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            let answered = reader.read_exact(&mut body).and_then(|()| {
                reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            });
            if answered.is_err() || sender.send((headers, body)).is_err() {
                return;
            }
        }
    });
    (port, requests)
}

/// What a command prints; it must succeed.
fn done(folder: &Path, address: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
    let output = command.args(arguments).current_dir(folder).env("DATABASE", address).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn ps_m4_ps_d1_a_hook_gets_what_it_wants_signed_from_a_store_on_postgresql_whose_password_nobody_sees() {
    let server = Postgres::start(&[]).unwrap();
    // The server trusts everybody from this machine, so that any password will do.
    let address = server.url(&server.fresh_database().unwrap()).replace("test@", "test:hunter2@");
    let (port, requests) = receiver();
    let console = free_port();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let file = format!(
        "app: a\nstore: '${{env:DATABASE}}'\nconsole: {{ listen: '127.0.0.1:{console}' }}\napi: false\n\
         registry: {{ listen: '127.0.0.1:0' }}\nkeys: {{ k: {SECRET} }}\n\
         queues: {{ reports: {{ priorities: 2, cron: {{ yearly: {{ schedule: 0 5 1 1 *, type: report.due }} }} }} }}\n\
         topics:\n  orders.eu: {{ sealed: true, schema: {{ required: [total] }} }}\n  orders.us:\n\
         subscriptions:\n  hook:\n    topics: 'orders.*'\n    url: http://127.0.0.1:{port}/in?a=b\n    mode: binary\n    \
         secret: whsec_{SECRET}\n    filter: data.total > 100\n    start: earliest\n"
    );
    std::fs::write(here.join("dozen.yaml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
    command.arg("up").current_dir(here).env_remove("RUST_LOG").env("NO_COLOR", "1").env("DATABASE", &address);
    let up = Program::start("dozen up", command).unwrap();
    up.wait_for_line("a is up; state is in ${env:DATABASE}", PATIENCE).unwrap();

    // From another process, into a topic that seals: the receiver gets what was published.
    done(here, &address, &["topic", "publish", "orders.us", r#"{"total":5}"#, "--id", "small"]);
    let order =
        ["topic", "publish", "orders.eu", r#"{"total":500}"#, "--id", "large", "--type", "order.placed"];
    done(here, &address, &order);
    let (headers, body) = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(&body[..], br#"{"total":500}"#);
    assert_eq!((headers["ce-id"].as_str(), headers["ce-type"].as_str()), ("large", "order.placed"));
    let seconds = headers["webhook-timestamp"].parse().unwrap();
    let signature = Secrets::new([SECRET]).unwrap().sign("large", seconds, &body);
    assert_eq!(headers["webhook-signature"], signature);
    let until = Instant::now() + PATIENCE;
    loop {
        let list = done(here, &address, &["topic", "list"]);
        let row = list.lines().find(|line| line.contains(" hook ")).unwrap();
        if row.split_whitespace().nth(2) == Some("0") {
            break; // both are looked at: one was delivered, and one was not wanted
        }
        assert!(Instant::now() < until, "{list}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(requests.try_recv().is_err(), "the small order was not wanted");

    let metrics = get(&format!("http://127.0.0.1:{console}/metrics")).unwrap().text();
    assert!(
        metrics.contains("engine=\"postgres\"")
            && metrics.contains("dozen_collector_up{collector=\"queues\"} 1")
    );
    let handled = "dozen_deliveries_total{topic=\"orders.*\",subscription=\"hook\",result=\"handled\"} 1";
    assert!(metrics.contains(handled), "{metrics}");
    assert!(done(here, &address, &["queue", "list"]).contains("reports"));
    for page in ["/", "/queue/reports", "/topic/orders.eu", "/outbox", "/api", "/metrics"] {
        let page = get(&format!("http://127.0.0.1:{console}{page}")).unwrap();
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(!page.text().contains("hunter2") && !page.text().contains(SECRET));
    }
    assert!(!done(here, &address, &["check", "--expanded"]).contains("hunter2"));
    up.signal(Signal::TERM).unwrap();
    assert!(up.wait_exit(PATIENCE).unwrap().success(), "{}", up.output());
    assert!(!up.output().contains("hunter2"), "{}", up.output());
}
