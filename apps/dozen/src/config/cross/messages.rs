//! Topics, and who hears of them.

use dozen_messaging::Admission;
use dozen_pubsub::{Pattern, SecretError, Secrets};

use super::super::app::topic_settings;
use super::super::check::Checker;
use super::super::diagnostic::suggest;
use super::super::item::{Field, Item};
use super::{destination, quoted, store};

/// The names of the topics, whose settings are held against what topics can be.
pub(super) fn topics<'a>(checker: &mut Checker<'_>, file: &'a Item) -> Vec<&'a str> {
    let topics = file.get("topics").map(Item::fields).unwrap_or_default();
    for Field { name, span, item, .. } in topics {
        if let Err(error) = Pattern::parse(name) {
            checker.wrong(*span, error.to_string(), "put one dot between two words");
        }
        // The door of the topic has the last word on its schema.
        let refused = topic_settings(item).and_then(|settings| Admission::new(name, settings, None).err());
        if let Some(error) = refused {
            let span = item.field("schema").map_or(*span, |field| field.item.span);
            checker.wrong(span, error.to_string(), "the schema is held against JSON Schema 2020-12");
        }
    }
    topics.iter().map(|topic| topic.name.as_str()).collect()
}

/// That each pattern stands for a topic of the file.
fn heard(checker: &mut Checker<'_>, patterns: &[Item], topics: &[&str]) {
    for item in patterns {
        let Some(pattern) = item.as_text().and_then(|text| Pattern::parse(text).ok()) else { continue };
        if topics.iter().any(|topic| pattern.matches(topic)) {
            continue;
        }
        let wrong = format!("there is no topic {}", quoted(item, pattern.text()));
        let deeper = Pattern::parse(&pattern.text().replace('*', ">")).ok();
        let help = match deeper.filter(|deeper| topics.iter().any(|topic| deeper.matches(topic))) {
            Some(deeper) => format!("`*` is one segment between dots; did you mean `{}`?", deeper.text()),
            None => suggest(pattern.text(), "topic", topics.iter().copied()),
        };
        checker.wrong(item.span, wrong, help);
    }
}

pub(super) fn subscriptions(checker: &mut Checker<'_>, file: &Item, services: &[Field], topics: &[&str]) {
    for Field { name, span, item, .. } in file.get("subscriptions").map(Item::fields).unwrap_or_default() {
        heard(checker, item.list("topics"), topics);
        if let Some(dead) = item.get("dead-letter-topic") {
            dead_letters(checker, item.list("topics"), dead, topics);
        }
        for (number, secret) in item.list("secret").iter().enumerate() {
            let Some(Err(error)) = secret.as_secret().map(|text| Secrets::new([text])) else { continue };
            let error = match error {
                SecretError::Unusable { .. } => SecretError::Unusable { number: number + 1 },
                error => error,
            };
            checker.wrong(secret.span, error.to_string(), "make one with `openssl rand -base64 32`");
        }
        match (item.field("to"), item.field("url")) {
            (None, None) => {
                let help = "give it `to: service:/path`, or `url: http://host/path`";
                checker.wrong(*span, format!("the subscription `{name}` has neither `to` nor `url`"), help);
            }
            (Some(_), Some(url)) => {
                let wrong = format!("the subscription `{name}` has both `to` and `url`");
                checker.wrong(url.span, wrong, "keep one; two subscriptions reach two receivers");
            }
            _ => destination(checker, item.get("to"), services, Some(&[]), None),
        }
    }
}

fn dead_letters(checker: &mut Checker<'_>, patterns: &[Item], dead: &Item, topics: &[&str]) {
    let Some(name) = dead.as_text() else { return };
    let own = |item: &Item| {
        item.as_text().and_then(|text| Pattern::parse(text).ok()).is_some_and(|own| own.matches(name))
    };
    if !topics.contains(&name) {
        let help = suggest(name, "topic", topics.iter().copied());
        checker.wrong(dead.span, format!("there is no topic {}", quoted(dead, name)), help);
    } else if patterns.iter().any(own) {
        let help = "name a topic that this subscription does not hear of";
        checker.wrong(dead.span, "its own dead letters would come back to this subscription", help);
    }
}

pub(super) fn relays(checker: &mut Checker<'_>, file: &Item, topics: &[&str]) {
    let own = file.text("store");
    for Field { item, .. } in file.get("relays").map(Item::fields).unwrap_or_default() {
        heard(checker, item.list("topics"), topics);
        let Some(to) = item.get("to") else { continue };
        if to.as_text().is_some() && to.as_text() == own {
            let help = "name another store; in this one the messages are already";
            checker.wrong(to.span, "a relay to the store that it reads would never end", help);
        } else {
            store(checker, to);
        }
    }
}
