//! The API as its own document describes it: every example is sent, every answer is held against its schema, and two
//! tools that know nothing of dozen look at both.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Api;
use dozen_harness::{Program, Reply, request};
use serde_json::{Value, json};

/// The lease that stands in the document's examples.
const OLD_LEASE: &str = "WzcsMSwxLCJxdWV1ZS9pbnZvaWNlcyIsIndvcmtlcnMiXQ";

/// One operation of the document, with its references resolved.
struct Operation<'d> {
    method: &'d str,
    path: &'d str,
    item: &'d Value,
    parameters: Vec<&'d Value>,
}

/// What `value` says, or what it refers to.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolved(document, document.pointer(reference.trim_start_matches('#')).unwrap()),
        None => value,
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let shared: Vec<&Value> = item["parameters"].as_array().into_iter().flatten().collect();
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
        {
            let own = operation["parameters"].as_array().into_iter().flatten();
            let parameters = shared.iter().copied().chain(own);
            let parameters = parameters.map(|parameter| resolved(document, parameter)).collect();
            operations.push(Operation { method, path, item: operation, parameters });
        }
    }
    operations
}

/// What stands in the place of an example that cannot be known beforehand.
struct Fresh {
    id: String,
    lease: Value,
    position: Value,
}

struct Client {
    base: String,
}

impl Client {
    fn ask(&self, method: &str, path: &str, content_type: &str, body: &str) -> Reply {
        let url = format!("{}{path}", self.base);
        request(&method.to_uppercase(), &url, &[("content-type", content_type)], body.as_bytes()).unwrap()
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let reply = self.ask(method, path, "application/json", &body.to_string());
        assert!(reply.status < 300, "{method} {path}: {}", reply.text());
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }

    fn document(&self) -> Value {
        self.json("get", "/dozen/v1/openapi.json", &json!({}))
    }

    /// A message, a lease and a dead letter of what `path` is about.
    fn fresh(&self, path: &str) -> Fresh {
        let (to, from) = match path.starts_with("/dozen/v1/topics") {
            true => ("/dozen/v1/topics/orders", "/dozen/v1/topics/orders/subscriptions/mail"),
            false => ("/dozen/v1/queues/invoices", "/dozen/v1/queues/invoices"),
        };
        if to != from {
            self.json("put", from, &json!({ "filter": "" }));
        }
        self.json("post", &format!("{from}/resume"), &json!({}));
        let take = || {
            let sent =
                self.json("post", &format!("{to}/messages?type=invoice.wanted"), &json!({ "order": 7 }));
            let id = sent["ids"][0].as_str().unwrap().to_owned();
            // Others may wait before it.
            loop {
                let taken = self.json("post", &format!("{from}/receive?max=1&wait=50ms"), &json!({}));
                let message = &taken["messages"][0];
                if message["message"]["id"] == id.as_str() {
                    break (id, message["lease"].clone());
                }
                self.json("post", &format!("{from}/ack"), &json!({ "lease": message["lease"] }));
            }
        };
        let (_, dead) = take();
        self.json("post", &format!("{from}/nack"), &json!({ "lease": dead, "permanent": true }));
        let letters = self.json("get", &format!("{from}/dead"), &json!({}));
        let position = letters["dead"].as_array().unwrap().last().unwrap()["position"].clone();
        let (id, lease) = take();
        Fresh { id, lease, position }
    }
}

