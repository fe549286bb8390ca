//! `dozen translator list` and `show`: what the file says, in short and in full.

use dozen_anticorruption::{AskOptions, CallOptions, ProviderOptions, Translator};
use dozen_core::duration;

use super::super::look::table;
use super::bench;
use crate::Error;
use crate::config::{App, Reach};

/// One line for each.
pub(super) fn list(app: &App) -> Result<String, Error> {
    let translators = bench::quiet(app)?;
    let rows: Vec<Vec<String>> = translators.iter().map(|(name, one)| row(app, name, one)).collect();
    if rows.is_empty() {
        return Ok("the file has no translators; docs/anticorruption.md shows how to write one\n".into());
    }
    Ok(table(&["TRANSLATOR", "ASKS", "CACHE", "EXAMPLES", "MESSAGES"], &rows))
}

fn row(app: &App, name: &str, translator: &Translator) -> Vec<String> {
    let options = translator.options();
    let calls = options.calls.iter().map(|(name, call)| {
        let providers: Vec<String> =
            call.ask.iter().map(|way| format!("{}{}", way.provider, mocked(app, &way.provider))).collect();
        format!("{name}: {}", providers.join(", then "))
    });
    let wire = app.translators.wires.iter().find(|wire| wire.translator == name);
    vec![
        name.to_owned(),
        calls.collect::<Vec<_>>().join("; "),
        options.cache.map(|cache| duration::text(cache.ttl)).unwrap_or_default(),
        translator.examples().len().to_string(),
        wire.map(|wire| match &wire.to {
            Some((to, _)) => format!("{} to {to}", wire.from),
            None => format!("from {}", wire.from),
        })
        .unwrap_or_default(),
    ]
}

fn mocked(app: &App, provider: &str) -> &'static str {
    let provider = app.translators.options.providers.get(provider);
    if provider.is_some_and(|provider| provider.mock) { " (mocked)" } else { "" }
}

/// All of one. Headers are named and not shown: they may hold secrets.
pub(super) fn one(app: &App, name: &str) -> Result<String, Error> {
    let translators = bench::quiet(app)?;
    let translator = bench::one(&translators, name)?;
    let options = translator.options();
    let mut text = format!("{name}\n");
    let mut line = |key: &str, value: String| text.push_str(&format!("  {key:10} {value}\n"));
    line("takes", translator.input_format().name().to_owned());
    line("gives", translator.output_format().name().to_owned());
    let cache = options.cache.map(|cache| format!(", results are kept for {}", duration::text(cache.ttl)));
    line("within", format!("{}{}", duration::text(options.timeout), cache.unwrap_or_default()));
    for (name, call) in &options.calls {
        line("call", format!("{name}{}", if call.optional { " (optional)" } else { "" }));
        for (at, way) in call.ask.iter().enumerate() {
            self::way(app, at + 1, way, call, &mut line);
        }
    }
    if let Some(wire) = app.translators.wires.iter().find(|wire| wire.translator == name) {
        let to = wire.to.as_ref().map(|(to, kind)| format!(", results go to {to} as {kind}"));
        line("messages", format!("of {}{}", wire.from, to.unwrap_or_default()));
    }
    for path in app.translators.files.get(name).into_iter().flatten() {
        line("examples", path.strip_prefix(&app.folder).unwrap_or(path).display().to_string());
    }
    for example in translator.examples() {
        line("", format!("- {}", example.name));
    }
    Ok(text)
}

fn way(app: &App, number: usize, way: &AskOptions, call: &CallOptions, line: &mut impl FnMut(&str, String)) {
    let request = &way.request;
    let first = if call.ask.len() > 1 { format!("{number}. ") } else { String::new() };
    let asks = match &request.sql {
        Some(sql) => sql.split_whitespace().collect::<Vec<_>>().join(" "),
        None => match app.translators.reaches.get(&way.provider) {
            Some(Reach::Queue(queue)) => format!("a message to the queue {queue}"),
            _ => format!("{} {}", request.method, request.path),
        },
    };
    line("", format!("{first}{}: {asks}", way.provider));
    if !request.headers.is_empty() {
        let names: Vec<&str> = request.headers.keys().map(String::as_str).collect();
        line("", format!("   headers {}", names.join(", ")));
    }
    for error in &way.errors {
        let what = match (&error.problem, error.next) {
            (Some(problem), _) => format!("{problem}, {}", error.status.unwrap_or(502)),
            (None, _) => "the next provider is asked".into(),
        };
        line("", format!("   if {}: {what}", error.when));
    }
    if let Some(provider) = app.translators.options.providers.get(&way.provider) {
        line("", format!("   {}", guarded(app, &way.provider, provider)));
    }
}

fn guarded(app: &App, name: &str, provider: &ProviderOptions) -> String {
    let reached = match (provider.mock, app.translators.reaches.get(name)) {
        (true, _) => "mocked by the examples".to_owned(),
        (false, Some(Reach::Database { address, writes, .. })) => {
            format!("database {address}{}", if *writes { ", which it may change" } else { ", read only" })
        }
        (false, Some(Reach::Queue(queue))) => format!("answered by whoever works on the queue {queue}"),
        (false, None) => {
            let service = provider.service.as_deref().unwrap_or(name);
            let addresses = app.service(service).map(|service| service.addresses().join(", "));
            format!("service {service} at {}", addresses.unwrap_or_default())
        }
    };
    format!(
        "{reached}; within {}, {} at a time, {} may wait",
        duration::text(provider.timeout),
        provider.in_flight_max,
        provider.pending_max
    )
}
