//! Providers and translators: that they lead somewhere, and that everything in them compiles, told where it stands.

use std::sync::Arc;

use dozen_anticorruption::{Http, Translators};
use dozen_core::{Ids, SystemClock};
use dozen_dataplane::Caller;
use dozen_mapping::Charset;

use super::super::app;
use super::super::check::Checker;
use super::super::diagnostic::{Span, suggest};
use super::super::item::{Field, Item, Value};
use super::super::keys::MESSAGES;
use super::super::schema::Presence;
use super::place::is_whole;
use super::quoted;

const HELP: &str = "docs/anticorruption.md shows translators, docs/mapping.md what a table can say";

/// `services` are those of the file alone: a translator asks none of its own kind, so that none waits for itself.
pub(super) fn check(checker: &mut Checker<'_>, file: &Item, services: &[Field], topics: &[&str]) {
    let before = checker.mistakes.len();
    let providers = file.get("providers").map(Item::fields).unwrap_or_default();
    for provider in providers {
        self::provider(checker, provider, file, services);
    }
    let translators = file.get("translators").map(Item::fields).unwrap_or_default();
    for Field { name, span, item, .. } in translators {
        if services.iter().any(|service| service.name == *name) {
            let wrong = format!("there is a service `{name}`, too, and both would be found by that name");
            checker.wrong(*span, wrong, "give one of the two another name");
        }
        if let Some(messages) = item.get("messages") {
            self::messages(checker, messages, file, topics);
        }
    }
    let sections = ["providers", "translators"];
    if checker.mistakes.len() == before && sections.iter().filter_map(|name| file.get(name)).all(is_whole) {
        compiled(checker, file);
    }
}

fn provider(checker: &mut Checker<'_>, provider: &Field, file: &Item, services: &[Field]) {
    let Field { name, span, item, .. } = provider;
    let reached: Vec<&Field> =
        ["service", "database", "queue"].iter().filter_map(|key| item.field(key)).collect();
    if let [first, second, ..] = reached.as_slice() {
        let wrong = format!(
            "the provider `{name}` is reached one way, and here are `{}` and `{}`",
            first.name, second.name
        );
        checker.wrong(second.span, wrong, "keep one of the two");
    }
    if item.field("database").is_none()
        && let Some(field) = ["writes", "rows-max", "charset"].iter().find_map(|key| item.field(key))
    {
        let wrong = format!("`{}` means nothing for a provider that is no database", field.name);
        checker.wrong(field.span, wrong, "remove it, or say which `database` it is");
    }
    if let Some(charset) = item.get("charset") {
        self::charset(checker, charset, item.text("database").unwrap_or_default());
    }
    if let Some(queue) = item.get("queue") {
        let queues = file.get("queues").map(Item::fields).unwrap_or_default();
        let queues = queues.iter().map(|queue| queue.name.as_str());
        named(checker, queue, "queue", queues.collect());
    }
    let known: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    match (item.get("service"), reached.as_slice()) {
        (Some(service), _) => named(checker, service, "service", known),
        // What is replaced by its examples need not be there.
        (None, []) if item.flag("mock") == Some(false) && !known.contains(&name.as_str()) => {
            let help = format!(
                "{}; or say where it is: `service:`, `database:` or `queue:`, or `mock: true`",
                suggest(name, "service", known.iter().copied()).trim_end_matches('?')
            );
            checker.wrong(*span, format!("there is no service `{name}`"), help);
        }
        _ => {}
    }
}

fn charset(checker: &mut Checker<'_>, item: &Item, database: &str) {
    let Some(label) = item.as_text() else { return };
    if database.starts_with("postgres") {
        let help = "remove it: PostgreSQL converts its texts by itself";
        checker.wrong(item.span, "`charset` means nothing for PostgreSQL", help);
    } else if Charset::named(label).is_none_or(|encoding| encoding.output_encoding() != encoding) {
        let wrong = format!("there is no charset {} for texts of SQLite", quoted(item, label));
        checker.wrong(
            item.span,
            wrong,
            "write it as the web does: `windows-1252`, `iso-8859-2`, `shift_jis`",
        );
    }
}

/// A name that the file has to declare.
fn named(checker: &mut Checker<'_>, item: &Item, noun: &str, known: Vec<&str>) {
    let Some(name) = item.as_text().filter(|name| !known.contains(name)) else { return };
    let help = suggest(name, noun, known.iter().copied());
    checker.wrong(item.span, format!("there is no {noun} {}", quoted(item, name)), help);
}

fn messages(checker: &mut Checker<'_>, item: &Item, file: &Item, topics: &[&str]) {
    let queues = file.get("queues").map(Item::fields).unwrap_or_default();
    let queues: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
    for end in ["from", "to"].into_iter().filter_map(|key| item.get(key)) {
        named(checker, end, "topic or queue", [topics, &queues].concat());
        if let Some(name) = end.as_text().filter(|name| topics.contains(name) && queues.contains(name)) {
            let wrong = format!(
                "there is a topic and a queue {}, and it is not known which is meant",
                quoted(end, name)
            );
            checker.wrong(end.span, wrong, "give one of the two another name");
        }
    }
    if item.text("from").is_some_and(|from| queues.contains(&from)) {
        of_queue(checker, item);
    }
    match (item.field("from"), item.field("to"), item.field("type")) {
        (Some(from), Some(to), _)
            if from.item.as_text().is_some() && from.item.as_text() == to.item.as_text() =>
        {
            let help = "name another topic or queue for the results";
            checker.wrong(to.item.span, "its results would come back to it for ever", help);
        }
        (_, Some(to), None) => {
            let help = "add `type:`, for example `type: article.changed`";
            checker.wrong(to.span, "the messages that it publishes have no type", help);
        }
        (_, None, Some(kind)) => {
            checker.wrong(
                kind.span,
                "a type, and nothing that gets its messages",
                "add `to:`, or remove `type`",
            );
        }
        _ => {}
    }
}

