//! A file that changes while `dozen up` runs, and what `dozen diff` says of it before.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod running;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dozen_harness::{Asked, Load, Signal, free_port, get, request};
use running::{PATIENCE, Up, replace};

/// A running `dozen up` with a gateway, and where that, the API and the console listen.
struct Door {
    up: Up,
    ports: [u16; 3],
}

impl Door {
    fn open(routes: &str) -> Self {
        let ports = [free_port(), free_port(), free_port()];
        Self { up: Up::start(&file(ports, routes, ""), &[]).ready(), ports }
    }

    fn write(&self, routes: &str, more: &str) {
        self.up.write(&file(self.ports, routes, more));
    }

    fn hear(&self, text: &str) -> String {
        self.up.hear(text)
    }

    fn get(&self, path: &str) -> u16 {
        get(&format!("http://127.0.0.1:{}{path}", self.ports[0])).unwrap().status
    }
}

fn file([gateway, api, console]: [u16; 3], routes: &str, more: &str) -> String {
    format!(
        "app: test\nconsole: {{ listen: '127.0.0.1:{console}' }}\nregistry: {{ listen: '127.0.0.1:0' }}\napi: {{ listen: '127.0.0.1:{api}' }}\n\
         gateway:\n  listen: 127.0.0.1:{gateway}\n  routes:\n{routes}{more}"
    )
}

const A: &str = "    /a: { answer: { status: 201 } }\n";
const B: &str = "    /b: { answer: { status: 202 } }\n";

