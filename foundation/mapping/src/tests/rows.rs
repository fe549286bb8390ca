//! CSV, fixed width and forms.

use proptest::prelude::*;

use super::{format, value};
use crate::{Limits, Value, json};

fn read(options: &str, document: impl AsRef<[u8]>) -> String {
    match format(options).decode(document.as_ref(), None, &Limits::default()) {
        Ok(value) => json::write(&value),
        Err(error) => format!("! {error}"),
    }
}

fn written(options: &str, json: &str) -> String {
    match format(options).encode(&value(json)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn rows_are_objects_by_their_header() {
    assert_eq!(
        read("csv", "a,b\r\n1,2\n\"x, \"\"y\"\"\n\",\n"),
        r#"[{"a":"1","b":"2"},{"a":"x, \"y\"\n","b":""}]"#
    );
    assert_eq!(
        read(
            "{ csv: { delimiter: ';', quote: null, header: false, columns: [a, b], skip: 1 } }",
            "title\n1;\"2\"\n\n3;4"
        ),
        r#"[{"a":"1","b":"\"2\""},{"a":"3","b":"4"}]"#
    );
    assert_eq!(read("csv", "a,b\n"), "[]");
}

#[test]
fn a_row_that_does_not_fit_is_an_error_with_its_number() {
    for (document, error) in [
        ("a,b\n1,2\n3\n", "row 3: the row has 1 columns, and there are 2"),
        ("a,b\n1,2,3\n", "row 2: the row has 3 columns, and there are 2"),
        ("a,b\n1,x\"y\"\n", "row 2: a quote stands inside of a cell; the whole cell must be quoted"),
        ("a,b\n1,\"x\"y\n", "row 2: something follows a closing quote"),
        ("a,b\n1,\"x\n2,3\n", "row 2: a quote is not closed"),
        ("a,a\n1,2\n", "row 1: the column `a` is there twice"),
        ("", "row 0: the header is missing"),
    ] {
        assert_eq!(read("csv", document), format!("! {error}"));
    }
    assert_eq!(read("{ csv: { columns: [a, c] } }", "a,b\n1,2"), "! row 1: the column `c` is missing");
}

#[test]
fn rows_are_written_with_quotes_where_they_are_needed() {
    let rows = r#"[{"a":"x,\"y","b":1.50},{"b":null,"a":true}]"#;
    assert_eq!(written("csv", rows), "a,b\r\n\"x,\"\"y\",1.50\r\ntrue,\r\n");
    assert_eq!(written("{ csv: { columns: [b, a], header: false } }", rows), "1.50,\"x,\"\"y\"\r\n,true\r\n");
    assert_eq!(
        written("{ csv: { quote: null } }", r#"[{"a":"x,y"}]"#),
        "! a cell holds a delimiter or a line end, and there is no `quote`"
    );
    assert_eq!(written("csv", r#"[{"a":1},{"b":1}]"#), "! `[1].b`: there is no such column");
    assert_eq!(
        written("csv", r#"[{"a":1},{}]"#),
        "! `[1].a`: this column has no value; null leaves it empty"
    );
    assert_eq!(
        written("csv", r#"[{"a":[]}]"#),
        "! `[0].a`: a cell is a text, a number or a boolean, and this is a list"
    );
}

const LAYOUT: &str = "{ fixed: { columns: [
    { name: kind, width: 1 }, { name: sku, width: 6 }, { name: qty, width: 4, align: right, pad: '0' },
    { name: note, at: 13, width: 3 } ] } }";

#[test]
fn columns_of_fixed_width_have_their_places() {
    assert_eq!(
        read(LAYOUT, "DA7    0012 äöü\nDB     0000    \r\n"),
        r#"[{"kind":"D","sku":"A7","qty":"12","note":"äöü"},{"kind":"D","sku":"B","qty":"0","note":""}]"#
    );
    assert_eq!(read(LAYOUT, "DA7    0012\n"), "! row 1: the row has 11 places, and its layout 15");
    assert_eq!(read(LAYOUT, "DA7    0012 abcd\n"), "! row 1: the row has 16 places, and its layout 15");
    let short = LAYOUT.replace("fixed: {", "fixed: { short: blank,");
    assert_eq!(read(&short, "DA7    0012"), r#"[{"kind":"D","sku":"A7","qty":"12","note":""}]"#);
    let records = "{ fixed: { lines: false, unit: bytes, charset: latin1, columns: [{ name: a, width: 2 }, { name: b, width: 1 }] } }";
    assert_eq!(read(records, b"\xe4 1xy2"), r#"[{"a":"ä","b":"1"},{"a":"xy","b":"2"}]"#);
    assert_eq!(read(records, b"abcd"), "! row 2: the row has 1 places, and its layout 3");
    let bytes = "{ fixed: { unit: bytes, columns: [{ name: a, width: 1 }, { name: b, width: 1 }] } }";
    assert_eq!(read(bytes, "ä"), "! row 1, column `a`: these bytes are nothing in UTF-8");
}

#[test]
fn rows_of_fixed_width_are_written_back() {
    let rows = r#"[{"kind":"D","sku":"A7","qty":12,"note":"äöü"}]"#;
    assert_eq!(written(LAYOUT, rows), "DA7    0012 äöü\n");
    assert_eq!(
        written(LAYOUT, r#"[{"kind":"DD","sku":"A7","qty":12,"note":null}]"#),
        "! `[0].kind`: its text needs 2 places, and the column has 1"
    );
    let shared = "{ fixed: { columns: [{ name: a, width: 2 }, { name: b, at: 2, width: 2 }] } }";
    assert_eq!(read(shared, "xyz"), r#"[{"a":"xy","b":"yz"}]"#);
    assert_eq!(written(shared, r#"[{"a":"x","b":"y"}]"#), "! `[0].b`: its place is taken by another column");
}

#[test]
fn a_form_is_read_and_written() {
    assert_eq!(read("form", "a=1+2&b=%C3%A4&a=x&c&&d=%3D"), r#"{"a":["1 2","x"],"b":"ä","c":"","d":"="}"#);
    assert_eq!(read("{ form: { charset: latin1 } }", "b=%E4"), r#"{"b":"ä"}"#);
    assert_eq!(read("form", "a=1&b=%4"), "! byte 4: `%` begins no escape");
    assert_eq!(read("form", "b=%ff"), "! byte 0: these bytes are nothing in UTF-8");
    assert_eq!(written("form", r#"{"a":["1 2","&"],"ä":null,"n":1.50}"#), "a=1+2&a=%26&%C3%A4=&n=1.50");
    assert_eq!(written("form", r#"{"a":{}}"#), "! `a`: a form has texts, and this is an object");
}

proptest! {
    #[test]
    fn csv_comes_back_as_it_went_out(
        rows in proptest::collection::vec(proptest::collection::vec("[a-z,;\"\r\n ä]{0,8}", 3), 0..8),
        delimiter in prop_oneof![Just(','), Just(';'), Just('\t')],
    ) {
        let names = ["a", "b", "c"];
        let object = |row: Vec<String>| Value::object(names.into_iter().zip(row.into_iter().map(Value::from)));
        let tree = Value::List(rows.into_iter().map(object).collect());
        let options = format!("{{ csv: {{ delimiter: \"{}\", columns: [a, b, c] }} }}", delimiter.escape_default());
        let format = format(&options);
        let document = format.encode(&tree).unwrap();
        prop_assert_eq!(format.decode(&document, None, &Limits::default()).unwrap(), tree);
    }

    #[test]
    fn one_column_comes_back_too(cells in proptest::collection::vec("[a\",\n]{0,3}", 0..6)) {
        let tree = Value::List(cells.into_iter().map(|cell| Value::object([("a", Value::from(cell))])).collect());
        let format = format("{ csv: { columns: [a] } }");
        let document = format.encode(&tree).unwrap();
        prop_assert_eq!(format.decode(&document, None, &Limits::default()).unwrap(), tree);
    }

    #[test]
    fn fixed_width_comes_back_as_it_went_out(
        rows in proptest::collection::vec(("[a-zä]{0,4}", "[1-9][0-9]{0,3}|0"), 0..8),
    ) {
        let row = |(a, b): (String, String)| Value::object([("a", Value::from(a)), ("b", Value::from(b))]);
        let tree = Value::List(rows.into_iter().map(row).collect());
        let format = format("{ fixed: { columns: [{ name: a, width: 5 }, { name: b, width: 4, pad: '0', align: right }] } }");
        let document = format.encode(&tree).unwrap();
        prop_assert_eq!(format.decode(&document, None, &Limits::default()).unwrap(), tree);
    }

    #[test]
    fn a_form_comes_back_as_it_went_out(pairs in proptest::collection::btree_map("[a-z&=+ä ]{1,5}", any::<String>(), 0..6)) {
        let tree = Value::object(pairs.into_iter().map(|(name, value)| (name, Value::from(value))));
        let document = format("form").encode(&tree).unwrap();
        prop_assert_eq!(format("form").decode(&document, None, &Limits::default()).unwrap(), tree);
    }

    #[test]
    fn no_rows_make_a_reader_panic(text in any::<Vec<u8>>()) {
        for options in ["csv", LAYOUT, "form", "xml", "soap", "json", "{ csv: { charset: shift_jis } }"] {
            let _ = format(options).decode(&text, None, &Limits::default());
        }
    }
}
