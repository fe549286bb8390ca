//! Another binary takes over from a running `dozen up`, and nobody who asks notices.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod running;

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use dozen_harness::{Asked, Load, Signal, free_port, get, request, wait_until_listening};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use running::{PATIENCE, Up, install};

/// A door to a service of Python's standard library, which tells its process.
struct World {
    up: Up,
    gateway: u16,
    registry: u16,
}

const SERVICE: &str = r#"
import os, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
print("service begins", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn file(gateway: u16, registry: u16, service: u16, more: &str) -> String {
    format!(
        "app: test\nstore: 'sqlite:a.db'\nconsole: false\napi: false\nregistry: {{ listen: '127.0.0.1:{registry}' }}\n\
         services:\n  web: {{ run: [python3, web.py], port: {service}, health: /, sidecar: false }}\n  \
           once: {{ run: [sh, -c, 'echo did it once'], restart: never, sidecar: false }}\n\
         gateway:\n  listen: 127.0.0.1:{gateway}\n  routes: {{ /: web }}\n{more}"
    )
}

impl World {
    fn start() -> (Self, u16) {
        let [gateway, registry, service] = [free_port(), free_port(), free_port()];
        let up = Up::start_copy(&file(gateway, registry, service, ""), &[("web.py", SERVICE)]).ready();
        (Self { up, gateway, registry }, service)
    }

    fn ask(&self) -> String {
        get(&format!("http://127.0.0.1:{}/", self.gateway)).unwrap().text()
    }

    /// Has the program on disk take over; returns when the old process has ended.
    fn succeed(&self) {
        self.up.signal(Signal::USR2);
        self.up.hear("has taken over; finishing what is in flight");
        assert!(self.up.program.wait_exit(PATIENCE).unwrap().success());
    }

    /// The process that listens for the gateway now.
    fn heir(&self) -> u32 {
        let told = self.up.program.output();
        let line = told.lines().rfind(|line| line.contains(" has taken over;")).unwrap();
        line.split_whitespace().skip_while(|word| *word != "process").nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn another_binary_takes_over_under_load_without_a_failed_request_and_the_services_run_on() {
    let (world, _) = World::start();
    let service = world.ask();
    let other = format!("http://127.0.0.1:{}/dozen/v1/services/other", world.registry);
    let address = br#"{"address": "127.0.0.1:9"}"#;
    let registered = request("PUT", &format!("{other}/instances/one"), &[], address).unwrap();
    assert!(registered.status < 300, "{}", registered.text());
    let load = Load::start(&Asked::of(world.gateway, "/"), 8);
    load.passes(200);
    // A newer binary has been put in its place.
    install(Path::new(env!("CARGO_BIN_EXE_dozen")), &world.up.folder.path().join("dozen"));
    world.succeed();
    load.passes(200);
    let served = load.end().unwrap();
    assert!(served.answered > 400 && served.connections >= 16, "{served:?}");

    assert_eq!(world.ask(), service, "the service was started again");
    let heir = world.heir();
    let told = world.up.program.output();
    assert_eq!(told.matches("service begins").count(), 1, "{told}");
    assert_eq!(told.matches("did it once").count(), 1, "what has ended for good was started again:\n{told}");
    let known = get(&other).unwrap().text();
    assert!(known.contains("127.0.0.1:9"), "what had registered itself is forgotten: {known}");

    // The heir owns the service: it starts it again when it crashes, and stops it with itself.
    kill(service.parse().unwrap(), "KILL");
    world.up.hear("web: ended; how is not known, because an earlier dozen started it");
    world.up.hear("web: healthy after ");
    assert_ne!(world.ask(), service);
    kill(heir, "TERM");
    let told = world.up.program.output_to_the_end(PATIENCE).unwrap();
    assert!(told.trim_end().ends_with("stopped"), "{told}");
}

fn kill(process: u32, signal: &str) {
    let done = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
    assert!(done.success());
}

/// Asks on one connection after the other, as RFC 9113 has it: what was sent before a GOAWAY is answered, and what
/// could not be sent any more goes to the next connection. Ends when `enough` says so; gives the number of connections.
async fn ask_by_http2(port: u16, enough: impl Fn() -> bool, answered: impl Fn()) -> usize {
    let mut connections = 0;
    while !enough() {
        connections += 1;
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let several = (0..4).map(|_| {
            let (mut sender, enough, answered) = (sender.clone(), &enough, &answered);
            async move {
                while !enough() && sender.ready().await.is_ok() {
                    let uri = format!("http://127.0.0.1:{port}/");
                    let request = hyper::Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
                    let answer = match sender.try_send_request(request).await {
                        Ok(answer) => answer,
                        // It comes back if it could not be sent any more.
                        Err(mut failed) => match failed.take_message() {
                            Some(_) => continue,
                            None => panic!("a request was lost: {:?}", failed.into_error()),
                        },
                    };
                    assert_eq!(answer.status(), 200);
                    answer.into_body().collect().await.expect("a whole answer");
                    answered();
                }
            }
        });
        futures::future::join_all(several).await;
        drop(sender);
        let _ = driver.await;
    }
    connections
}

#[test]
fn requests_of_http2_move_to_the_heir_without_a_lost_one() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    static DONE: AtomicBool = AtomicBool::new(false);
    static ANSWERED: AtomicUsize = AtomicUsize::new(0);
    let (world, _) = World::start();
    let port = world.gateway;
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (enough, answered) =
            (|| DONE.load(Ordering::Relaxed), || _ = ANSWERED.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(ask_by_http2(port, enough, answered))
    });
    let passes = |count: usize| {
        let until = ANSWERED.load(Ordering::Relaxed) + count;
        while ANSWERED.load(Ordering::Relaxed) < until && !asking.is_finished() {
            std::thread::yield_now();
        }
    };
    passes(200);
    world.succeed();
    passes(200);
    DONE.store(true, Ordering::Relaxed);
    assert_eq!(asking.join().unwrap(), 2, "one connection to each process");
}

#[test]
fn a_binary_that_cannot_take_over_is_told_and_what_ran_goes_on() {
    let (world, port) = World::start();
    let service = world.ask();
    let load = Load::start(&Asked::of(world.gateway, "/"), 4);
    let dozen = world.up.folder.path().join("dozen");
    for (content, why) in [
        (&b"#!/bin/sh\nexit 7\n"[..], "ended with exit status 7 before it had taken over"),
        (b"#!/bin/sh\nkill -9 $$\n", "was ended by signal 9 (KILL) before it had taken over"),
        (b"no program at all", "cannot start `"),
    ] {
        let other = world.up.folder.path().join("other");
        std::fs::write(&other, content).unwrap();
        install(&other, &dozen);
        world.up.signal(Signal::USR2);
        let line = world.up.hear("no other process takes over, and what ran goes on: ");
        assert!(line.contains(why), "{line}");
        load.passes(50);
    }
    // A file that nobody could begin with is not even tried.
    world.up.write(&file(world.gateway, world.registry, port, "queus: { q: }\n"));
    world.up.signal(Signal::USR2);
    world.up.hear("no other process takes over, and what ran goes on: ");
    world.up.hear("did you mean `queues`?");
    load.passes(50);
    load.end().unwrap();
    assert_eq!(world.ask(), service);
    let told = world.up.stop().join("\n");
    assert_eq!(told.matches("service begins").count(), 1, "{told}");
}

#[test]
fn the_guard_outlives_the_hand_over_and_a_killed_heir_leaves_nothing_behind() {
    let (world, port) = World::start();
    world.succeed();
    world.succeed_again();
    kill(world.heir(), "KILL");
    // The end of the output is the end of everybody who could write to it.
    world.up.program.output_to_the_end(PATIENCE).unwrap();
    // A process that ends closes its output before its sockets.
    let begun = std::time::Instant::now();
    while wait_until_listening(port, std::time::Duration::ZERO).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the service lives on");
    }
}