#[test]
fn a_changed_file_a_signal_and_a_request_take_over_new_routes_and_a_wrong_file_takes_nothing() {
    let up = Door::open(A);
    assert_eq!((up.get("/a"), up.get("/b")), (201, 404));
    up.write(&format!("{A}{B}"), "");
    up.hear("the file was taken over");
    assert_eq!((up.get("/a"), up.get("/b")), (201, 202));
    let page = get(&format!("http://127.0.0.1:{}/metrics", up.ports[2])).unwrap().text();
    // Twice: what a route has counted stays with it.
    for line in [
        "dozen_gateway_requests_total{route=\"/a\",status=\"2xx\"} 2\n",
        "dozen_gateway_duration_seconds_count{route=\"/a\"} 2\n",
        "dozen_gateway_requests_total{route=\"_none\",status=\"4xx\"} 1\n",
        "dozen_gateway_revision 2\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }

    // All mistakes are told, and what ran goes on.
    up.write("    /a: { anwser: {} }\n    /b: nobody\n", "");
    up.hear("the file is not taken over");
    up.hear("did you mean `answer`?");
    up.hear("there is no service `nobody`");
    let post =
        || request("POST", &format!("http://127.0.0.1:{}/dozen/v1/reload", up.ports[1]), &[], b"").unwrap();
    let refused = post();
    assert_eq!((refused.status, up.get("/b")), (422, 202));
    assert!(refused.text().contains("did you mean `answer`?"), "{}", refused.text());

    // What was started stays what it is, and that is said.
    up.write(B, "topics: { orders: }\n");
    let fixed = post();
    assert!(fixed.text().contains("`topics` cannot change while dozen runs"), "{}", fixed.text());
    assert_eq!((fixed.status, up.get("/a")), (422, 201));

    up.write(B, "");
    let taken: serde_json::Value = serde_json::from_slice(&post().body).unwrap();
    assert_eq!(taken["diff"]["removed"], serde_json::json!(["/a"]));
    assert_eq!((up.get("/a"), up.get("/b")), (404, 202));

    up.write(A, "");
    up.up.signal(Signal::HUP);
    up.hear("the file was taken over");
    assert_eq!((up.get("/a"), up.get("/b")), (201, 404));
}

#[test]
fn diff_says_what_would_change_which_streams_would_end_and_whether_anything_does() {
    let folder = tempfile::tempdir().unwrap();
    let services = "app: a\nservices: { orders: { run: x, port: 1 }, stock: { run: y, port: 2 } }\n";
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("old.yaml", &format!("{services}gateway: {{ routes: {{ /a: orders, /b: stock, /c: orders }} }}\n"));
    file(
        "new.yaml",
        &format!(
            "{services}queues: {{ q: }}\ngateway: {{ routes: {{ /a: orders, /c: {{ to: orders, timeout: 2s }}, /d: orders }} }}\n"
        ),
    );
    file("wrong.yaml", "app: a\nfoo: 1\n");
    let dozen = |arguments: &[&str]| {
        let run =
            Command::new(env!("CARGO_BIN_EXE_dozen")).args(arguments).current_dir(folder.path()).output();
        let run = run.unwrap();
        (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
    };
    assert_eq!(dozen(&["diff", "old.yaml", "old.yaml"]), (0, "nothing changes\n".into()));
    let (code, said) = dozen(&["diff", "old.yaml", "new.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "! `queues` differs: dozen has to be restarted\n- /b\n+ /d\n~ /c: timeout\n\
         x streams of /b to `stock` end within 30s\n- service `stock` gets none any more\n"
    );
    let (code, json) = dozen(&["diff", "old.yaml", "new.yaml", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["closes"][0]["service"]), (1, &serde_json::json!("stock")));
    assert_eq!(json["sections"], serde_json::json!(["queues"]));
    assert_eq!(dozen(&["diff", "old.yaml", "wrong.yaml"]).0, 2);
}

/// Answers every request on every connection with `body`; counts those for `/health`. Gives the port.
fn origin(body: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let probes = Arc::new(AtomicUsize::new(0));
    let counted = probes.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counted = counted.clone();
            std::thread::spawn(move || {
                let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(count @ 1..) = stream.read(&mut chunk) {
                    bytes.extend_from_slice(&chunk[..count]);
                    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                        let head: Vec<u8> = bytes.drain(..end + 4).collect();
                        counted.fetch_add(usize::from(head.starts_with(b"GET /health ")), Ordering::Relaxed);
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (port, probes)
}

#[test]
fn services_that_run_elsewhere_come_move_and_go_while_they_are_asked_and_no_request_fails() {
    let [(one, _), (two, probes)] = [origin("one"), origin("two")];
    let ports = [free_port(), free_port(), free_port()];
    let file = |routes: &str, services: &str| file(ports, routes, &format!("services: {{ {services} }}\n"));
    let at = |port: u16, more: &str| format!("web: {{ at: 'http://127.0.0.1:{port}'{more} }}");
    let up = Up::start(&file("    /: web\n", &at(one, "")), &[]).ready();
    let ask = |path: &str| get(&format!("http://127.0.0.1:{}{path}", ports[0])).unwrap();
    let reload = || {
        let reply =
            request("POST", &format!("http://127.0.0.1:{}/dozen/v1/reload", ports[1]), &[], b"").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()
    };
    assert_eq!(ask("/").text(), "one");
    let load = Load::start(&Asked::of(ports[0], "/"), 4);
    // It moves, and is asked from then on whether it is well.
    up.write(&file("    /: web\n", &at(two, ", probe: { path: /health, interval: 100ms }, timeout: 5s")));
    assert_eq!(reload()["services"]["moved"], serde_json::json!(["web"]));
    assert_eq!(ask("/").text(), "two");
    let begun = Instant::now();
    while probes.load(Ordering::Relaxed) < 2 {
        assert!(begun.elapsed() < PATIENCE, "nobody asks whether it is well");
        std::thread::sleep(Duration::from_millis(10));
    }
    for round in 0..20 {
        // Another comes with its route, and goes with it; what stays moves there and back.
        let extra = format!("{}, more: {{ at: 'http://127.0.0.1:{one}' }}", at([one, two][round % 2], ""));
        up.write(&file("    /: web\n    /more: more\n", &extra));
        assert_eq!(reload()["services"]["added"], serde_json::json!(["more"]));
        assert_eq!(
            (ask("/more").text().as_str(), ask("/").text().as_str()),
            ("one", ["one", "two"][round % 2])
        );
        up.write(&file("    /: web\n", &at([two, one][round % 2], "")));
        assert_eq!(reload()["services"]["removed"], serde_json::json!(["more"]));
        assert_eq!((ask("/more").status, ask("/").text().as_str()), (404, ["two", "one"][round % 2]));
    }
    load.passes(100);
    let served = load.end().unwrap();
    assert_eq!(served.connections, 4, "a reload closed a connection: {served:?}");
    // Nobody probes it any more, and nobody finds what is gone.
    let page = get(&format!("http://127.0.0.1:{}/metrics", ports[2])).unwrap().text();
    assert!(page.contains("service=\"web\"") && !page.contains("service=\"more\""), "{page}");
}

#[test]
fn a_file_that_the_file_names_is_read_again_when_it_changes() {
    let ports = [free_port(), free_port(), free_port()];
    let routes = "    /a: { answer: { status: 200, body: '${file:word}' } }\n";
    let up = Up::beside(&[("word", "one\n")], &file(ports, routes, ""), &[]).ready();
    let ask = || get(&format!("http://127.0.0.1:{}/a", ports[0])).unwrap().text();
    assert_eq!(ask(), "one");
    replace(up.folder.path(), "word", b"two\n");
    up.hear("the file was taken over");
    assert_eq!(ask(), "two");
    // One that is gone is no reason to stop, and is looked for until it is there again.
    std::fs::remove_file(up.folder.path().join("word")).unwrap();
    up.hear("the file is not taken over");
    assert_eq!(ask(), "two");
    replace(up.folder.path(), "word", b"three\n");
    up.hear("the file was taken over");
    assert_eq!(ask(), "three");
    // A secret of what was started cannot change under it, and that is said.
    up.write(&file(
        ports,
        routes,
        "services: { web: { run: [sleep, '60'], env: { WORD: '${file:word}' } } }\n",
    ));
    up.hear("what dozen runs for the service `web` cannot change while dozen runs");
}
