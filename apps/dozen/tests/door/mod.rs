//! A gateway that runs from a file, and what it says.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part of it")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dozen_harness::{Reply, free_port, get, request};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `dozen up`, and what it says.
pub struct Up {
    process: Child,
    lines: Receiver<String>,
    pub gateway: u16,
    console: u16,
    pub folder: tempfile::TempDir,
}

impl Up {
    pub fn start(file: impl Fn(u16) -> String) -> Self {
        Self::beside(&[], file)
    }

    /// With these files beside it.
    pub fn beside(files: &[(&str, &str)], file: impl Fn(u16) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let (gateway, console) = (free_port(), free_port());
        let text = format!(
            "app: test\nstore: 'sqlite:a.db'\nregistry: {{ listen: '127.0.0.1:0' }}\napi: false\n\
             console: {{ listen: '127.0.0.1:{console}' }}\n{}",
            file(gateway)
        );
        write(folder.path(), &text);
        let mut process = Command::new(env!("CARGO_BIN_EXE_dozen"))
            .arg("up")
            .current_dir(folder.path())
            .env("ID_SECRET", super::SECRET)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        let mut up = Self { process, lines, gateway, console, folder };
        up.hear(" is up;");
        up
    }

    pub fn hear(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return,
                Ok(line) => heard.push(line),
                Err(error) => panic!("no line with `{text}` ({error}); heard:\n{}", heard.join("\n")),
            }
        }
    }

    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        request("GET", &format!("http://127.0.0.1:{}{path}", self.gateway), headers, b"").unwrap()
    }

    pub fn metrics(&self) -> String {
        get(&format!("http://127.0.0.1:{}/metrics", self.console)).unwrap().text()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Replaces the file in one step, as a careful editor does.
pub fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("next"), text).unwrap();
    std::fs::rename(folder.join("next"), folder.join("dozen.yaml")).unwrap();
}
