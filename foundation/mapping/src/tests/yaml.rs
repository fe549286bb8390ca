//! YAML as a tree, for tests: the language is written in it.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::{Number, Object, Value};

enum Open {
    List(Vec<Value>),
    Map(Object, Option<String>),
}

pub(super) fn read(text: &str) -> Value {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let done = match event.unwrap_or_else(|error| panic!("no YAML: {error}: {text}")).0 {
            Event::Scalar(text, style, ..) => {
                // A key is a text whatever it looks like.
                if let Some(Open::Map(_, key @ None)) = open.last_mut() {
                    *key = Some(text.to_string());
                    continue;
                }
                scalar(&text, style == ScalarStyle::Plain)
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Object::default(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::List(list),
                Some(Open::Map(object, _)) => Value::Object(object),
                None => panic!("nothing is open"),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => root = done,
            Some(Open::List(list)) => list.push(done),
            Some(Open::Map(object, key)) => {
                object.insert(key.take().unwrap().into(), done);
            }
        }
    }
    root
}

fn scalar(text: &str, plain: bool) -> Value {
    match text {
        _ if !plain => Value::text(text),
        "" | "null" | "~" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => Number::parse(text).map_or_else(|| Value::text(text), Value::Number),
    }
}
