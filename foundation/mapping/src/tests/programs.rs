//! jq within bounds.

use std::time::{Duration, Instant};

use super::value;
use crate::jq::{JqError, Program};
use crate::{Limits, json};

fn run(program: &str, input: &str) -> String {
    match Program::compile(program)
        .unwrap_or_else(|mistake| panic!("{program}: {mistake}"))
        .run(&value(input), &Limits::default())
    {
        Ok(Some(value)) => json::write(&value),
        Ok(None) => "nothing".into(),
        Err(error) => format!("! {error:?}"),
    }
}

#[test]
fn programs_reshape() {
    let input = r#"{"items":[{"sku":"A","n":2,"tags":["x","y"]},{"sku":"B","n":1,"tags":[]}],"d":12.30,"big":12345678901234567890}"#;
    for (program, output) in [
        (".items | map(.sku)", r#"["A","B"]"#),
        ("[.items[] | {sku, n}]", r#"[{"sku":"A","n":2},{"sku":"B","n":1}]"#),
        (".items | map(.n) | add", "3"),
        ("[.items[].n] | add / length | . * 2", "! Inexact"),
        (".items | group_by(.n) | map(length)", "[1,1]"),
        (".items | sort_by(.n) | .[0].sku", "\"B\""),
        (".items | map({key: .sku, value: .n}) | from_entries", r#"{"A":2,"B":1}"#),
        ("[.items[] | select(.n > 1) | .sku] | join(\",\")", "\"A\""),
        ("[.items[] | .sku] | join(\"-\")", "\"A-B\""),
        (".items | map(.tags[]) | unique | length", "2"),
        ("reduce .items[] as $i (0; . + $i.n)", "3"),
        ("\"\\(.items[0].sku)/\\(.items | length)\"", "\"A/2\""),
        (".items |= map(.n += 1) | .items[0].n", "3"),
        ("del(.items) | keys", r#"["big","d"]"#),
        (".none", "nothing"),
        ("empty", "nothing"),
        (".items[]", "! Several"),
        (".items | .a", "! Failed"),
        ("error(\"x\")", "! Failed"),
        ("try error(\"x\") catch .", "\"x\""),
        (".d", "12.30"),
        (".big", "12345678901234567890"),
        ("[.d, .big, 0.10, -1.50]", "[12.30,12345678901234567890,0.10,-1.50]"),
        (".big + 1", "12345678901234567891"),
        (".d * 2", "! Inexact"),
        (".d + 1", "! Inexact"),
        ("try (.d + 1) catch 0", "! Inexact"),
        ("[.d, 1] | add", "! Inexact"),
        ("7 / 2", "! Inexact"),
        ("6 / 2", "3"),
        ("1 / 0", "! Inexact"),
        ("\"12.50\" | tonumber", "12.50"),
        ("\"x\" | tonumber", "! Failed"),
        ("\"a-b-c\" | gsub(\"-\"; \"\")", "\"abc\""),
        ("\"a1b22\" | [scan(\"[0-9]+\")]", r#"["1","22"]"#),
        ("\"a,b\" | split(\",\")", r#"["a","b"]"#),
        ("\"x\" | @base64", "\"eA==\""),
        ("def f(g): [.[] | g]; .items | f(.n)", "[2,1]"),
        ("[limit(2; .items[].tags[])]", r#"["x","y"]"#),
        ("[range(3)]", "[0,1,2]"),
        ("[.items[] as {sku: $s, n: $n} | [$s, $n]]", r#"[["A",2],["B",1]]"#),
        ("[.. | numbers] | length", "4"),
        ("with_entries(.key |= ascii_upcase) | keys", r#"["BIG","D","ITEMS"]"#),
        (".items | map(.n) | [min, max]", "[1,2]"),
        ("[.items[].sku] | index(\"B\")", "1"),
        ("{a: {b: 1}} | .a.b |= . + 1 | .a.b", "2"),
        ("if .items | length > 1 then \"many\" else \"few\" end", "\"many\""),
        (".items[-1].sku", "\"B\""),
        ("[.items[1:][] | .sku]", r#"["B"]"#),
        ("{\"a\": null} | .a // \"x\"", "\"x\""),
    ] {
        assert_eq!(run(program, input), output, "{program}");
    }
}

#[test]
fn what_may_not_end_or_look_outside_is_refused() {
    for (program, why) in [
        ("until(. > 3; . + 1)", "`until` is refused: it may never end"),
        ("[while(true; .)]", "`while` is refused: it may never end"),
        ("repeat(.)", "`repeat` is refused"),
        ("[recurse(.a)]", "`recurse` is refused"),
        ("def f: f; f", "`f` calls itself, and may never end"),
        ("def f: 1 + f; f", "`f` calls itself"),
        ("def f(g): def h: f(g); h; f(.)", "`f` calls itself"),
        ("[range(.n)]", "`range` is refused where its ends are no numbers up to 10000"),
        ("[range(1000000000)]", "`range` is refused where"),
        ("[limit(3; repeat(1))]", "`repeat` is refused"),
        ("input", "`input` is refused: there is one input"),
        ("[inputs]", "`inputs` is refused"),
        ("env", "`env` is refused: a translation neither reads"),
        ("$ENV.PATH", "`$ENV` is refused"),
        ("now", "`now` is refused: dates are for the table"),
        ("debug", "`debug` is refused"),
        ("halt", "`halt` is refused"),
        ("getpath([\"a\"])", "`getpath` is refused: a path that is data"),
        ("fromjson", "`fromjson` is refused"),
        ("test(.p)", "the pattern and the flags of `test` are literal texts"),
        ("gsub(.p; \"\")", "the pattern and the flags of `gsub`"),
        ("indices(.x)", "the argument of `indices` is a constant"),
        ("frobnicate", "there is no function `frobnicate`"),
        ("lenght", "there is no function `lenght`; did you mean `length`?"),
        ("$x", "there is no `$x`"),
        (".a |", "at the end: term is missing"),
        (".a )", "line 1, column 4"),
        ("_step", "there is no function `_step`"),
        ("def _tick: .; 1", "`_tick`: a function's name does not begin with `_`"),
    ] {
        let mistake = Program::compile(program).map(|_| ()).unwrap_err().to_string();
        assert!(mistake.starts_with(why), "{program}: {mistake}");
    }
    for program in [
        "(".repeat(2000),
        "[".repeat(2000),
        "-".repeat(4000),
        ".|".repeat(2000) + ".",
        "try ".repeat(1000) + ".",
    ] {
        assert!(Program::compile(&program).is_err());
    }
    assert!(Program::compile(&" ".repeat(5000)).is_err());
}

#[test]
fn what_goes_on_for_too_long_is_ended() {
    let items: Vec<String> = (0..2000).map(|at| at.to_string()).collect();
    let input = format!("[{}]", items.join(","));
    let doubled = ". + .".to_owned() + &" | . + .".repeat(60);
    for program in [
        "[.[] as $a | .[] as $b | .[] as $c | 1] | length",
        "[range(10000) as $a | range(10000) as $b | 1] | length",
        "try [.[] as $a | .[] as $b | .[] as $c | 1] catch 1",
        "[.[] as $a | .[] as $b | .[] as $c | select($a == $b)] | length",
        "reduce range(1000) as $i (.; . + .)",
        "reduce range(1000) as $i (\"abcdefgh\"; . + .)",
        "reduce range(100) as $i (.; [., .]) | tojson",
        "reduce range(100) as $i (.; [., .]) | length",
        "reduce range(60) as $i (.; [., .]) | . == .",
        "reduce range(60) as $i (.; [., .]) | [..] | length",
        "reduce range(60) as $i (.; [., .]) | flatten",
        "reduce range(10000) as $i (.; [.])",
        "reduce .[] as $i (.; {a: .})",
        "tojson as $t | [.[] | $t] | add | length",
        "tojson as $t | [.[] | $t] | join($t) | length",
        "tojson as $t | [.[] | \"\\($t)\\($t)\"] | length",
        "tojson * 1000000 | length",
        "tojson as $t | [.[] | $t | gsub(\"1\"; \"2\")] | length",
        ". as $all | map($all - .) ",
        "(.. |= [.])",
        doubled.as_str(),
    ] {
        let compiled = Program::compile(program).unwrap_or_else(|mistake| panic!("{program}: {mistake}"));
        let start = Instant::now();
        let result = compiled.run(&value(&input), &Limits::default());
        let taken = start.elapsed();
        // Without optimisation, and beside other tests.
        assert!(taken < Duration::from_secs(8), "{program}: {taken:?}");
        match result {
            Err(
                JqError::TooMuchWork
                | JqError::TooSlow
                | JqError::NoJson
                | JqError::Failed
                | JqError::Inexact,
            ) => {}
            Ok(Some(found)) if found.nodes() < 200_000 => {}
            other => panic!("{program}: {other:?}"),
        }
    }
}

#[test]
fn what_is_spent_cannot_be_caught() {
    let limits = Limits { jq_work: 1000, ..Limits::default() };
    let items = format!("[{}]", vec!["1"; 2000].join(","));
    for program in
        ["try map(.) catch 1", "(map(.))? // 2", "[.[] | try . catch 3] | length", "first(map(.), 4)"]
    {
        let program = Program::compile(program).unwrap();
        assert_eq!(program.run(&value(&items), &limits), Err(JqError::TooMuchWork));
    }
    let limits = Limits { jq_time: Duration::ZERO, ..Limits::default() };
    assert_eq!(Program::compile("map(.)").unwrap().run(&value(&items), &limits), Err(JqError::TooSlow));
}