impl World {
    /// The heir hands over, too.
    fn succeed_again(&self) {
        self.told(" is up;", 2);
        let heir = self.heir();
        kill(heir, "USR2");
        // Two processes say these, so nobody knows which comes first.
        self.told(" is up;", 3);
        self.told("has taken over;", 2);
        assert_ne!(self.heir(), heir);
    }

    /// Returns when so many lines have told this.
    fn told(&self, text: &str, times: usize) {
        let begun = std::time::Instant::now();
        while self.up.program.output().matches(text).count() < times {
            assert!(begun.elapsed() < PATIENCE, "{}", self.up.program.output());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn the_service_manager_hears_which_process_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let up = Up::start(
        "app: test\nconsole: false\napi: false\nregistry: { listen: '127.0.0.1:0' }\n",
        &[("NOTIFY_SOCKET", path.to_str().unwrap())],
    );
    let mut message = [0; 256];
    let mut hear = || {
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let of = |pid: u32| format!("MAINPID={pid}\nREADY=1\n");
    assert_eq!(hear(), of(up.program.pid()));
    up.signal(Signal::USR2);
    let line = up.hear("has taken over;");
    let heir = line.split_whitespace().skip_while(|word| *word != "process").nth(1).unwrap().parse().unwrap();
    assert_eq!(hear(), of(heir));
}

#[test]
fn a_file_that_runs_other_services_is_named_by_the_reload_and_taken_over_by_another_process() {
    let (world, service) = World::start();
    let process = world.ask();
    let [other, gone] = [free_port(), free_port()];
    let before = file(world.gateway, world.registry, service, "queues: { q: }\n");
    let more = |services: &str, routes: &str| {
        let services = format!("services:\n{services}");
        before.replacen("services:\n", &services, 1).replace("/: web", &format!("/: web{routes}"))
    };
    let changing = |text: &str| {
        format!(
            "  changing: {{ run: [python3, web.py, {text}], port: {other}, health: /, sidecar: false }}\n"
        )
    };
    let routes = ", /changing: changing";
    // The first hand-over starts what is new: nothing of it needs a restart of `web`.
    let first =
        format!("{}  gone: {{ run: [python3, web.py], port: {gone}, sidecar: false }}\n", changing("one"));
    world.up.write(&more(&first, routes));
    let refused = world.up.hear("the file is not taken over, and what ran goes on: ");
    for what in ["`queues`", "what dozen runs for the service `changing`", "`gone`", "SIGUSR2"] {
        assert!(refused.contains(what), "{refused}");
    }
    world.succeed();
    // Nobody knows which comes first.
    world.told("changing: healthy after ", 1);
    world.told("gone: healthy after ", 1);
    let ask = |path: &str| get(&format!("http://127.0.0.1:{}{path}", world.gateway)).unwrap();
    let one = ask("/changing").text();
    assert_eq!(world.ask(), process, "the service was started again");

    // The next one starts one of them in another way, and the other not at all.
    world.up.write(&more(&changing("two"), routes));
    let refused = world.up.hear("the file is not taken over, and what ran goes on: ");
    assert!(
        refused.contains("`changing`, what dozen runs for the service `gone` cannot change"),
        "{refused}"
    );
    kill(world.heir(), "USR2");
    world.told("has taken over;", 2);
    world.told("changing: healthy after ", 2);
    let two = ask("/changing").text();
    assert!(one != two && two.parse::<u32>().is_ok(), "{one}, then {two}");
    let begun = std::time::Instant::now();
    while wait_until_listening(gone, std::time::Duration::ZERO).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "what the file has no more lives on");
    }
    assert_eq!(world.ask(), process, "the service was started again");
    kill(world.heir(), "TERM");
    let told = world.up.program.output_to_the_end(PATIENCE).unwrap();
    assert_eq!(told.matches("service begins").count(), 4, "{told}");
    assert_eq!(told.matches("did it once").count(), 1, "{told}");
}
