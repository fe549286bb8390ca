//! `dozen translator drift`: what a running `dozen up` has seen of it.

use std::process::ExitCode;
use std::time::Duration;

use dozen_core::{Clock as _, SystemClock, Timestamp};
use dozen_dataplane::{Body, Client};
use serde_json::Value;

use super::super::look::{ago, known, table};
use crate::Error;
use crate::config::App;

/// How long the console may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of its answer.
const ANSWER_MAX: usize = 16 << 20;

pub(super) async fn told(app: &App, name: Option<&str>) -> Result<ExitCode, Error> {
    let names: Vec<&str> = app.translators.options.translators.keys().map(String::as_str).collect();
    name.map(|name| known("translator", name, &names)).transpose()?;
    let page = page(app).await?;
    let (text, fields) = rows(&page, name, SystemClock.now());
    super::super::print(&text)?;
    Ok(ExitCode::from(u8::from(fields > 0)))
}

/// The console's page of translators, as JSON.
async fn page(app: &App) -> Result<Value, Error> {
    let Some(console) = app.console else {
        return Err(Error::Usage(
            "the file switches the console off, and that is where drift is told".into(),
        ));
    };
    let request = http::Request::get("/api/translator").header("host", console.to_string());
    let request = request.body(Body::empty()).map_err(|error| Error::Usage(error.to_string()))?;
    let doing = || format!("ask the console at {console}; does `dozen up` run?");
    let answer = Client::new().send(&console.to_string(), request, PATIENCE).await;
    let body = answer.map_err(Error::pattern(doing()))?.into_body().collect(ANSWER_MAX).await;
    let body = body.map_err(Error::pattern(doing()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Error::Usage(format!("the console's answer is no JSON: {error}")))
}

/// The page as text, and how many fields differ.
fn rows(page: &Value, name: Option<&str>, now: Timestamp) -> (String, usize) {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (mut rows, mut compared, mut blind) = (Vec::new(), 0, String::new());
    for translator in list(page, "translators") {
        if name.is_some_and(|name| translator["name"] != name) {
            continue;
        }
        for report in list(&translator, "drift") {
            compared += report["compared"].as_u64().unwrap_or(0);
            blind.push_str(&not_compared(&report));
            for field in list(&report, "fields") {
                let moment = |key: &str| {
                    field[key]
                        .as_i64()
                        .map(|micros| format!("{} ago", ago(Timestamp(micros), now)))
                        .unwrap_or_default()
                };
                let place = &report["place"];
                rows.push(vec![
                    format!("{}.{}", text(place, "translator"), text(place, "call")),
                    text(place, "provider"),
                    text(&field, "path"),
                    how(&field),
                    field["count"].to_string(),
                    moment("first"),
                    moment("last"),
                ]);
            }
        }
    }
    let fields = rows.len();
    let noun = if compared == 1 { "answer" } else { "answers" };
    let head = format!("{compared} {noun} compared with the examples and schemas\n");
    match fields {
        0 => (format!("{head}none differs\n{blind}"), 0),
        _ => {
            let columns = ["CALL", "PROVIDER", "FIELD", "HOW", "TIMES", "FIRST", "LAST"];
            (format!("{head}{}{blind}", table(&columns, &rows)), fields)
        }
    }
}

/// What is known nothing of in the answers to one way of asking, if there is such a thing.
fn not_compared(report: &Value) -> String {
    let place = &report["place"];
    let way = ["translator", "call"].map(|key| place[key].as_str().unwrap_or_default()).join(".");
    let provider = place["provider"].as_str().unwrap_or_default();
    let paths = report["not_compared"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match paths.collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        ["."] => {
            format!("not compared: {way} at {provider}, of which there is neither an example nor a schema\n")
        }
        paths => format!("not compared: {way} at {provider}: {}\n", paths.join(", ")),
    }
}

fn how(field: &Value) -> String {
    match field["change"].as_str().unwrap_or_default() {
        "type" => format!(
            "was {}, and is {}",
            field["was"].as_str().unwrap_or_default(),
            field["now"].as_str().unwrap_or_default()
        ),
        "word" => "has a word that is not listed".into(),
        "undecided" => "cannot be decided".into(),
        other => format!("is {other}"),
    }
}
