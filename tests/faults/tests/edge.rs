//! The gateway among clients who mean no good, and among changes: a client who means well is served all the time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod door;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::{Duration, Instant};

use door::{Door, KEY, listen};
use dozen_faults::PATIENCE;
use dozen_harness::{Asked, Load, ensure_debian, get};

/// How long the file is changed under load; `DOZEN_RELOAD_SECONDS` makes it longer, 60 for a release.
const RELOAD_SECONDS: u64 = 5;

/// Runs a program that Debian has, to its end; gives what it wrote. `None`, said on the output, where there is none.
fn debian(package: &str, program: &str, arguments: &[&str]) -> Option<String> {
    if let Err(why) = ensure_debian(&[package]) {
        println!("skipped: {why}");
        return None;
    }
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().unwrap();
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Memory may grow by this much over the time of a test: allocators keep what they had, and SQLite its cache.
const GROWTH_MAX: u64 = 8 << 20;

#[test]
fn a_reload_every_100_ms_under_load_of_http1_and_http2_fails_no_request_and_keeps_memory_flat() {
    let door = Door::open();
    let seconds = std::env::var("DOZEN_RELOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(RELOAD_SECONDS);
    let keyed = Asked { headers: format!("x-api-key: {KEY}\r\n"), ..Asked::of(door.gateway, "/key") };
    let loads = [
        ("plain", door.load(2)),
        ("with a key and a limit", Load::start(&keyed, 2)),
        ("composed", Load::start(&Asked::of(door.gateway, "/both"), 2)),
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let streams: Vec<_> = (0..4).map(|_| listen(door.gateway, stop.clone())).collect();
    let url = format!("http://127.0.0.1:{}/", door.gateway);
    let http2 = {
        let seconds = seconds.to_string();
        spawn(move || debian("nghttp2-client", "h2load", &["-D", &seconds, "-c", "4", "-m", "8", &url]))
    };
    let begun = Instant::now();
    let (mut reloads, mut before) = (0_u64, None);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let next = begun + Duration::from_millis(100 * (reloads + 1));
        reloads += 1;
        door.reload(reloads);
        if begun.elapsed() > Duration::from_secs(seconds) / 3 {
            before.get_or_insert_with(|| door.memory());
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let (before, after) = (before.unwrap(), door.memory());
    println!("{reloads} reloads; {} KiB, then {} KiB", before >> 10, after >> 10);
    for (what, load) in loads {
        let served = load.end().unwrap();
        println!("{what}: {served:?}");
        assert_eq!(served.connections, 2, "a reload closed a connection: {served:?}");
    }
    stop.store(true, Ordering::Relaxed);
    for stream in streams {
        let heard = stream.join().unwrap().unwrap();
        println!("a stream of {heard} events");
        assert!(heard as u64 > seconds * 10, "{heard} events in {seconds} s");
    }
    assert!(reloads >= seconds * 5, "{reloads} reloads in {seconds} s");
    assert!(after < before + GROWTH_MAX, "{before} bytes became {after}");
    if let Some(told) = http2.join().unwrap() {
        let line =
            told.lines().find(|line| line.starts_with("requests: ")).unwrap_or_else(|| panic!("{told}"));
        println!("{line}");
        assert!(line.contains(" 0 failed, 0 errored, 0 timeout"), "{told}");
        assert!(!line.contains(" 0 succeeded"), "{told}");
    }
    door.up.stop();
}

#[test]
fn slow_heads_slow_bodies_and_slow_readers_keep_nobody_else_waiting() {
    let door = Door::open();
    let url = format!("http://127.0.0.1:{}/", door.gateway);
    let before = door.memory();
    let load = door.load(2);
    let attacks = [
        &["-H"][..],                                         // a head that never ends
        &["-B", "-s", "65536"],                              // a body that never ends
        &["-X", "-w", "1", "-y", "2", "-z", "1", "-n", "1"], // a reader that takes a byte at a time
    ];
    let attacks = attacks.map(|attack| {
        let arguments = ["-c", "300", "-r", "300", "-i", "1", "-l", "4", "-p", "2", "-u", &url];
        let arguments: Vec<String> = attack.iter().chain(&arguments).map(|word| (*word).to_owned()).collect();
        spawn(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            debian("slowhttptest", "slowhttptest", &arguments)
        })
    });
    for attack in attacks {
        let Some(told) = attack.join().unwrap() else { continue };
        // It asks by itself, too, whether others are still served.
        let available = told.lines().rfind(|line| line.contains("service available:"));
        let available = available.unwrap_or_else(|| panic!("{told}"));
        assert!(available.contains("YES"), "{told}");
    }
    let served = load.end().unwrap();
    println!("{served:?}; {} KiB, then {} KiB", before >> 10, door.memory() >> 10);
    assert!(served.answered > 1000, "{served:?}");
    assert!(door.memory() < before + (64 << 20), "900 connections cost {} bytes", door.memory() - before);
    door.up.stop();
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /` of `a`, from the static table of HPACK and one literal.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

/// Opens and resets streams as fast as it goes (CVE-2023-44487). Gives how many, and whether the server ended it.
fn rapid_reset(port: u16, streams: u32) -> (u32, bool) {
    let mut wire = TcpStream::connect(("127.0.0.1", port)).unwrap();
    wire.set_read_timeout(Some(PATIENCE)).unwrap();
    wire.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    wire.write_all(&frame(4, 0, 0, &[])).unwrap();
    let mut reader = wire.try_clone().unwrap();
    // Whatever comes is read, up to the end of the connection or to a GOAWAY.
    let ended = spawn(move || {
        let mut head = [0; 9];
        while reader.read_exact(&mut head).is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if head[3] == 7 || reader.read_exact(&mut payload).is_err() {
                break;
            }
        }
    });
    let mut sent = 0;
    while sent < streams {
        let burst: Vec<u8> = (sent..sent + 100)
            .flat_map(|number| {
                let stream = 2 * number + 1;
                [frame(1, 0x5, stream, GET), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
            })
            .collect();
        if wire.write_all(&burst).is_err() {
            return (sent, true);
        }
        sent += 100;
    }
    let was_ended = ended.is_finished();
    let _ = wire.shutdown(std::net::Shutdown::Both);
    ended.join().unwrap();
    (sent, was_ended)
}

#[test]
fn streams_that_are_reset_as_fast_as_they_are_opened_cost_their_connection_and_nobody_else() {
    let door = Door::open();
    let load = door.load(2);
    load.passes(200);
    let before = door.memory();
    let attacks: Vec<_> = (0..8)
        .map(|_| {
            spawn({
                let port = door.gateway;
                move || rapid_reset(port, 20_000)
            })
        })
        .collect();
    let begun = Instant::now();
    load.passes(500);
    assert!(begun.elapsed() < Duration::from_secs(20), "500 requests took {:?}", begun.elapsed());
    for attack in attacks {
        let (sent, was_ended) = attack.join().unwrap();
        println!("after {sent} resets: {was_ended}");
        assert!(was_ended, "{sent} streams were reset, and the connection lives");
    }
    let served = load.end().unwrap();
    println!("{served:?}; {} KiB, then {} KiB", before >> 10, door.memory() >> 10);
    assert!(door.memory() < before + (32 << 20), "{before} bytes became {}", door.memory());
    assert_eq!(get(&format!("http://127.0.0.1:{}/", door.gateway)).unwrap().status, 200);
    door.up.stop();
}
