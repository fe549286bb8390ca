//! Systems of others, and the operations of ours that they answer.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dozen_anticorruption::{Example, Options};
use dozen_core::Backoff;
use dozen_messaging::{Policy, Start};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::super::diagnostic::Span;
use super::super::item::{Field, Item, Value};
use super::StoreAddress;
use super::json::single;

/// Providers and translators, as far as the process has to know them.
#[derive(Clone, Default, PartialEq)]
pub struct Translators {
    /// As the pattern takes them.
    pub options: Options,
    /// Where providers are that are no services.
    pub reaches: BTreeMap<String, Reach>,
    /// The examples of each translator.
    pub examples: BTreeMap<String, Vec<Example>>,
    /// The files that they stand in.
    pub files: BTreeMap<String, Vec<PathBuf>>,
    /// What goes through translators from a topic or a queue to another.
    pub wires: Vec<Wire>,
}

impl std::fmt::Debug for Translators {
    /// Their names: headers and statements may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.options.translators.keys()).finish()
    }
}

/// Where a provider is that is no service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A database.
    Database {
        /// Where it is.
        address: StoreAddress,
        /// Whether its statements may change something.
        writes: bool,
        /// Rows of an answer, at most.
        rows_max: usize,
        /// What the texts of a file of SQLite are written in.
        charset: Option<String>,
    },
    /// A queue of the file.
    Queue(String),
}

/// Messages that go through a translator.
#[derive(Clone, Debug, PartialEq)]
pub struct Wire {
    /// The translator; a subscription has its name.
    pub translator: String,
    /// Where they come from.
    pub from: End,
    /// Where the results go, and their type.
    pub to: Option<(End, String)>,
    /// Where it begins on a topic.
    pub start: Start,
    /// After how many failures a message of a topic is a dead letter, and how long it waits in between. A queue says that
    /// itself.
    pub policy: Policy,
    /// How many are handled at once.
    pub in_flight_max: usize,
}

/// One end of a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A topic of the file.
    Topic(String),
    /// A queue of the file.
    Queue(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Topic(name) => f.write_str(name),
            Self::Queue(name) => write!(f, "queue {name}"),
        }
    }
}

/// Keys of a provider, and of a translator, that the pattern does not know.
const OF_PROCESS: [&str; 6] = ["database", "writes", "rows-max", "charset", "queue", "messages"];

/// Bytes of one file of examples.
const EXAMPLES_MAX: u64 = 4 << 20;

/// Why examples cannot be read.
pub(crate) struct Unread {
    /// Where the file is named.
    pub(crate) span: Span,
    pub(crate) wrong: String,
}

pub(super) fn translators(file: &Item, folder: &Path) -> Option<Translators> {
    let (providers, own) = (file.get("providers")?.fields(), file.get("translators")?.fields());
    let mut is_whole = true;
    let options = options(file, |_, _| is_whole = false);
    let mut translators = Translators { options, ..Translators::default() };
    for Field { name, item, .. } in providers {
        if let Some(reach) = reach(item, folder) {
            translators.reaches.insert(name.clone(), reach);
        }
    }
    for Field { name, item, .. } in own {
        let read = examples(item, folder, |_| is_whole = false);
        translators.examples.insert(name.clone(), read);
        let paths = item.list("examples").iter().filter_map(|path| Some(folder.join(path.as_text()?)));
        translators.files.insert(name.clone(), paths.collect());
        if let Some(messages) = item.get("messages") {
            translators.wires.push(wire(name, messages, file)?);
        }
    }
    is_whole.then_some(translators)
}

fn reach(item: &Item, folder: &Path) -> Option<Reach> {
    if let Some(queue) = item.text("queue") {
        return Some(Reach::Queue(queue.to_owned()));
    }
    Some(Reach::Database {
        address: StoreAddress::of(item.get("database")?, folder)?,
        writes: item.flag("writes")?,
        rows_max: usize::try_from(item.number("rows-max")?).ok()?,
        charset: item.text("charset").map(str::to_owned),
    })
}

