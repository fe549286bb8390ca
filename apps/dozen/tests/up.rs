//! `dozen up` with real processes: what its children live through, and what the user reads of it.
//!
//! The services are `sh`, and this very test binary in the role of a server (see [`act`]). Nothing here sleeps: each
//! test waits for a line of the output or for the end of a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod running;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use dozen_harness::{Signal, free_port};
use running::{PATIENCE, Up};
use rustix::process::{Pid, test_kill_process};

/// Runs `services` (the lines below `services:`) with every listener on a port of the system's choice.
fn start(services: &str) -> Up {
    let head = "app: test\nconsole: false\napi: false\nregistry: { listen: '127.0.0.1:0' }\nlimits: { stop-deadline: 3s }\n";
    // A sidecar would take a port that another test may have.
    let services = match services.contains("sidecar:") {
        true => services.to_owned(),
        false => services.replace("{ run:", "{ sidecar: false, run:"),
    };
    Up::start(&format!("{head}services:\n{services}\n"), &[])
}

/// The process id that a line `NAME: started as process PID` tells.
fn started(up: &Up, name: &str) -> Pid {
    let line = up.hear(&format!("{name}: started as process "));
    pid(line.rsplit(' ').next().unwrap())
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap_or_else(|_| panic!("`{text}` is no process"))).unwrap()
}

/// Returns when the process is gone. A process that somebody still has to reap counts as gone.
fn gone(pid: Pid) {
    let until = Instant::now() + PATIENCE;
    let zombie = || {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    };
    while test_kill_process(pid).is_ok() && !zombie() {
        assert!(Instant::now() < until, "process {pid:?} lives on");
        std::thread::yield_now();
    }
}

/// A service line: this binary as the server `act`, with a free port.
fn server(name: &str, extra: &str) -> (String, u16) {
    let (port, exe) = (free_port(), std::env::current_exe().unwrap());
    let line = format!(
        "  {name}: {{ run: [\"{}\", act, --exact, --nocapture], port: {port}, env: {{ ACT: serve }}{extra} }}\n",
        exe.display()
    );
    (line, port)
}

/// Not a test of its own: the server that other tests start. It tells its environment and answers everything with 200,
/// except `/ill`, which gets 503.
#[test]
fn act() {
    if std::env::var("ACT").as_deref() != Ok("serve") {
        return;
    }
    for name in [
        "PORT",
        "APP_PORT",
        "APP_ID",
        "DAPR_HTTP_PORT",
        "DAPR_HTTP_ENDPOINT",
        "DOZEN_URL",
        "DOZEN_STORE",
        "DOZEN_SERVICE",
        "DOZEN_REGISTRY",
        "DAPR_GRPC_PORT",
    ] {
        println!("{name}={}", std::env::var(name).unwrap_or("(none)".into()));
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT").unwrap())).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap_or(0);
        let status = if request[..length].starts_with(b"GET /ill") { "503 Ill" } else { "200 OK" };
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    }
}

#[test]
fn a_service_is_started_with_its_environment_shown_in_the_table_and_stopped() {
    let sidecar = free_port();
    let (line, port) = server("web", &format!(", health: /healthz, sidecar: {{ port: {sidecar} }}"));
    let up = start(&line);
    let process = started(&up, "web");
    for (name, value) in [
        ("PORT", port.to_string()),
        ("APP_PORT", port.to_string()),
        ("APP_ID", "web".into()),
        ("DAPR_HTTP_PORT", sidecar.to_string()),
        ("DAPR_HTTP_ENDPOINT", format!("http://127.0.0.1:{sidecar}")),
        ("DOZEN_URL", format!("http://127.0.0.1:{sidecar}")),
        ("DOZEN_STORE", format!("sqlite:{}/dozen.db", up.folder.path().display())),
        ("DOZEN_SERVICE", "web".into()),
        ("DOZEN_REGISTRY", "http://127.0.0.1:0".into()),
        ("DAPR_GRPC_PORT", "(none)".into()),
    ] {
        let line = up.hear(&format!("{name}="));
        assert!(line.starts_with("web ") && line.ends_with(&format!("│ {name}={value}")), "{line}");
    }
    up.hear("web: healthy after ");
    let row = up.hear(&format!("http://127.0.0.1:{port}"));
    assert!(row.contains(&format!("http://127.0.0.1:{sidecar}")) && row.ends_with("healthy"), "{row}");
    assert!(row.contains(&process.as_raw_nonzero().to_string()), "{row}");
    up.stop();
    gone(process);
}

