//! The harness on real programs: what it starts, it can watch, signal, and always get rid of.

use std::process::Command;
use std::time::{Duration, Instant};

use dozen_harness::{Program, Signal, free_port, wait_until_listening};

const LONG: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Program {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Program::start("script", command).expect("a shell is on the path")
}

#[test]
fn lines_of_both_streams_are_seen_and_a_missing_one_shows_what_came_instead() {
    let program = shell("echo one; echo two >&2; sleep 600");
    assert_eq!(program.wait_for_line("tw", LONG).unwrap(), "two");
    assert_eq!(program.wait_for_line("one", LONG).unwrap(), "one");
    let error = program.wait_for_line("three", Duration::from_millis(1)).unwrap_err();
    assert!(error.contains("one") && error.contains("two"), "{error}");
}

#[test]
fn a_program_that_ends_is_not_waited_for() {
    let program = shell("echo bye; exit 3");
    let started = Instant::now();
    assert!(program.wait_for_line("never", LONG).is_err());
    assert_eq!(program.wait_exit(LONG).unwrap().code(), Some(3));
    assert!(!program.is_running());
    assert!(program.signal(Signal::TERM).unwrap_err().contains("has ended"));
    assert!(started.elapsed() < LONG);
}

#[test]
fn a_signal_reaches_it() {
    let program = shell("trap 'echo caught; exit 0' TERM; echo armed; while :; do sleep 0.05; done");
    program.wait_for_line("armed", LONG).unwrap();
    program.signal(Signal::TERM).unwrap();
    assert!(program.wait_exit(LONG).unwrap().success());
    assert!(program.output().contains("caught"));
}

#[test]
fn dropping_it_kills_its_children_too() {
    let program = shell("sleep 600 & echo child $!; wait");
    let line = program.wait_for_line("child ", LONG).unwrap();
    let child: i32 = line.trim_start_matches("child ").parse().unwrap();
    drop(program);
    // The kill is sent, but the orphan is reaped by init in its own time: gone, or a zombie, is dead.
    let stat = format!("/proc/{child}/stat");
    let is_dead = || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z"));
    let deadline = Instant::now() + LONG;
    while !is_dead() {
        assert!(Instant::now() < deadline, "the grandchild survived");
        std::thread::yield_now();
    }
}

#[test]
fn a_chatty_program_is_kept_in_bounds() {
    let program = shell("i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done; echo end");
    program.wait_for_line("end", LONG).unwrap();
    let output = program.output();
    assert!(output.lines().count() <= 4000);
    assert!(output.contains("line 8999") && !output.contains("line 1\n"));
}

#[test]
fn ports_are_free_distinct_and_can_be_waited_for() {
    let (one, two) = (free_port(), free_port());
    assert_ne!(one, two);
    assert!(wait_until_listening(one, Duration::ZERO).is_err());
    let _listener = std::net::TcpListener::bind(("127.0.0.1", one)).unwrap();
    wait_until_listening(one, LONG).unwrap();
}
