//! Installs what is missing from Debian's packages, and says so.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::run::{Step, cargo, step};

/// A program, and the package that has it.
type Tool = (&'static str, &'static str);

/// What the tests start: a browser and its driver, Python for the shop's mailer, a PostgreSQL server and a pooler.
pub(crate) fn for_tests() -> Step {
    packages(&[
        ("chromium", "chromium"),
        ("chromedriver", "chromium-driver"),
        ("python3", "python3"),
        ("pg_ctlcluster", "postgresql"),
        ("pgbouncer", "pgbouncer"),
    ])
}

/// The peers that the measurements of a suite compare with.
pub(crate) fn for_benches(suite: &str) -> Step {
    let redis = ("redis-server", "redis-server");
    match suite {
        "messages" => {
            let (rabbitmq, nats) = (("rabbitmq-server", "rabbitmq-server"), ("nats-server", "nats-server"));
            packages(&[redis, rabbitmq, nats, ("pg_ctlcluster", "postgresql")])
        }
        "edge" => {
            let proxies = [("nginx", "nginx-light"), ("haproxy", "haproxy"), ("python3", "python3-venv")];
            packages(&proxies)?;
            packages(&[("wrk", "wrk")])
        }
        _ => packages(&[redis, ("python3", "python3")]),
    }
}

/// `cargo deny`, built from its crate.
pub(crate) fn deny() -> Step {
    if found("cargo-deny") {
        return Ok(());
    }
    eprintln!("── cargo-deny is missing; installing it (a few minutes, once)");
    step("install", cargo(&["install", "cargo-deny", "--locked"]))
}

fn packages(tools: &[Tool]) -> Step {
    let missing: Vec<&str> =
        tools.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("── missing: {}; installing from Debian's packages", missing.join(", "));
    if !found("apt-get") {
        return Err(format!("there is no apt-get here; install these by hand: {}", missing.join(", ")));
    }
    step("install", as_root("apt-get", &["update"]))?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(&missing);
    let mut command = as_root("apt-get", &words);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // A package starts its server after installation; ours are started by those who need them. A policy that stands
    // there already is its owner's, and stays.
    let guard = "test ! -e /usr/sbin/policy-rc.d && printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d \
                 && chmod +x /usr/sbin/policy-rc.d";
    let is_ours = as_root("sh", &["-c", guard]).status().is_ok_and(|status| status.success());
    let installed = step("install", command);
    if is_ours {
        let _ = as_root("rm", &["-f", "/usr/sbin/policy-rc.d"]).status();
    }
    installed
}

/// The command as it is for root, through `sudo` for others.
fn as_root(program: &str, words: &[&str]) -> Command {
    // `id` knows; asking the kernel directly would need a crate.
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    let mut command = if root || !found("sudo") { Command::new(program) } else { Command::new("sudo") };
    if !root && found("sudo") {
        command.arg(program);
    }
    command.args(words);
    command
}

fn found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(Path::new);
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
        || usual.iter().any(|folder| folder.join(program).is_file())
}
