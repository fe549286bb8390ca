//! Documents that are meant to hurt. Each is refused before it is built, with a bound that is named.

use std::time::{Duration, Instant};

use super::format;
use crate::Limits;

/// Why a document is refused. What takes longer than this has been built first.
fn refused(options: &str, document: impl AsRef<[u8]>) -> String {
    let start = Instant::now();
    let error = format(options).decode(document.as_ref(), None, &Limits::default()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{error}: {:?}", start.elapsed());
    error.to_string()
}

#[test]
fn a_billion_laughs_are_refused_at_their_first_line() {
    let mut document = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [\n<!ENTITY lol \"lol\">\n");
    for at in 1..10 {
        document += &format!("<!ENTITY lol{at} \"{}\">\n", format!("&lol{};", at - 1).repeat(10));
    }
    document += "]>\n<lolz>&lol9;</lolz>";
    assert_eq!(
        refused("xml", &document),
        "line 2, column 1: a document type declaration is refused; entities are declared there"
    );
    let quadratic =
        format!("<!DOCTYPE a [<!ENTITY x \"{}\">]><a>{}</a>", "x".repeat(50_000), "&x;".repeat(50_000));
    assert!(refused("xml", quadratic).contains("document type declaration"));
    let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    assert!(refused("soap", outside).contains("document type declaration"));
}

#[test]
fn nesting_is_refused_at_its_bound() {
    let deep = 1_000_000;
    assert!(refused("json", "[".repeat(deep)).contains("there are more than 64 levels of nesting"));
    assert!(refused("json", "{\"a\":".repeat(deep)).contains("there are more than 64 levels of nesting"));
    assert!(refused("xml", "<a>".repeat(deep)).contains("there are more than 64 levels of nesting"));
}

#[test]
fn a_limit_on_nesting_cannot_be_set_beyond_what_the_stack_holds() {
    let limits = Limits { depth: usize::MAX, nodes: usize::MAX, ..Limits::default() };
    let deep = "[".repeat(1_000_000);
    let error = format("json").decode(deep.as_bytes(), None, &limits).unwrap_err();
    assert!(error.to_string().contains("more than 256 levels"));
}

#[test]
fn sizes_are_refused_at_their_bounds() {
    let limits = Limits::default();
    assert!(
        refused("json", vec![b' '; limits.size + 1]).contains("10485761 bytes, and 10485760 are the most")
    );
    assert!(refused("json", format!("[{}1]", "1,".repeat(300_000))).contains("more than 200000 values"));
    assert!(refused("xml", format!("<a>{}</a>", "<b/>".repeat(300_000))).contains("more than 200000 values"));
    assert!(
        refused("xml", format!("<a>{}</a>", "<!---->".repeat(300_000))).contains("more than 200000 values")
    );
    let attributes: String = (0..300).map(|at| format!(" a{at}=''")).collect();
    assert!(refused("xml", format!("<a{attributes}/>")).contains("more than 256 attributes"));
    let namespaces: String = (0..300).map(|at| format!(" xmlns:a{at}='urn:{at}'")).collect();
    assert!(refused("xml", format!("<a{namespaces}/>")).contains("more than 256 namespaces"));
    assert!(refused("csv", ",".repeat(1_000_000)).contains("row 1: there are more than 1024 columns"));
    assert!(refused("csv", format!("a\n{}", "1\n".repeat(300_000))).contains("more than 200000 values"));
    assert!(refused("form", "a=1&".repeat(300_000)).contains("more than 200000 values"));
    let fixed = "{ fixed: { columns: [{ name: a, width: 1 }] } }";
    assert!(refused(fixed, "1\n".repeat(300_000)).contains("more than 200000 values"));
}

#[test]
fn one_huge_attribute_or_text_is_no_trouble() {
    let long = "x".repeat(5_000_000);
    for document in [format!("<a b='{long}'/>"), format!("<a>{long}</a>"), format!("<a><!--{long}--></a>")] {
        assert!(format("xml").decode(document.as_bytes(), None, &Limits::default()).is_ok());
    }
    assert!(refused("xml", format!("<{long}")).len() < 300);
    assert!(refused("xml", format!("<a><{long}></a>")).len() < 300);
    assert!(refused("xml", format!("<a>&{long};</a>")).len() < 300);
    assert!(refused("csv", format!("a\n\"{long}")).contains("a quote is not closed"));
}

#[test]
fn many_names_in_one_object_are_no_trouble() {
    let members: Vec<String> = (0..150_000).map(|at| format!("\"m{at}\":1")).collect();
    let document = format!("{{{}}}", members.join(","));
    assert!(format("json").decode(document.as_bytes(), None, &Limits::default()).is_ok());
    let elements: String = (0..90_000).map(|at| format!("<m{at}/>")).collect();
    let document = format!("<a>{elements}{elements}</a>");
    assert!(format("xml").decode(document.as_bytes(), None, &Limits::default()).is_ok());
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    for options in ["json", "xml", "csv", "text", "soap"] {
        let mut document = vec![b' '; 5000];
        document.push(0xC0);
        assert_eq!(refused(options, document), "byte 5000: these bytes are nothing in UTF-8");
    }
}
