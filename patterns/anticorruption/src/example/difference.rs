//! How a result differs from the one that an example wants: field by field.

use dozen_mapping::{Value, json};

use super::check::shown;

/// Differences of one result that are told.
const TOLD_MAX: usize = 20;

/// One line for each field that is not as it is wanted; none where both mean the same.
pub(super) fn differences(wanted: &Value, got: &Value) -> Vec<String> {
    let mut told = Vec::new();
    compare("", wanted, got, &mut told);
    if told.len() > TOLD_MAX {
        let more = told.len() - TOLD_MAX;
        told.truncate(TOLD_MAX);
        told.push(format!("and {more} more"));
    }
    told
}

fn compare(path: &str, wanted: &Value, got: &Value, told: &mut Vec<String>) {
    if wanted.means(got) {
        return;
    }
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (name, wanted) in wanted.iter() {
                let path = join(path, name);
                match got.get(name) {
                    Some(got) => compare(&path, wanted, got, told),
                    None => told.push(format!("`{path}` is missing; wanted {}", text(wanted))),
                }
            }
            for (name, got) in got.iter().filter(|(name, _)| wanted.get(name).is_none()) {
                told.push(format!("`{}` is {}, and is not wanted", join(path, name), text(got)));
            }
        }
        (Value::List(wanted), Value::List(got)) if wanted.len() == got.len() => {
            for (at, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                compare(&format!("{path}[{at}]"), wanted, got, told);
            }
        }
        (Value::List(wanted), Value::List(got)) => {
            told.push(format!("{} has {} items; wanted {}", place(path), got.len(), wanted.len()));
        }
        (wanted, got) => told.push(format!("{} is {}; wanted {}", place(path), text(got), text(wanted))),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn place(path: &str) -> String {
    if path.is_empty() { "the result".into() } else { format!("`{path}`") }
}

fn text(value: &Value) -> String {
    shown(&json::write(value))
}

#[cfg(test)]
mod tests {
    use dozen_mapping::{Limits, json};

    use super::differences;

    #[test]
    fn each_field_that_differs_is_told_by_its_path() {
        let value = |text: &str| json::read(text, &Limits::default()).unwrap();
        let told = |wanted: &str, got: &str| differences(&value(wanted), &value(got));
        assert!(told(r#"{"a":1,"b":2.0}"#, r#"{"b":2,"a":1}"#).is_empty());
        assert_eq!(
            told(
                r#"{"a":{"b":[1,{"c":"x"}]},"d":[1],"e":0}"#,
                r#"{"a":{"b":[1,{"c":"y"}]},"d":[],"f":null}"#
            ),
            [
                "`a.b[1].c` is \"y\"; wanted \"x\"",
                "`d` has 0 items; wanted 1",
                "`e` is missing; wanted 0",
                "`f` is null, and is not wanted",
            ]
        );
        assert_eq!(told("[]", "7"), ["the result is 7; wanted []"]);
    }
}
