//! The parser of Prometheus' own Python client reads what is written here, whatever stands in a name.

use std::io::Write as _;
use std::process::{Command, Stdio};

use dozen_harness::python_packages;
use dozen_metrics::Page;
use serde_json::{Value, json};

/// Reads a page from its input; prints families and samples as JSON.
const READ: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([[f.name, f.type, f.documentation, [[s.labels, float(s.value)] for s in f.samples]] for f in families]))
";

#[test]
fn the_parser_of_prometheus_reads_every_page() {
    let python = match python_packages(&["prometheus_client==0.22.1"]) {
        Ok(python) => python,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let nasty = "a\"b\\c\nd{e}=é";
    let mut page = Page::default();
    page.gauge("dozen_lag_seconds", "A \\ and\na line.").sample(&[("queue", nasty), ("state", "")], 1.5);
    page.counter("dozen_done_total", "How many.").sample(&[], 3.0);
    let mut command = Command::new(python);
    command.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = command.spawn().expect("the interpreter was there a moment ago");
    let mut input = reader.stdin.take().expect("it was asked for");
    input.write_all(page.render().as_bytes()).expect("it reads");
    drop(input);
    let output = reader.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let read: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(read[0], json!(["dozen_done", "counter", "How many.", [[{}, 3.0]]]));
    let labels = json!({ "queue": nasty, "state": "" });
    assert_eq!(read[1], json!(["dozen_lag_seconds", "gauge", "A \\ and\na line.", [[labels, 1.5]]]));
    assert_eq!(read[2][0], "dozen_series_left_out");
}