/// Holds an answer against what the document says of it.
fn check(document: &Value, operation: &Operation<'_>, reply: &Reply) {
    let name = format!("{} {}", operation.method, operation.path);
    let responses = &operation.item["responses"];
    let response = responses.get(reply.status.to_string()).unwrap_or_else(|| {
        assert!(reply.status >= 400, "{name}: {} is not described", reply.status);
        &responses["default"]
    });
    let Some(content) = resolved(document, response)["content"].as_object() else {
        return assert!(reply.body.is_empty(), "{name}: {}", reply.text());
    };
    let (kind, media) = content.iter().next().unwrap();
    assert_eq!(reply.header("content-type"), Some(kind.as_str()), "{name}");
    let mut schema = media["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let mistakes: Vec<String> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
    assert!(mistakes.is_empty(), "{name} answered {}: {body:#}\n{mistakes:?}", reply.status);
}

/// Every combination of an operation's examples: with and without its query, and each of its bodies.
fn send_examples(document: &Value, client: &Client, operation: &Operation<'_>) -> usize {
    let body = resolved(document, &operation.item["requestBody"]);
    let mut bodies: Vec<(&str, Value)> = body["content"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(kind, media)| Some((kind.as_str(), media.get("example")?.clone())))
        .collect();
    if bodies.is_empty() {
        let data = json!({ "order": 7 });
        bodies.push(("application/json", if body["content"].is_object() { data } else { Value::Null }));
    }
    let example = |parameter: &Value| {
        let text = match &parameter["example"] {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let text = text.replace('\'', "%27").replace(' ', "%20").replace('=', "%3D");
        Some(format!("{}={text}", parameter["name"].as_str().unwrap()))
    };
    let asked = operation.parameters.iter().filter(|parameter| parameter["in"] == "query");
    let mut queries: Vec<Option<String>> = vec![None];
    queries.extend(asked.filter_map(|parameter| example(parameter)).map(Some));
    let mut sent = 0;
    for query in &queries {
        for (kind, body) in &bodies {
            let fresh = client.fresh(operation.path);
            let mut path = operation.path.replace("{id}", &fresh.id);
            path = path.replace("{position}", &fresh.position.to_string());
            for parameter in operation.parameters.iter().filter(|parameter| parameter["in"] == "path") {
                let placeholder = format!("{{{}}}", parameter["name"].as_str().unwrap());
                path = path.replace(&placeholder, parameter["example"].as_str().unwrap_or("x"));
            }
            let mut parts: Vec<String> = query.iter().cloned().collect();
            // A plain body needs a type.
            if path.ends_with("/messages") && *kind == "application/json" {
                parts.push("type=invoice.wanted".into());
            }
            if query.as_deref().is_some_and(|query| query.starts_with("unique-for")) {
                parts.push("unique=another".into());
            }
            if !parts.is_empty() {
                path = format!("{path}?{}", parts.join("&"));
            }
            // As it is written, an example's lease is an old one, which is described too.
            let mut bodies = vec![body.clone()];
            if body["lease"] == OLD_LEASE {
                let mut again = body.clone();
                again["lease"] = fresh.lease.clone();
                bodies.push(again);
            }
            for (at, body) in bodies.iter().enumerate() {
                let text = if body.is_null() { String::new() } else { body.to_string() };
                let reply = client.ask(operation.method, &path, kind, &text);
                let is_old_lease = at + 1 < bodies.len();
                assert_eq!(
                    reply.status >= 400,
                    is_old_lease || needs_attributes(operation, kind),
                    "{} {path}: {}",
                    operation.method,
                    reply.text()
                );
                check(document, operation, &reply);
                sent += 1;
            }
        }
    }
    sent
}

/// An edit as plain JSON needs a header that examples cannot carry.
fn needs_attributes(operation: &Operation<'_>, kind: &str) -> bool {
    operation.path.ends_with("/dead/{position}") && kind == "application/json"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_document_is_answered_as_its_schema_says() {
    let api = Api::start(Duration::from_millis(50)).await;
    let client = Client { base: api.base.clone() };
    let sending = tokio::task::spawn_blocking(move || {
        let document = client.document();
        let mut sent = 0;
        for operation in operations(&document) {
            // A stream has no end, so no answer as a whole; see the tests of the topics' face.
            if operation.path.ends_with("/events") {
                continue;
            }
            let once = send_examples(&document, &client, &operation);
            assert!(once > 0, "{} {}", operation.method, operation.path);
            sent += once;
        }
        sent
    });
    let sent = sending.await.unwrap();
    assert!(sent > 40, "{sent} examples");
    api.stop().await;
}

/// Runs a tool in `folder`, where it may leave what it likes.
fn run(python: &Path, folder: &Path, arguments: &[&str], patience: Duration) -> (bool, String) {
    let mut command = Command::new(python);
    command.args(arguments).current_dir(folder);
    let program = Program::start("python", command).unwrap();
    let status = program.wait_exit(patience).unwrap();
    (status.success(), program.output())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_and_a_fuzzer_of_other_makers_find_nothing() {
    let tools = ["openapi-spec-validator==0.9.0", "schemathesis==4.32.5"];
    let python = match dozen_harness::python_packages(&tools) {
        Ok(python) => python,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let api = Api::start(Duration::from_millis(50)).await;
    let (base, client) = (api.base.clone(), Client { base: api.base.clone() });
    let folder = tempfile::tempdir().unwrap();
    let (whole, narrow) = (folder.path().join("whole.json"), folder.path().join("narrow.json"));
    let checked = tokio::task::spawn_blocking(move || {
        let mut document = client.document();
        std::fs::write(&whole, document.to_string()).unwrap();
        // Names out of the air lead nowhere; these are there.
        for (parameter, name) in [("Queue", "invoices"), ("Topic", "orders"), ("Subscription", "mail")] {
            document["components"]["parameters"][parameter]["schema"] = json!({ "const": name });
        }
        std::fs::write(&narrow, document.to_string()).unwrap();
        let (valid, says) = run(
            &python,
            folder.path(),
            &["-m", "openapi_spec_validator", whole.to_str().unwrap()],
            Duration::from_secs(60),
        );
        assert!(valid, "{says}");
        client.fresh("/dozen/v1/topics");
        let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";
        let mut fuzz = vec!["-m", "schemathesis.cli", "run", narrow.to_str().unwrap(), "--url", &base];
        // A stream does not end, and nothing is left to ask of a subscription that has ended.
        fuzz.extend(["--exclude-path-regex", "/events$", "--exclude-operation-id", "unsubscribe"]);
        fuzz.extend(["--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--seed", "7"]);
        fuzz.extend(["--checks", checks, "--request-timeout", "20", "--no-color"]);
        run(&python, folder.path(), &fuzz, Duration::from_secs(280))
    });
    let (clean, says) = checked.await.unwrap();
    assert!(clean, "{says}");
    api.stop().await;
}
