//! Dapr's JavaScript SDK, as published, against the sidecar.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, SystemClock};
use dozen_dataplane::{Caller, Limits, Server};
use dozen_harness::{Program, free_port};
use dozen_lifecycle::{Ready, Stop};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_sidecar::{Options, Sidecar};
use dozen_store::Store;
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_sdk_publishes_subscribes_invokes_and_reads_metadata() {
    let modules = match dozen_harness::node_packages(&["@dapr/dapr@3.18.0"]) {
        Ok(modules) => modules,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let store = Store::new(dozen_memory::Memory::new(), Arc::new(SystemClock));
    let topics = Topics::new(&store, BTreeMap::from([("orders".to_owned(), TopicOptions::default())]));
    let app_port = free_port();
    let options = Options::new("js-app", Some(format!("127.0.0.1:{app_port}")));
    let ids = Ids::new(Arc::new(SystemClock), 1);
    let caller = Caller::plain(Arc::new(|_| None), ids.clone());
    let sidecar = Arc::new(Sidecar::new(options, Arc::new(topics), caller, ids));
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).unwrap();
    let sidecar_port = server.local_addr().port();
    let (stop, mut tasks) = (Stop::new(), JoinSet::new());
    tasks.spawn(sidecar.serving(server).run(stop.clone(), Ready::channel().0));

    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/js/dapr.js"));
    node.args([sidecar_port.to_string(), app_port.to_string()]).env("NODE_PATH", modules);
    let ended = tokio::task::spawn_blocking(move || {
        let program = Program::start("node", node)?;
        let status = program.wait_exit(Duration::from_secs(90))?;
        Ok::<_, String>((status, program.output()))
    });
    let (status, output) = ended.await.unwrap().unwrap();
    assert!(status.success(), "{output}");
    let result = |name: &str| -> Value {
        let prefix = format!("RESULT {name} ");
        let line = output.lines().find_map(|line| line.strip_prefix(&prefix));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no {name} in:\n{output}"))).unwrap()
    };
    assert_eq!(result("publish"), json!({}), "{output}");
    assert_eq!(result("bulk"), json!({ "failedMessages": [] }), "{output}");
    assert!(result("refused")["error"].is_object(), "an unknown pubsub is an error to the SDK:\n{output}");
    assert_eq!(result("seen"), json!([1, 2, 3, 4]), "{output}");
    assert_eq!(result("invoke"), json!({ "doubled": 42 }), "{output}");
    assert_eq!(
        result("metadata"),
        json!({ "id": "js-app", "colour": "blue", "topic": "orders" }),
        "{output}"
    );
    stop.soft.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
}
