//! What tables make.

use super::{format, made, table, value, yaml};
use crate::{Limits, Mapping, Options, json};

#[test]
fn one_path_reads_json_and_xml() {
    let mapping =
        table("{ a: 'order.items[0].sku!', b: 'order.\"a.b\"!', c: '$.order.n?', d: 'order.none?' }");
    let input = value(r#"{"order":{"items":[{"sku":"A"},{"sku":"B"}],"a.b":1.50,"n":12345678901234567890}}"#);
    assert_eq!(made(&mapping, &input), r#"{"a":"A","b":1.50,"c":12345678901234567890}"#);
    let xml = format("{ xml: { ns: { s: 'urn:e' } } }");
    let document = "<s:O xmlns:s='urn:e' id='1'><It.em code='A'>x</It.em><s:P>2</s:P></s:O>";
    let input = xml.decode(document.as_bytes(), None, &Limits::default()).unwrap();
    let mapping =
        table("{ id: 's:O/@id!', item: 's:O/It.em/@code!', text: 's:O/It.em/#text!', p: 's:O/s:P/#text!' }");
    assert_eq!(made(&mapping, &input), r#"{"id":"1","item":"A","text":"x","p":"2"}"#);
}

#[test]
fn cardinality_is_what_the_table_says_and_not_what_came() {
    let mapping =
        table("{ lines: { each: Order/Item, map: { sku: '@code!' } }, all: 'Order/Item[*]/@code' }");
    for (document, lines) in [
        ("<Order/>", r#"{"lines":[],"all":[]}"#),
        ("<Order><Item code='A'/></Order>", r#"{"lines":[{"sku":"A"}],"all":["A"]}"#),
        (
            "<Order><Item code='A'/><Item code='B'/></Order>",
            r#"{"lines":[{"sku":"A"},{"sku":"B"}],"all":["A","B"]}"#,
        ),
    ] {
        let input = format("xml").decode(document.as_bytes(), None, &Limits::default()).unwrap();
        assert_eq!(made(&mapping, &input), lines);
    }
    let one = table("{ sku: 'items.sku!' }");
    assert_eq!(made(&one, &value(r#"{"items":[{"sku":"A"}]}"#)), r#"{"sku":"A"}"#);
    assert_eq!(
        made(&one, &value(r#"{"items":[{"sku":"A"},{"sku":"B"}]}"#)),
        "! `sku` from `items.sku`: 2 values are there, where one belongs"
    );
    assert_eq!(made(&one, &value(r#"{"items":[]}"#)), "! `sku` from `items.sku`: nothing is there");
    let some = table("{ skus: 'items[*].sku!' }");
    assert_eq!(made(&some, &value(r#"{"items":[]}"#)), "! `skus` from `items[*].sku`: nothing is there");
}

/// What a conversion makes of a text: JSON, `-` for nothing, or `!` where it fails.
fn convert(conversion: &str, text: &str) -> String {
    let map = format!(
        "{{ v: {{ from: v, as: '{}', default: '-', on-error: omit }} }}",
        conversion.replace('\'', "''")
    );
    let input = crate::Value::object([("v", crate::Value::text(text))]);
    match made(&table(&map), &input).as_str() {
        "{}" => "!".into(),
        r#"{"v":"-"}"# => "-".into(),
        made => made.strip_prefix(r#"{"v":"#).unwrap().strip_suffix('}').unwrap().to_owned(),
    }
}

#[test]
fn numbers_are_converted_without_loss() {
    for (conversion, text, result) in [
        ("integer", " 0042 ", "42"),
        ("integer", "12345678901234567890", "12345678901234567890"),
        ("integer", "1.0", "1"),
        ("integer", "1.5", "!"),
        ("integer", "1,000", "!"),
        ("integer", "", "-"),
        ("decimal", "12.30", "12.30"),
        ("decimal", "0.1000000000000000000001", "0.1000000000000000000001"),
        ("decimal", "1e3", "1000"),
        ("decimal", "abc", "!"),
        ("decimal(2)", "1.5", "1.50"),
        ("decimal(2)", "1.505", "!"),
        ("decimal(2)", "1.500", "1.50"),
        ("decimal(2, half-even)", "1.505", "1.50"),
        ("decimal(2, half-up)", "1.505", "1.51"),
        ("decimal(2, comma)", "1234,5", "1234.50"),
        ("decimal(2, comma)", "1.234,5", "!"),
        ("decimal(2, comma, grouped)", "1.234.567,5", "1234567.50"),
        ("decimal(2, comma, grouped)", "12.34,5", "!"),
        ("decimal(grouped)", "-1,234.5", "-1234.5"),
        ("decimal(2, implied)", "0001230", "12.30"),
        ("decimal(2, implied)", "-5", "-0.05"),
        ("decimal(2, implied)", "1.5", "!"),
        ("decimal(2, text)", "7", "\"7.00\""),
        ("money(EUR)", "12.3", r#"{"amount":"12.30","currency":"EUR"}"#),
        ("money(JPY)", "12", r#"{"amount":"12","currency":"JPY"}"#),
        ("money(JPY)", "12.5", "!"),
        ("money(KWD)", "1.5", r#"{"amount":"1.500","currency":"KWD"}"#),
        ("money(EUR, half-up)", "1.005", r#"{"amount":"1.01","currency":"EUR"}"#),
        ("money(EUR, implied)", "1230", r#"{"amount":"12.30","currency":"EUR"}"#),
    ] {
        assert_eq!(convert(conversion, text), result, "{conversion} {text}");
    }
}

#[test]
fn moments_are_converted_by_pattern_and_zone() {
    for (conversion, text, result) in [
        ("date", "2026-01-31", "\"2026-01-31\""),
        ("date", "2026-02-30", "!"),
        ("date(\"dd.MM.yyyy\")", "31.01.2026", "\"2026-01-31\""),
        ("date(\"dd.MM.yyyy\")", "1.1.2026", "!"),
        ("date(\"d.M.yyyy\")", "1.1.2026", "\"2026-01-01\""),
        ("date(\"yyyyMMdd\")", "20260131", "\"2026-01-31\""),
        ("date(\"yyyyMMdd\")", "20260131x", "!"),
        ("date(\"yyMMdd\")", "690101", "\"1969-01-01\""),
        ("date(\"dd MMM yyyy\")", "31 jan 2026", "\"2026-01-31\""),
        ("date(\"yyyy-MM-dd HH:mm:ssXXX\", zone: Asia/Tokyo)", "2026-01-31 20:00:00Z", "\"2026-02-01\""),
        ("timestamp", "2026-01-31T12:00:00+01:00", "\"2026-01-31T11:00:00Z\""),
        ("timestamp", "2026-01-31T12:00:00", "!"),
        (
            "timestamp(\"dd.MM.yyyy HH:mm\", zone: Europe/Berlin)",
            "31.01.2026 12:00",
            "\"2026-01-31T11:00:00Z\"",
        ),
        ("timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berlin)", "31.07.2026 12:00", "\"2026-07-31T10:00:00Z\""),
        // The clocks go forward, and back.
        ("timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berlin)", "29.03.2026 02:30", "!"),
        ("timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berlin)", "25.10.2026 02:30", "!"),
        (
            "timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berlin, earlier)",
            "25.10.2026 02:30",
            "\"2026-10-25T00:30:00Z\"",
        ),
        (
            "timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berlin, later)",
            "25.10.2026 02:30",
            "\"2026-10-25T01:30:00Z\"",
        ),
        ("timestamp(\"M/d/yyyy h:mm a\", America/New_York)", "1/5/2026 12:05 AM", "\"2026-01-05T05:05:00Z\""),
        ("timestamp(\"yyyyMMddHHmmss\", UTC)", "20260131235960", "!"),
        ("timestamp(epoch)", "1769860800", "\"2026-01-31T12:00:00Z\""),
        ("timestamp(epoch)", "1769860800.5", "\"2026-01-31T12:00:00.5Z\""),
        ("timestamp(epoch-ms)", "1769860800250", "\"2026-01-31T12:00:00.25Z\""),
        ("date(epoch, zone: Pacific/Auckland)", "1769860800", "\"2026-02-01\""),
    ] {
        assert_eq!(convert(conversion, text), result, "{conversion} {text}");
    }
    assert_eq!(
        convert("timestamp(\"yyyy-MM-dd'T'HH:mm:ss.SSSZ\")", "2026-01-31T12:00:00.250-0500"),
        "\"2026-01-31T17:00:00.25Z\""
    );
}

#[test]
fn texts_booleans_and_words() {
    for (conversion, text, result) in [
        ("text", " x ", "\" x \""),
        ("text", "", "\"\""),
        ("text(trim)", " x ", "\"x\""),
        ("boolean", "true", "true"),
        ("boolean", "1", "!"),
        ("boolean(Y, N)", " Y ", "true"),
        ("boolean(1, 0)", "0", "false"),
        ("boolean(Y, N)", "y", "!"),
        ("boolean(Y, N)", " ", "-"),
    ] {
        assert_eq!(convert(conversion, text), result, "{conversion} {text}");
    }
    let words = table("{ a: { from: s, enum: { A: active, B: { code: 2 }, _: error }, required: true } }");
    assert_eq!(made(&words, &value(r#"{"s":" A "}"#)), r#"{"a":"active"}"#);
    assert_eq!(made(&words, &value(r#"{"s":"B"}"#)), r#"{"a":{"code":2}}"#);
    assert_eq!(made(&words, &value(r#"{"s":"C"}"#)), "! `a` from `s`: the word that is there is not listed");
    let other = table("{ a: { from: s, enum: { '1': one, _: { value: error } }, default: none } }");
    assert_eq!(made(&other, &value(r#"{"s":1}"#)), r#"{"a":"one"}"#);
    assert_eq!(made(&other, &value(r#"{"s":2}"#)), r#"{"a":"error"}"#);
    assert_eq!(made(&other, &value(r#"{"s":""}"#)), r#"{"a":"none"}"#);
}

#[test]
fn the_text_of_an_element_counts_where_it_has_attributes() {
    let mapping = table("{ p: { from: P, as: decimal, default: null } }");
    for (document, made_of_it) in [
        (r##"{"P":{"@cur":"EUR","#text":"1.50"}}"##, r#"{"p":1.50}"#),
        (r#"{"P":{"@cur":"EUR"}}"#, r#"{"p":null}"#),
        (r#"{"P":{"a":"1"}}"#, "! `p` from `P`: the object that is there is no decimal"),
        (r#"{"P":true}"#, "! `p` from `P`: the boolean that is there is no decimal"),
        (r#"{"P":null}"#, r#"{"p":null}"#),
        ("{}", r#"{"p":null}"#),
    ] {
        assert_eq!(made(&mapping, &value(document)), made_of_it, "{document}");
    }
}

#[test]
fn what_fails_takes_its_branch_and_is_counted() {
    let mapping = table(
        "{ a: { from: x, as: integer, on-error: null }, b: { from: x, as: integer, on-error: omit },
           c: { from: x, as: integer, default: 7, on-error: default }, d: { from: x, as: integer, default: 7 } }",
    );
    assert_eq!(made(&mapping, &value("{}")), r#"{"a":null,"c":7,"d":7}"#);
    assert_eq!(
        made(&mapping, &value(r#"{"x":"?"}"#)),
        "! `d` from `x`: the text that is there is no integer"
    );
    let three = table(
        "{ a: { from: x, as: integer, on-error: null }, b: { from: x, as: integer, on-error: omit },
           c: { from: x, as: integer, default: 7, on-error: default } }",
    );
    let translated = three.apply(&value(r#"{"x":"?"}"#), &Limits::default()).unwrap();
    assert_eq!(json::write(&translated.value), r#"{"a":null,"c":7}"#);
    assert_eq!(translated.fallbacks_total, 3);
    assert_eq!(
        (translated.fallbacks[1].rule.as_str(), translated.fallbacks[1].problem.label()),
        ("map.b", "conversion")
    );
    assert_eq!(three.apply(&value("{}"), &Limits::default()).unwrap().fallbacks_total, 0);
}

#[test]
fn an_item_that_fails_has_its_place_and_may_be_left_out() {
    let strict =
        table("{ lines: { each: { from: items, map: { n: { from: n, as: integer, required: true } } } } }");
    let input = value(r#"{"items":[{"n":1},{"n":"x"},{"n":3}]}"#);
    let failure = strict.apply(&input, &Limits::default()).unwrap_err();
    assert_eq!((failure.rule.as_str(), failure.target.as_str()), ("map.lines.each.map.n", "lines[1].n"));
    let lenient = table(
        "{ lines: { each: { from: items, on-error: omit, map: { n: { from: n, as: integer, required: true } } } } }",
    );
    let translated = lenient.apply(&input, &Limits::default()).unwrap();
    assert_eq!(json::write(&translated.value), r#"{"lines":[{"n":1},{"n":3}]}"#);
    assert_eq!(translated.fallbacks[0].target, "lines[1].n");
    let around = table("{ a: { from: items, count: many, as: integer, on-error: null }, b: { value: 1 } }");
    assert_eq!(made(&around, &value(r#"{"items":[1,"x"]}"#)), r#"{"a":null,"b":1}"#);
    assert_eq!(made(&around, &value(r#"{"items":["1",2]}"#)), r#"{"a":[1,2],"b":1}"#);
}

#[test]
fn objects_lists_and_scopes_nest() {
    let mapping = table(
        "{ id: 'id!', customer: { from: customer, default: null, map: { name: 'name!', order: '^.id!' } },
           groups: { each: groups, map: { name: 'name!', items: { each: { from: items,
             map: { sku: '.!', group: '^.name!', order: '$.id!', outer: '^^.id!' } } } } },
           address: { map: { street: 'street?', kind: { value: home } } } }",
    );
    let input = value(
        r#"{"id":7,"customer":{"name":"Ann"},"groups":[{"name":"g","items":["A","B"]},{"name":"h","items":[]}],"street":"S"}"#,
    );
    assert_eq!(
        made(&mapping, &input),
        concat!(
            r#"{"id":7,"customer":{"name":"Ann","order":7},"groups":[{"name":"g","items":[{"sku":"A","group":"g","order":7,"outer":7},"#,
            r#"{"sku":"B","group":"g","order":7,"outer":7}]},{"name":"h","items":[]}],"address":{"street":"S","kind":"home"}}"#
        )
    );
}

#[test]
fn conditions_choose_fields_and_items() {
    let mapping = table(
        "{ note: { from: note, when: 'item.kind == \"x\"', required: true },
           big: { each: { from: items, when: 'item.n > root.least', map: { n: 'n!' } }, on-error: null } }",
    );
    let input = value(r#"{"kind":"x","note":"N","least":1,"items":[{"n":1},{"n":2},{"n":3}]}"#);
    assert_eq!(made(&mapping, &input), r#"{"note":"N","big":[{"n":2},{"n":3}]}"#);
    let input = value(r#"{"kind":"y","items":[]}"#);
    assert_eq!(made(&mapping, &input), r#"{"big":[]}"#);
    let failure = mapping.apply(&value("{}"), &Limits::default()).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "`note`: `when` cannot be decided: there is no `kind`; ask `has(…)` first"
    );
}

#[test]
fn templates_and_alternatives() {
    let mapping = table(
        "{ street: { template: '{Street} {{{No}}}', default: none }, mail: { from: [mail, contact.mail], default: '' } }",
    );
    assert_eq!(
        made(&mapping, &value(r#"{"Street":"Main","No":5,"contact":{"mail":"a@b"}}"#)),
        r#"{"street":"Main {5}","mail":"a@b"}"#
    );
    assert_eq!(made(&mapping, &value(r#"{"Street":"Main","mail":"x"}"#)), r#"{"street":"none","mail":"x"}"#);
    assert_eq!(
        made(&mapping, &value(r#"{"Street":["a","b"],"No":1}"#)),
        "! `street` from `Street`: 2 values are there, where one belongs"
    );
}

#[test]
fn a_rule_alone_makes_a_list() {
    let rule = yaml::read("{ each: ., map: { sku: a!, n: { from: b, as: integer, default: 0 } } }");
    let mapping = Mapping::rule(&rule, "", &Options::default()).unwrap();
    let rows = format("csv").decode(b"a,b\nx,1\ny,\n", None, &Limits::default()).unwrap();
    assert_eq!(made(&mapping, &rows), r#"[{"sku":"x","n":1},{"sku":"y","n":0}]"#);
}

#[test]
fn a_small_input_cannot_make_a_large_result() {
    let items = vec!["1"; 3000].join(",");
    let input = value(&format!(r#"{{"items":[{items}],"text":"{}"}}"#, "x".repeat(100_000)));
    let square = table("{ a: { each: { from: items, map: { all: '$.items[*]' } } } }");
    let failure = square.apply(&input, &Limits::default()).unwrap_err();
    assert_eq!(failure.problem.label(), "too_much");
    let copies = table("{ a: { each: { from: items, map: { t: '$.text!' } } } }");
    assert!(
        copies
            .apply(&input, &Limits::default())
            .unwrap_err()
            .to_string()
            .contains("bytes of text in its result")
    );
    let walks = table(
        "{ a: { each: { from: items, on-error: omit, map: { t: { from: '$.items', on-error: null } } } } }",
    );
    let failure = walks.apply(&input, &Limits::default()).unwrap_err();
    assert!(failure.to_string().contains("more than 5000000 values to look at"), "{failure}");
    let asks = table(
        "{ a: { each: { from: items, when: 'size(root.items) < 0', map: { t: '.!' } }, on-error: null } }",
    );
    assert!(asks.apply(&input, &Limits::default()).unwrap_err().to_string().contains("values to look at"));
}

#[test]
fn a_mapping_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&table("{ a: 'a!', b: { jq: '.b', default: 1 } }"));
}
