//! A file that changes while `dozen up` runs, and what `dozen diff` says of it before.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod running;

use std::process::Command;

use dozen_harness::{Signal, free_port, get, request};
use running::Up;

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