#[test]
fn several_instances_have_names_of_their_own() {
    let up = start("  w: { run: \"sh -c 'echo i am here; exec sleep 600'\", instances: 2 }");
    let mut names = [0, 1].map(|_| up.hear("i am here").split(' ').next().map(str::to_owned));
    names.sort();
    assert_eq!(names, [Some("w.1".into()), Some("w.2".into())]);
    up.stop();
}

#[test]
fn a_crashed_service_is_started_again_and_it_is_said_how_it_ended() {
    let up = start("  a: { run: \"sh -c 'exit 3'\" }\n  b: { run: \"sh -c 'kill -9 $$'\" }");
    up.hear("a: ended with exit status 3; starting it again in 0.");
    started(&up, "a");
    up.stop();
    let up = start("  b: { run: \"sh -c 'kill -9 $$'\" }\n  c: { run: \"sh -c 'exit 0'\", restart: never }");
    up.hear("b: was ended by signal 9 (KILL); starting it again in ");
    up.stop();
    let up = start("  c: { run: \"sh -c 'exit 0'\", restart: never }");
    up.hear("c: ended with exit status 0; not started again (`restart: never`)");
    up.stop();
}

#[test]
fn what_a_crashed_service_left_behind_goes_with_it() {
    let up = start("  a: { run: \"sh -c 'sleep 600 & echo left $!; exit 1'\" }");
    let left = up.hear("left ");
    gone(pid(left.rsplit(' ').next().unwrap()));
    up.stop();
}

#[test]
fn a_service_that_never_becomes_healthy_is_told_with_its_last_lines_and_the_rest_runs_on() {
    let (fine, _) = server("fine", "");
    let (ill, ill_port) = server("ill", ", health: /ill, start-timeout: 300ms");
    let deaf_port = free_port();
    let up = start(&format!(
        "{fine}{ill}  deaf: {{ run: \"sh -c 'echo warming up; exec sleep 600'\", port: {deaf_port}, start-timeout: 1s }}"
    ));
    let line = up.hear("ill: `");
    assert!(
        line.contains(&format!("did not answer GET /ill on port {ill_port} with 2xx within 0.3s")),
        "{line}"
    );
    assert!(
        line.contains("last attempt: it answered 503") || line.contains("nobody listens there"),
        "{line}"
    );
    let line = up.hear("deaf: `");
    assert!(
        line.contains(&format!("did not listen on port {deaf_port} within 1s (`start-timeout`); last attempt: nobody listens there; its last lines:")),
        "{line}"
    );
    up.hear("dozen │     warming up");
    up.hear("starting it again in ");
    let heard = up.stop();
    let crashed = |line: &String| line.contains("fine: ended") || line.contains("fine: was ended");
    assert!(!heard.iter().any(crashed), "{}", heard.join("\n"));
}

#[test]
fn a_command_that_does_not_exist_is_told_with_where_it_was_looked_for() {
    let up = start("  a: { run: ./nothing }\n  b: { run: no-such-program-anywhere }");
    let folder = std::fs::canonicalize(up.folder.path()).unwrap();
    let first = up.hear("cannot start `");
    let second = up.hear("cannot start `");
    let both = format!("{first}\n{second}");
    assert!(both.contains(&format!("there is no file `./nothing` in {}", folder.display())), "{both}");
    assert!(
        both.contains("there is no program `no-such-program-anywhere` in the folders of PATH: /"),
        "{both}"
    );
    up.stop();
}

#[test]
fn a_port_that_somebody_has_is_told_and_not_mistaken_for_a_healthy_service() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let up = start(&format!("  a: {{ run: sleep 600, port: {port} }}"));
    let line = up.hear("a: cannot start it on port ");
    assert!(line.contains("in use") && line.contains("or choose another `port`"), "{line}");
    up.stop();
}

