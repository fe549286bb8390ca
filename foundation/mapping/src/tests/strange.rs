//! Documents as careless programs write them, and what must not be taken for right.

use super::{format, made, table, value};
use crate::{Limits, json};

fn read(options: &str, document: impl AsRef<[u8]>) -> String {
    match format(options).decode(document.as_ref(), None, &Limits::default()) {
        Ok(value) => json::write(&value),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn a_declaration_that_contradicts_its_own_bytes_counts_for_nothing() {
    let said = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>Größe</a>";
    assert_eq!(read("xml", said), r#"{"a":"Größe"}"#, "a program had it as a string, and sent UTF-8");
    let wide: Vec<u8> = said.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(read("xml", [b"\xfe\xff", &wide[..]].concat()), r#"{"a":"Größe"}"#);
    let latin = b"<?xml version='1.0' encoding='iso-8859-1'?><a>Gr\xf6\xdfe</a>";
    assert_eq!(read("xml", latin), r#"{"a":"Größe"}"#);
}

#[test]
fn a_prefix_stands_for_a_namespace_that_it_has() {
    for (document, why) in [
        ("<r xmlns:p=\"\"><p:a/><a/></r>", "the prefix `p` has no namespace"),
        ("<r xmlns:xml=\"urn:x\"/>", "the prefixes `xml` and `xmlns` cannot be declared"),
        ("<r xmlns:xmlns=\"urn:x\"/>", "the prefixes `xml` and `xmlns` cannot be declared"),
        ("<p:a xmlns:q=\"urn:x\"/>", "the prefix `p` is not declared"),
        ("<q:a xmlns:q=\"urn:x\"><q:b:c/></q:a>", "`q:b:c` is no name"),
    ] {
        let told = read("xml", document);
        assert!(told.starts_with("! ") && told.contains(why), "{document}: {told}");
    }
    let taken_away = "<a xmlns=\"urn:x\"><b xmlns=\"\"/></a>";
    assert_eq!(read("xml", taken_away), r#"{"a":{"b":""}}"#);
    assert_eq!(
        read("xml", "<a><![CDATA[<b>&amp;]]> and <![CDATA[]]]]>&gt;</a>"),
        r#"{"a":"<b>&amp; and ]]>"}"#
    );
}

#[test]
fn rows_may_be_none_and_a_cell_may_be_several_lines() {
    assert_eq!(read("csv", "\u{feff}a,b\r\n"), "[]", "a mark and a header");
    assert_eq!(read("csv", ""), "! row 0: the header is missing");
    assert_eq!(read("{ csv: { header: false, columns: [a] } }", ""), "[]");
    assert_eq!(read("csv", "a,b\n\"1\r\n2\",\"\n\"\n3,4"), r#"[{"a":"1\r\n2","b":"\n"},{"a":"3","b":"4"}]"#);
    assert_eq!(read("csv", "a,b\n\"1\n2,3\n"), "! row 2: a quote is not closed");
    let layout = "{ fixed: { columns: [ { name: a, width: 2 }, { name: b, width: 2 } ] } }";
    assert_eq!(read(layout, "äö€x\n"), r#"[{"a":"äö","b":"€x"}]"#);
    let layout = "{ fixed: { unit: bytes, columns: [ { name: a, width: 3 }, { name: b, width: 3 } ] } }";
    assert_eq!(read(layout, "äx€\n"), r#"[{"a":"äx","b":"€"}]"#);
    assert!(
        read(layout, "xxäxx\n").contains("row 1, column `a`: these bytes are nothing"),
        "cut in a character"
    );
}

#[test]
fn digits_in_groups_are_digits() {
    let price = |convert: &str, text: &str| {
        let table = table(&format!("{{ p: {{ from: p, as: '{convert}', default: no }} }}"));
        let input = json::write(&value(&format!("{{\"p\":\"{text}\"}}")));
        made(&table, &value(&input))
    };
    for (convert, text, wanted) in [
        ("decimal(2, grouped)", "1,234.5", "1234.50"),
        ("decimal(2, grouped)", "-1,234,567", "-1234567.00"),
        ("decimal(2, comma, grouped)", "1.234,5", "1234.50"),
        ("decimal", "1.5e3", "1500"),
        ("decimal(2)", "15e-1", "1.50"),
        ("integer", "12e2", "1200"),
    ] {
        assert_eq!(price(convert, text), format!("{{\"p\":{wanted}}}"), "{convert} of {text}");
    }
    for (convert, text) in [
        ("decimal(2, grouped)", "1,e12"),
        ("decimal(2, grouped)", "1,2e3"),
        ("decimal(2, grouped)", "+-1,234"),
        ("decimal(2, grouped)", "1,23"),
        ("decimal(1)", "15e-2"),
        ("integer", "15e-1"),
        ("integer", "1e9999"),
    ] {
        let told = made(
            &table(&format!("{{ p: {{ from: p, as: '{convert}', required: true }} }}")),
            &value(&format!("{{\"p\":\"{text}\"}}")),
        );
        assert!(told.starts_with("! "), "{convert} of {text}: {told}");
    }
}

#[test]
fn an_hour_that_the_clocks_skip_or_repeat_is_an_error_unless_the_pattern_says_which() {
    let moment = |more: &str, text: &str| {
        let convert = format!("timestamp(\"yyyy-MM-dd HH:mm\", zone: Europe/Berlin{more})");
        let table = table(&format!("{{ at: {{ from: at, as: '{convert}', required: true }} }}"));
        made(&table, &value(&format!("{{\"at\":\"{text}\"}}")))
    };
    let (skipped, repeated) = ("2026-03-29 02:30", "2026-10-25 02:30");
    for text in [skipped, repeated] {
        assert!(moment("", text).starts_with("! "), "{text}");
    }
    assert_eq!(moment(", earlier", repeated), r#"{"at":"2026-10-25T00:30:00Z"}"#);
    assert_eq!(moment(", later", repeated), r#"{"at":"2026-10-25T01:30:00Z"}"#);
    assert_eq!(moment("", "2026-03-29 03:30"), r#"{"at":"2026-03-29T01:30:00Z"}"#);
}

#[test]
fn a_layout_that_no_row_can_have_is_refused() {
    let wide = "{ columns: [ { name: a, at: 2, width: 18446744073709551615 } ], short: blank }";
    let told = crate::Format::parse(&super::yaml::read(&format!("{{ fixed: {wide} }}")), "in").unwrap_err();
    assert!(told.to_string().contains("a row has at most 1048576 places"), "{told}");
}

#[test]
fn objects_of_one_list_may_differ_in_every_way() {
    let document = "[{\"a\":1,\"b\":2},{\"a\" : 1,\"b\":2},{\"b\":1,\"a\":2},{\"a\":1},{},{\"\\u0061\":1,\"b\":2,\"c\":3},\
                    {\"a\\\"\":1},{\"a\\\"\":1,\"a\":2},{\"a\":{\"a\":1}},{\"a\":1,\"b\":2,\"c\":3,\"d\":4}]";
    let wanted = document.replace(" : ", ":").replace("\\u0061", "a");
    assert_eq!(json::write(&value(document)), wanted);
    let each = table("{ l: { each: '.', map: { b: b?, a: a?, c: c? } } }");
    assert_eq!(
        made(&each, &value(r#"[{"a":1,"b":2},{"b":1},{"c":3,"a":2},{"x":0,"y":0,"b":5}]"#)),
        r#"{"l":[{"b":2,"a":1},{"b":1},{"a":2,"c":3},{"b":5}]}"#
    );
    for twice in [r#"[{"a":1},{"a":1,"a":2}]"#, r#"[{"a":1,"b":1},{"a":1,"\u0061":2}]"#] {
        assert!(json::read(twice, &Limits::default()).is_err(), "{twice}");
    }
}
