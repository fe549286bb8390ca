//! What is refused, where, and in which words.

use dozen_core::Diagnose;
use proptest::prelude::*;

use crate::{Expression, Kind, Mistake, Scope};

fn mistake(text: &str) -> Mistake {
    match Expression::for_messages(text) {
        Ok(_) => panic!("{text} was accepted"),
        Err(mistake) => mistake,
    }
}

#[test]
fn a_mistake_has_its_place_its_words_and_what_would_be_right() {
    // (text, line, column, words of the problem, words of the hint)
    let table = [
        ("", 1, 1, "empty", "`true`"),
        (r#"type = "a""#, 1, 6, "`=` is no operator", "`==`"),
        ("type & id", 1, 6, "`&` is no operator", "`&&`"),
        (r#"type == "a"#, 1, 9, "not closed", "backslash"),
        (r#"type.matches("\.")"#, 1, 14, "escape", "backslash"),
        ("type == “a”", 1, 9, "does not begin a text", "use \""),
        ("data.total >", 1, 13, "ends too early", ""),
        ("(data.total > 1", 1, 16, "`)` is missing", ""),
        ("data.total > 1)", 1, 15, "`)` cannot stand here", ""),
        ("data.a and data.b", 1, 8, "`and` cannot stand here", "`&&`"),
        ("not data.a", 1, 5, "`data` cannot stand here", "`!`"),
        ("type <> id", 1, 7, "`>` cannot stand here", "`!=`"),
        ("data.?a == 1", 1, 5, "optional values", "has"),
        ("has(data)", 1, 5, "`has` takes a member", "has(data.total)"),
        ("99999999999999999999 == 1", 1, 1, "int", ""),
        ("dta.total > 1", 1, 1, "no variable `dta`", "did you mean `data`?"),
        ("true &&\n  (\"é\" == typ)", 2, 11, "no variable `typ`", "did you mean `type`?"),
        ("warehouse == 1", 1, 1, "no variable `warehouse`", "there are `attributes`, `data`"),
        ("data.all(item, itm > 1)", 1, 16, "no variable `itm`", "`item`"),
        (r#"type.startWith("a")"#, 1, 6, "no function `startWith`", "`startsWith`"),
        (r#"startsWith(type, "a")"#, 1, 1, "not called like this", "type.startsWith"),
        ("data.items.all(item)", 1, 12, "not called like this", "data.items.all(item"),
        ("now() > time", 1, 1, "no function `now`", ""),
        ("optional.of(1) == 1", 1, 10, "no function `of`", ""),
        ("type", 1, 1, "a text, and must be a boolean", "compare"),
        ("1 + 1", 1, 3, "a number, and must be a boolean", ""),
        ("data.a && type", 1, 11, "`&&` takes a boolean, and this is a text", ""),
        ("!type", 1, 2, "takes a boolean", ""),
        ("type == 5", 1, 6, "a text is never equal to a number", "convert"),
        (r#"time > "2026-01-01""#, 1, 6, "a moment cannot be compared with a text", "timestamp("),
        (r#"timestamp("today") < time"#, 1, 11, "no RFC 3339", "timestamp("),
        ("type - 1 == 2", 1, 1, "`-` takes a number, and this is a text", ""),
        ("type.name == 1", 1, 5, "a text has no member `name`", ""),
        (r#""a" in type"#, 1, 5, "a list or a map", "`contains`"),
        ("type.all(c, true)", 1, 1, "no elements", ""),
        (r#"type.matches("(")"#, 1, 14, "the pattern cannot be read: unclosed group", ""),
        (r#"type.matches("(a{1000}){1000}")"#, 1, 14, "repeats too much", ""),
        ("type.matches(data.pattern)", 1, 18, "a pattern that is written here", "matches("),
        ("a.b{c: 1} == 1", 1, 4, "no type `a.b`", "a map"),
        ("attributes == 1", 1, 12, "a map is never equal to a number", ""),
    ];
    for (text, line, column, problem, hint) in table {
        let found = mistake(text);
        let told = found.to_string();
        assert!(found.problem.contains(problem), "{text}: {told}");
        assert!(found.hint.as_deref().unwrap_or("").contains(hint), "{text}: {told}");
        assert_eq!((found.line, found.column), (line, column), "{text}: {told}");
    }
    assert_eq!(
        mistake("dta").to_string(),
        "line 1, column 1: there is no variable `dta`; did you mean `data`?"
    );
    assert_eq!(mistake("dta").page(), "invalid-expression");
}

proptest! {
    /// No text panics, whatever it is; and the place of a mistake is inside it.
    #[test]
    fn no_text_panics(text in ".{0,60}") {
        judge(&text)?;
    }

    /// The same for texts that look like expressions.
    #[test]
    fn no_text_of_likely_words_panics(words in prop::collection::vec(prop::sample::select(WORDS), 0..24)) {
        judge(&words.concat())?;
    }
}

const WORDS: &[&str] = &[
    "data",
    ".total",
    "type",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "==",
    "!=",
    "<",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "?",
    ":",
    ",",
    " ",
    "1",
    "1u",
    "0.5",
    "0x1f",
    "\"a\"",
    "'b'",
    "r\"\\d\"",
    "b'x'",
    "true",
    "null",
    ".all(x,",
    ".map(x,",
    ".map(x,y,",
    "has(",
    "size(",
    ".matches(",
    "timestamp(",
    " in ",
    "x",
    "\n",
    "//",
    ".?",
    "[?",
    "`",
    "\\",
    "\"",
    "é",
    "\u{1F600}",
    "\0",
];

fn judge(text: &str) -> Result<(), TestCaseError> {
    match Expression::for_messages(text) {
        Ok(expression) => drop(expression.matches(&super::order())),
        Err(mistake) => {
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(mistake.line >= 1 && mistake.line <= lines.len(), "{mistake}");
            prop_assert!(
                mistake.column >= 1 && mistake.column <= lines[mistake.line - 1].chars().count() + 1,
                "{mistake}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_kind_is_checked_only_where_it_is_declared() {
    let scope = Scope::of([("anything", Kind::Any)]);
    for text in ["anything", "anything > 1", "anything.a.b", "anything == 'a'", "anything.startsWith('a')"] {
        assert!(Expression::compile(text, &scope).is_ok(), "{text}");
    }
}