fn wire(translator: &str, item: &Item, file: &Item) -> Option<Wire> {
    let queues = file.get("queues").map(Item::fields).unwrap_or_default();
    let end = |name: &str| match queues.iter().any(|queue| queue.name == name) {
        true => End::Queue(name.to_owned()),
        false => End::Topic(name.to_owned()),
    };
    let (first, cap) = item.range("backoff")?;
    let attempts_max = u32::try_from(item.number("attempts-max")?).ok()?;
    Some(Wire {
        translator: translator.to_owned(),
        from: end(item.text("from")?),
        to: item.text("to").zip(item.text("type")).map(|(to, kind)| (end(to), kind.to_owned())),
        start: item.start("start")?,
        policy: Policy { attempts_max, backoff: Backoff::new(first, cap) },
        in_flight_max: usize::try_from(item.number("in-flight-max")?).ok()?,
    })
}

/// The pattern's own options. What cannot be one of them is left out, and told with its entry.
pub(crate) fn options(file: &Item, mut wrong: impl FnMut(&Field, String)) -> Options {
    Options {
        providers: each(file, "providers", &mut wrong),
        translators: each(file, "translators", &mut wrong),
    }
}

fn each<T: DeserializeOwned>(
    file: &Item,
    section: &str,
    wrong: &mut impl FnMut(&Field, String),
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for field in file.get(section).map(Item::fields).unwrap_or_default() {
        let mut json = String::new();
        entry(&field.item, &mut json);
        match serde_json::from_str(&json) {
            Ok(one) => drop(all.insert(field.name.clone(), one)),
            Err(error) => wrong(field, error.to_string()),
        }
    }
    all
}

/// A provider or a translator, without what is the process's own, and with what that says of it.
fn entry(item: &Item, out: &mut String) {
    let speaks = match (item.field("database"), item.field("queue")) {
        (Some(_), _) => Some("\"sql\""),
        (None, Some(_)) => Some("\"messages\""),
        (None, None) => None,
    };
    let known = item.fields().iter().filter(|field| !OF_PROCESS.contains(&field.name.as_str()));
    members(known, speaks, out);
}

/// Text, and not a tree of serde's: that would sort the members of tables.
fn members<'i>(fields: impl Iterator<Item = &'i Field>, speaks: Option<&str>, out: &mut String) {
    let mut separator = '{';
    for field in fields {
        out.push(separator);
        out.push_str(&Json::from(field.name.as_str()).to_string());
        out.push(':');
        json(&field.item, out);
        separator = ',';
    }
    if let Some(speaks) = speaks {
        out.push(separator);
        out.push_str("\"speaks\":");
        out.push_str(speaks);
        separator = ',';
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
}

fn json(item: &Item, out: &mut String) {
    match &item.value {
        Value::Map(fields) => members(fields.iter(), None, out),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json(item, out);
            }
            out.push(']');
        }
        _ => out.push_str(&single(item).to_string()),
    }
}

/// The examples that a translator names. What cannot be read is told with its place.
pub(crate) fn examples(item: &Item, folder: &Path, mut wrong: impl FnMut(Unread)) -> Vec<Example> {
    let mut all = Vec::new();
    for path in item.list("examples") {
        let Some(name) = path.as_text() else { continue };
        let read = text_of(&folder.join(name))
            .and_then(|text| Example::read(&text).map_err(|error| error.to_string()));
        match read {
            Ok(read) => all.extend(read),
            Err(why) => {
                let shown = path.placeholder.as_deref().unwrap_or(name);
                wrong(Unread { span: path.span, wrong: format!("`{shown}`: {why}") });
            }
        }
    }
    all
}

fn text_of(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let mut text = String::new();
    let read = file.take(EXAMPLES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if text.len() as u64 > EXAMPLES_MAX {
        return Err(format!("it is larger than {} MiB", EXAMPLES_MAX >> 20));
    }
    Ok(text)
}