#[test]
fn services_stop_in_the_reverse_order_of_their_start() {
    let polite = |name: &str| {
        format!(
            "  {name}: {{ run: [sh, -c, \"trap 'echo bye; exit 0' TERM; echo here; while :; do sleep 0.05; done\"] }}\n"
        )
    };
    let up = start(&["one", "two", "three"].map(polite).concat());
    for _ in 0..3 {
        up.hear("│ here");
    }
    let heard = up.stop();
    let byes: Vec<&str> = heard
        .iter()
        .filter(|line| line.ends_with("│ bye"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(byes, ["three", "two", "one"]);
}

const DEAF: &str = "  deaf: { run: [sh, -c, \"trap '' TERM; echo here; while :; do sleep 0.05; done\"] }\n";

#[test]
fn a_deaf_service_is_killed_at_the_deadline_and_named() {
    let up = start(DEAF);
    let process = started(&up, "deaf");
    up.hear("│ here");
    up.signal(Signal::INT);
    up.hear("deaf: did not end in time; killed");
    let (status, told) = up.end();
    assert_eq!(status.code(), Some(1), "{told}");
    gone(process);
}

#[test]
fn a_second_signal_cuts_at_once() {
    let up = start(DEAF);
    let process = started(&up, "deaf");
    up.hear("│ here");
    up.signal(Signal::INT);
    up.hear("stopping; a second signal cuts at once");
    up.signal(Signal::INT);
    let (status, told) = up.end();
    assert_eq!(status.code(), Some(130), "{told}");
    gone(process);
}

#[test]
fn kill_9_of_dozen_takes_the_services_and_what_they_started_with_it() {
    let up = start("  a: { run: \"sh -c 'sleep 600 & echo grandchild $!; wait'\" }");
    let child = started(&up, "a");
    let grandchild = pid(up.hear("grandchild ").rsplit(' ').next().unwrap());
    up.signal(Signal::KILL);
    gone(child);
    gone(grandchild);
}

#[test]
fn long_and_binary_lines_are_made_fit_to_be_read() {
    let up = start(
        "  a: { run: [sh, -c, \"printf '\\\\033[31mred\\\\377\\\\n'; head -c 20000 /dev/zero | tr '\\\\0' x; echo; exec sleep 600\"] }",
    );
    let line = up.hear("red");
    assert!(line.ends_with("│ \\x1b[31mred\\xff"), "{line}");
    up.hear("x … (3616 bytes more)");
    up.stop();
}

/// Runs `dozen` with arguments, in `folder`.
fn dozen(folder: &std::path::Path, arguments: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_dozen")).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn exit_codes_tell_wrong_use_from_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| std::fs::write(folder.path().join("dozen.yaml"), text).unwrap();
    let (code, _, told) = dozen(folder.path(), &["up"]);
    assert_eq!(code, 2);
    assert!(
        told.starts_with("error: there is no file `dozen.yaml`") && told.contains("  app: shop\n"),
        "{told}"
    );
    assert_eq!(dozen(folder.path(), &["fly"]).0, 2);
    file("app: a\nqueue: {}\n");
    for verb in ["up", "check"] {
        let (code, _, told) = dozen(folder.path(), &[verb]);
        assert_eq!(code, 2);
        assert!(told.contains("did you mean `queues`?"), "{told}");
    }
    file("app: a\nservices: { far: { at: 'http://127.0.0.1:9' } }\n");
    let (code, said, _) = dozen(folder.path(), &["check"]);
    assert_eq!((code, said.as_str()), (0, "dozen.yaml is correct: 1 service\n"));
    let (code, said, _) = dozen(folder.path(), &["service", "list"]);
    assert_eq!(code, 0);
    assert!(said.contains("far") && said.contains("nobody listens there"), "{said}");
    let (code, said, _) = dozen(folder.path(), &["--help"]);
    assert_eq!(code, 0);
    assert!(
        said.contains("Exit codes: 0 all is well, 1 it failed, 2 the arguments or the file are wrong."),
        "{said}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = dozen(folder.path(), &["completion", shell]);
        assert!(code == 0 && script.contains("dozen"));
    }
    let (code, schema, _) = dozen(folder.path(), &["check", "--schema"]);
    assert!(code == 0 && serde_json::from_str::<serde_json::Value>(&schema).is_ok());
}
