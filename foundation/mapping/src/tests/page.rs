//! The examples of the page on the language are run as they stand there.
//!
//! A block says in the second word of its first line what it is: `format` how documents are read (without it, the
//! language of the block), `in` a document, `map` a table, `rule` a rule, `out` what comes out, `refused` what is wrong with
//! the table, `fails` why a document is not translated, `back` what the opposite table makes of `out`.

use super::{format, yaml};
use crate::{Format, Limits, Mapping, Options, Value, json};

#[test]
fn every_example_of_the_page_is_true() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mapping.md")).unwrap();
    let limits = Limits::default();
    let (mut declared, mut input, mut mapping): (
        Option<Format>,
        Option<Value>,
        Option<Result<Mapping, String>>,
    ) = (None, None, None);
    let mut made = Value::Null;
    let mut run = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (head, body) = block.split_once('\n').unwrap();
        let (language, role) = head.split_once(' ').unwrap_or((head, ""));
        match role {
            "format" => declared = Some(format(body)),
            "in" => {
                let own = declared.take().unwrap_or_else(|| format(language));
                input = Some(own.decode(body.as_bytes(), None, &limits).unwrap());
            }
            "map" | "rule" => {
                let written = yaml::read(body);
                let compiled = match role {
                    "map" => Mapping::table(&written, "map", &Options::default()),
                    _ => Mapping::rule(&written, "", &Options::default()),
                };
                mapping = Some(compiled.map_err(|mistakes| mistakes.to_string()));
            }
            "out" => {
                let mapping =
                    mapping.as_ref().unwrap().as_ref().unwrap_or_else(|mistake| panic!("{mistake}\n{body}"));
                let translated = mapping.apply(input.as_ref().unwrap(), &limits);
                made = translated.unwrap_or_else(|failure| panic!("{failure}\n{body}")).value;
                assert_eq!(json::write(&made), json::write(&json::read(body, &limits).unwrap()));
                run += 1;
            }
            "back" => {
                let back = mapping.as_ref().unwrap().as_ref().unwrap().reversed().unwrap();
                let translated = back.apply(&made, &limits).unwrap();
                assert_eq!(json::write(&translated.value), json::write(&json::read(body, &limits).unwrap()));
                run += 1;
            }
            "refused" => {
                let mistake = mapping.as_ref().unwrap().as_ref().err().unwrap();
                assert_eq!(*mistake, body.split_whitespace().collect::<Vec<_>>().join(" "));
                run += 1;
            }
            "fails" => {
                let mapping = mapping.as_ref().unwrap().as_ref().unwrap();
                let failure = mapping.apply(input.as_ref().unwrap(), &limits).unwrap_err();
                assert_eq!(failure.to_string(), body.split_whitespace().collect::<Vec<_>>().join(" "));
                run += 1;
            }
            "" => {}
            other => panic!("a block is no `{other}`"),
        }
    }
    assert!(run >= 10, "{run} examples");
}