/// What a queue says itself must not be said here, unless it is the default that `check --expanded` writes out.
fn of_queue(checker: &mut Checker<'_>, messages: &Item) {
    for name in ["start", "attempts-max", "backoff"] {
        let (Some(field), Some(key)) = (messages.field(name), MESSAGES.key(name)) else { continue };
        let is_default = matches!(key.presence, Presence::Default(text) if field.item.shown() == text);
        if field.given && !is_default {
            let wrong = format!("`{name}` means nothing for messages of a queue");
            let help = "a queue begins with its oldest message, and says itself how often one is tried";
            checker.wrong(field.span, wrong, help);
        }
    }
}

/// The pattern has the last word; what it refuses is shown where it stands.
fn compiled(checker: &mut Checker<'_>, file: &Item) {
    let before = checker.mistakes.len();
    let options = app::options(file, |field, problem| checker.wrong(field.span, problem, HELP));
    let mut examples = std::collections::BTreeMap::new();
    let folder = checker.around.folder;
    for Field { name, item, .. } in file.get("translators").map(Item::fields).unwrap_or_default() {
        let read = app::examples(item, folder, |unread| {
            let help = format!(
                "relative paths start from {}; docs/anticorruption.md shows examples",
                folder.display()
            );
            checker.wrong(unread.span, unread.wrong, help);
        });
        examples.insert(name.clone(), read);
    }
    if checker.mistakes.len() > before {
        return;
    }
    let ids = Ids::new(Arc::new(SystemClock), 0);
    let nobody = Http::new(Caller::plain(Arc::new(|_: &str| None), ids.clone()));
    let error = match Translators::compile(&options, &examples, Arc::new(nobody), ids) {
        Ok(translators) => return reading(checker, file, &translators),
        Err(error) => error,
    };
    for mistake in error.0 {
        let span = place(file, &mistake.path).unwrap_or(file.span);
        let (wrong, help) = match mistake.problem.rsplit_once("; ") {
            Some((wrong, help)) if help.ends_with('?') || wrong.len() > 40 => (wrong, help),
            _ => (mistake.problem.as_str(), HELP),
        };
        checker.wrong(span, hidden(wrong.to_owned(), file), help);
    }
}

/// Those by which features compare have to make something of an answer alone.
fn reading(checker: &mut Checker<'_>, file: &Item, translators: &Translators) {
    for feature in file.get("features").map(Item::fields).unwrap_or_default() {
        let named = feature.item.get("compare").and_then(|compare| compare.get("translators"));
        for item in ["old", "new"].into_iter().filter_map(|side| named?.get(side)) {
            let Some(translator) = item.as_text().and_then(|name| translators.get(name)) else { continue };
            if let Err(why) = translator.reads() {
                let wrong = format!("`{}` cannot read an answer for a comparison: {why}", translator.name());
                checker.wrong(item.span, wrong, HELP);
            }
        }
    }
}

/// Where the value of this path stands, or the nearest that is around it. Names may hold dots.
fn place(item: &Item, path: &str) -> Option<Span> {
    let rest = path.trim_start_matches('.');
    match &item.value {
        Value::Map(fields) => {
            let follows = |field: &&Field| {
                let after = rest.strip_prefix(field.name.as_str());
                after.is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
            };
            let field = fields.iter().filter(follows).max_by_key(|field| field.name.len())?;
            let inner = place(&field.item, &rest[field.name.len()..]);
            let own = match field.item.value {
                Value::Map(_) | Value::List(_) => field.span,
                _ => field.item.span,
            };
            Some(inner.unwrap_or(own))
        }
        Value::List(items) => {
            let (at, after) = rest.strip_prefix('[')?.split_once(']')?;
            let one = items.get(at.parse::<usize>().ok()?)?;
            Some(place(one, after).unwrap_or(one.span))
        }
        _ => None,
    }
}

/// Without what placeholders stand for.
fn hidden(problem: String, item: &Item) -> String {
    match &item.value {
        Value::Map(fields) => fields.iter().fold(problem, |problem, field| hidden(problem, &field.item)),
        Value::List(items) => items.iter().fold(problem, hidden),
        Value::Json { value: serde_json::Value::String(text), shown: serde_json::Value::String(shown) }
            if text != shown && !text.is_empty() =>
        {
            problem.replace(text, shown)
        }
        Value::Text(text) if !text.is_empty() => match &item.placeholder {
            Some(placeholder) => problem.replace(text, placeholder),
            None => problem,
        },
        _ => problem,
    }
}
