//! Tables in the other direction.

use super::{made, table, value, yaml};
use crate::{Mapping, Options};

#[test]
fn a_table_of_plain_fields_goes_both_ways() {
    let forth = table(
        "{ id: 'Order/@id!', customer: { map: { name: 'Order/Customer/Name!', vip: { from: Order/Customer/Vip, as: 'boolean(Y, N)', required: true } } },
           day: { from: Order/Day, as: 'date(\"dd.MM.yyyy\")', required: true },
           at: { from: Order/At, as: 'timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berlin)', required: true },
           state: { from: Order/State, enum: { A: active, C: closed }, required: true },
           total: { from: Order/Total, as: 'money(EUR, comma)', required: true },
           lines: { each: Order/Items/Item, map: { sku: '@code!', n: { from: Qty, as: integer, required: true } } },
           who: { from: Order/Who, required: true, map: { name: 'Name!' } } }",
    );
    let theirs = concat!(
        r##"{"Order":{"@id":"7","Customer":{"Name":"Ann","Vip":"N"},"Day":"31.01.2026","At":"31.07.2026 12:00","State":"C","##,
        r##""Total":"1234,50","Items":{"Item":[{"@code":"A","Qty":"2"},{"@code":"B","Qty":"1"}]},"Who":{"Name":"Bob"}}}"##
    );
    let ours = concat!(
        r#"{"id":"7","customer":{"name":"Ann","vip":false},"day":"2026-01-31","at":"2026-07-31T10:00:00Z","state":"closed","#,
        r#""total":{"amount":"1234.50","currency":"EUR"},"lines":[{"sku":"A","n":2},{"sku":"B","n":1}],"who":{"name":"Bob"}}"#
    );
    assert_eq!(made(&forth, &value(theirs)), ours);
    let back = forth.reversed().unwrap();
    // Numbers are numbers on the way back.
    let back_text = theirs.replace(r#""Qty":"2""#, r#""Qty":2"#).replace(r#""Qty":"1""#, r#""Qty":1"#);
    assert_eq!(made(&back, &value(ours)), back_text);
    assert_eq!(made(&forth, &value(&back_text)), ours);
}

#[test]
fn what_cannot_be_converted_back_fails() {
    let back = table("{ total: { from: T, as: 'money(EUR)', required: true }, s: { from: S, enum: { A: a }, required: true } }")
        .reversed()
        .unwrap();
    assert_eq!(made(&back, &value(r#"{"total":{"amount":"1.5","currency":"EUR"}}"#)), r#"{"T":1.50}"#);
    assert_eq!(
        made(&back, &value(r#"{"total":{"amount":"1.5","currency":"USD"}}"#)),
        "! `T` from `total`: the object that is there is no amount of money"
    );
    assert_eq!(made(&back, &value(r#"{"s":"x"}"#)), "! `S` from `s`: the word that is there is not listed");
}

#[test]
fn the_first_field_without_an_opposite_is_named() {
    for (field, why) in [
        ("{ value: 1 }", "it is a constant"),
        ("{ template: '{a}', default: x }", "it is a template"),
        ("{ jq: .a, default: 1 }", "it is a program"),
        ("{ from: a, when: item.b, default: 1 }", "it has a `when`"),
        ("{ from: [a, b], default: 1 }", "it has several sources"),
        ("'a[0]!'", "its path has an index"),
        ("'$.a!'", "its path is no row of names"),
        ("'same!'", "another field has the same source"),
        ("{ from: a, enum: { A: x, B: x }, default: 1 }", "its `enum` has two words that mean the same"),
        ("{ from: a, enum: { A: x, _: y }, default: 1 }", "its `enum` has a value for all other words"),
    ] {
        let mistake = table(&format!("{{ a: 'same!', b: {field} }}")).reversed().unwrap_err();
        assert_eq!(mistake.to_string(), format!("map.b: it has no opposite: {why}"), "{field}");
    }
    let rule = Mapping::rule(&yaml::read("{ each: ., map: { a: a! } }"), "", &Options::default()).unwrap();
    assert!(rule.reversed().is_err());
}
