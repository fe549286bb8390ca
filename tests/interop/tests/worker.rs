//! A sender and a worker in Python, which know of dozen only the paths of its API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::Api;
use dozen_harness::{Program, get};
use serde_json::{Value, json};

/// Runs the script in a role, and gives its exit code and its words.
async fn run(api: &Api, role: &'static str) -> (Option<i32>, Vec<String>) {
    let address = api.base.trim_start_matches("http://").to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut python = Command::new("python3");
        python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/py/worker.py")).args([&address, role]);
        let program = Program::start(role, python).unwrap();
        let status = program.wait_exit(Duration::from_secs(60)).unwrap();
        (status.code(), program.output())
    });
    let (code, output) = ran.await.unwrap();
    (code, output.split_whitespace().map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q_m5_a_worker_in_python_that_dies_gets_its_message_again() {
    if Command::new("python3").arg("--version").output().is_err() {
        return eprintln!("not run: `python3` is not on the path");
    }
    let api = Api::start(Duration::from_secs(30)).await;
    let (code, sent) = run(&api, "send").await;
    assert_eq!((code, sent[0].as_str()), (Some(0), "SENT"), "{sent:?}");
    let id = &sent[1];
    let (code, got) = run(&api, "crash").await;
    assert_eq!((code, got), (Some(3), vec!["GOT".into(), id.clone(), "1".into()]));
    let (code, got) = run(&api, "work").await;
    assert_eq!(code, Some(0), "{got:?}");
    assert_eq!(got, ["GOT", id.as_str(), "2", "DONE", "True"]);
    let url = format!("{}/dozen/v1/queues/invoices/messages/{id}?wait=10s", api.base);
    let told = tokio::task::spawn_blocking(move || get(&url).unwrap()).await.unwrap();
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!((&told["step"], &told["reply"]), (&json!("done"), &json!({ "invoice": 7 })));
    api.stop().await;
}
