//! YAML as JSON, for the page: what it shows is written as people write it.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

pub(super) fn read(text: &str) -> Value {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let done = match event.unwrap_or_else(|error| panic!("no YAML: {error}")).0 {
            Event::Scalar(text, style, ..) => match open.last_mut() {
                Some(Open::Map(_, key @ None)) => {
                    *key = Some(text.to_string());
                    continue;
                }
                _ if style == ScalarStyle::Plain => {
                    serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text))
                }
                _ => Value::from(&*text),
            },
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Map(map, _)) => Value::Object(map),
                None => panic!("an end without its begin"),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => root = done,
            Some(Open::List(list)) => list.push(done),
            Some(Open::Map(map, key)) => drop(map.insert(key.take().unwrap(), done)),
        }
    }
    root
}
