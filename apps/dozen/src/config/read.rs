//! Single values: whether a text is what should stand in its place.

use std::borrow::Cow;

use dozen_core::chain;
use dozen_dataplane::Place;
use dozen_expression::Expression;
use dozen_pubsub::Pattern;
use dozen_queue::{CronEntry, Missed};

use super::item::Value;
use super::schema::Kind;
use super::{scalar, template};

/// Reads one value. The reason of a refusal never repeats the text, for it may be a secret.
pub(crate) fn read(kind: &Kind, text: &str) -> Result<Value, Cow<'static, str>> {
    let checked = |fine: bool| if fine { Ok(Value::Text(text.to_owned())) } else { Err("".into()) };
    match kind {
        Kind::Text => match text.contains('\0') {
            true => Err("holds a zero byte".into()),
            false => checked(true),
        },
        Kind::Folder => checked(!text.is_empty() && !text.contains('\0')),
        Kind::Name => checked(template::is_name(text)),
        Kind::Topic => checked(Pattern::parse(text).is_ok()),
        Kind::Store => match text.split_once(':') {
            Some(("sqlite", path)) => checked(!path.is_empty() && !path.contains(['\0', '?'])),
            Some(("postgres" | "postgresql", _)) => match dozen_open::check(text) {
                Ok(()) => Ok(Value::Text(text.to_owned())),
                Err(error) => Err(format!("is no store: {}", chain(&error)).into()),
            },
            _ => Err("".into()),
        },
        Kind::Secret => match text.is_empty() || text.contains(char::is_control) {
            true => Err("".into()),
            false => Ok(Value::Secret(text.to_owned())),
        },
        Kind::Flag => text.parse().map(Value::Flag).map_err(|_| "".into()),
        Kind::Rate => scalar::rate(text).map(Value::Rate).ok_or("".into()),
        Kind::Schedule => match CronEntry::new("", text, "", "", Missed::Once) {
            Ok(_) => Ok(Value::Text(text.to_owned())),
            Err(error) => Err(format!("is no schedule: {}", error.problem()).into()),
        },
        Kind::Url => checked(scalar::base_url(text).is_some()),
        Kind::Host => checked(is_host(text)),
        Kind::Method => {
            checked((1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase()))
        }
        Kind::Choice(words) => checked(words.contains(&text)),
        Kind::Filter => match Expression::for_messages(text) {
            Ok(_) => Ok(Value::Text(text.to_owned())),
            Err(mistake) => Err(format!("is no filter: {mistake}").into()),
        },
        Kind::Start => scalar::start(text).map(Value::Start).ok_or("".into()),
        Kind::Hook => match Place::url(text) {
            Ok(_) => Ok(Value::Text(text.to_owned())),
            Err(error) => Err(format!("is refused: it {error}").into()),
        },
        Kind::Path => match template::Template::parse(text) {
            Ok(template) if template.names().next().is_none() => checked(true),
            Ok(_) => Err("holds a `{name}`, but nothing is there to fill it".into()),
            Err(reason) => Err(reason.into()),
        },
        Kind::Template => {
            template::Template::parse(text).map(|_| Value::Text(text.to_owned())).map_err(Cow::from)
        }
        Kind::Target => template::target(text).map(|_| Value::Text(text.to_owned())).map_err(Cow::from),
        Kind::Destination => {
            template::destination(text).map(|_| Value::Text(text.to_owned())).map_err(Cow::from)
        }
        Kind::Network => match dozen_gateway::Network::read(text) {
            Ok(_) => checked(true),
            Err(problem) => Err(problem.into()),
        },
        Kind::Address => scalar::address(text).map(Value::Address).ok_or("".into()),
        Kind::Port => number(text, 1, 65_535),
        Kind::Count(min, max) => number(text, *min, *max),
        Kind::Duration => scalar::duration(text).map(Value::Duration).ok_or("".into()),
        Kind::Range => scalar::range(text).map(|(first, last)| Value::Range(first, last)).ok_or("".into()),
        Kind::Size => scalar::size(text).map(Value::Size).ok_or("".into()),
        // Collections have readers of their own above.
        Kind::Command | Kind::Many(_) | Kind::Named { .. } => Err("".into()),
        Kind::Section(_) | Kind::Switch(_) | Kind::Routes(_) => Err("".into()),
        Kind::Data | Kind::Tree | Kind::Document => Err("".into()),
    }
}

fn number(text: &str, min: u64, max: u64) -> Result<Value, Cow<'static, str>> {
    scalar::whole(text).filter(|number| (min..=max).contains(number)).map(Value::Number).ok_or("".into())
}

fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    name.len() <= 253 && name.split('.').all(label)
}
