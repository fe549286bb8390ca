//! Numbers are their text.

use proptest::prelude::*;

use super::value;
use crate::value::{Decimal, Rounding};
use crate::{Limits, Number, Value, json};

#[test]
fn a_number_comes_out_as_it_went_in() {
    for number in [
        "0",
        "-0",
        "1",
        "-1",
        "12.30",
        "0.1",
        "1e3",
        "1E+03",
        "9007199254740993",
        "12345678901234567890123456789",
        "-9223372036854775808",
        "9223372036854775807",
        "999999999999999999",
        "1000000000000000000",
    ] {
        assert_eq!(json::write(&value(number)), number);
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for number in
        ["01", "+1", "1.", ".5", "-", "1e", "0x1", "1.2.3", "--1", "1e+", "NaN", "Infinity", "1_000"]
    {
        assert!(json::read(number, &Limits::default()).is_err(), "{number}");
        assert!(Number::parse(number).is_none(), "{number}");
    }
}

#[test]
fn numbers_are_equal_by_what_they_count() {
    let number = |text: &str| Number::parse(text).unwrap();
    for (one, other) in [("1", "1.0"), ("10e-1", "1"), ("-0", "0"), ("1e2", "100"), ("0.10", "1e-1")] {
        assert!(number(one).equals(&number(other)), "{one} {other}");
        assert_ne!(value(one), value(other));
        assert!(value(&format!("[{one}]")).means(&value(&format!("[{other}]"))));
    }
    assert!(!number("9007199254740993").equals(&number("9007199254740992")));
    assert!(!number("0.1").equals(&number("0.10000000000000001")));
}

#[test]
fn a_number_of_a_million_digits_is_passed_on_and_not_calculated_with() {
    let digits = "7".repeat(1_000_000);
    let long = value(&digits);
    assert_eq!(json::write(&long), digits);
    let Value::Number(number) = long else { panic!() };
    assert!(number.decimal().is_none());
    assert!(Decimal::parse("1e1000000000").is_none());
    assert!(Decimal::parse("1e999999999999999999999").is_none());
}

#[test]
fn rounding_is_by_the_digits() {
    let round = |text: &str, scale, rounding| {
        Decimal::parse(text).unwrap().with_scale(scale, rounding).map(|decimal| decimal.to_string())
    };
    for (text, scale, even, up) in [
        ("2.675", 2, "2.68", "2.68"),
        ("2.665", 2, "2.66", "2.67"),
        ("0.5", 0, "0", "1"),
        ("1.5", 0, "2", "2"),
        ("-2.5", 0, "-2", "-3"),
        ("9.995", 2, "10.00", "10.00"),
        ("99.99", 1, "100.0", "100.0"),
        ("0.004", 2, "0.00", "0.00"),
        ("0.005", 2, "0.00", "0.01"),
        ("0.0050001", 2, "0.01", "0.01"),
        ("0.0005", 2, "0.00", "0.00"),
        ("1.005", 2, "1.00", "1.01"),
        ("12", 2, "12.00", "12.00"),
        ("1e2", 2, "100.00", "100.00"),
        ("0", 2, "0.00", "0.00"),
        ("-0.001", 2, "0.00", "0.00"),
    ] {
        assert_eq!(round(text, scale, Some(Rounding::HalfEven)).as_deref(), Some(even), "{text} even");
        assert_eq!(round(text, scale, Some(Rounding::HalfUp)).as_deref(), Some(up), "{text} up");
    }
    assert_eq!(round("1.005", 2, None), None);
    assert_eq!(round("1.000", 2, None).as_deref(), Some("1.00"));
}

#[test]
fn serde_keeps_order_and_whole_numbers() {
    let tree: Value =
        serde_json::from_str(r#"{"z": 1, "a": [18446744073709551615, true, null], "m": "x"}"#).unwrap();
    assert_eq!(json::write(&tree), r#"{"z":1,"a":[18446744073709551615,true,null],"m":"x"}"#);
    assert_eq!(serde_json::to_string(&tree).unwrap(), json::write(&tree));
    assert!(serde_json::from_str::<Value>(r#"{"a": 1, "a": 2}"#).is_err());
    assert_eq!(Value::from(&tree.approximate()).get("a"), tree.get("a"));
}

#[test]
fn a_large_object_finds_its_members_as_a_small_one_does() {
    let mut object = crate::Object::default();
    for at in 0..1000_i64 {
        assert!(object.insert(format!("m{at}").into(), Value::from(at)).is_none());
    }
    assert_eq!(object.insert("m7".into(), Value::from(-7)), Some(Value::from(7)));
    assert_eq!(
        (object.len(), object.get("m999"), object.get("m1000")),
        (1000, Some(&Value::from(999)), None)
    );
    assert_eq!(object.iter().next().map(|(name, _)| &**name), Some("m0"));
}

/// The same, but for the last digits of fractions: serde_json's reader is not exact in them.
fn alike(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            one == other || ((one - other) / other).abs() < 1e-12
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, value)| alike(value, &other[name]))
        }
        _ => one == other,
    }
}

/// Any tree, as the text that we would write.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        any::<i64>().prop_map(|whole| whole.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| json::write(&Value::from(text))),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let list =
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(",")));
        let object = proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| {
            let member =
                |(name, value): (String, String)| format!("{}:{value}", json::write(&Value::from(name)));
            format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
        });
        prop_oneof![list, object]
    })
}

proptest! {
    #[test]
    fn json_comes_out_as_it_went_in(text in document()) {
        prop_assert_eq!(json::write(&value(&text)), text);
    }

    #[test]
    fn the_reader_takes_what_serde_json_takes(text in document()) {
        let ours = value(&text);
        if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(&text) {
            prop_assert!(alike(&ours.approximate(), &theirs), "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in "[\\[\\]{}\":,0-9eE.+\\-tfn \\\\u\\x00-\\x1fä]{0,60}") {
        let _ = json::read(&text, &Limits::default());
    }

    #[test]
    fn a_decimal_is_the_same_with_more_digits(text in "-?[0-9]{1,20}(\\.[0-9]{0,10})?", more in 10_u32..20) {
        let decimal = Decimal::parse(&text).unwrap();
        let longer = decimal.clone().with_scale(more, None).unwrap();
        prop_assert_eq!(decimal.normal(), longer.normal());
    }
}
