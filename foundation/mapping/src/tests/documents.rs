//! JSON, XML, SOAP and charsets.

use super::{format, value};
use crate::{DecodeError, Limits, Value, json};

/// What a document is, as JSON, or why it is none.
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
fn errors_in_json_have_their_place() {
    for (text, error) in [
        ("{\n  \"ä\": 1,\n  \"ä\": 2}", "line 3, column 3: this name is there twice"),
        ("[1 2]", "line 1, column 4: `,` or `]` is missing here"),
        ("{\"a\" 1}", "line 1, column 6: `:` is missing here"),
        ("[1,]", "line 1, column 4: a value is missing here"),
        ("\"\\ud800\"", "line 1, column 2: half of a surrogate pair"),
        ("\"a\nb\"", "line 1, column 3: a control character stands in a text; escape it"),
        ("\"a", "line 1, column 3: this text is not closed"),
        ("1 2", "line 1, column 3: something follows the document"),
        ("", "line 1, column 1: the document ends too early"),
        ("\"\\x\"", "line 1, column 2: there is no such escape"),
    ] {
        assert_eq!(read("json", text), format!("! {error}"), "{text}");
    }
    assert_eq!(read("json", r#""\ud83d\ude00 \u00e4\/\n""#), "\"😀 ä/\\n\"");
    assert_eq!(read("json", b"\xef\xbb\xbf[1]"), "[1]");
    assert_eq!(read("json", b"[\"a\xff\"]"), "! byte 3: these bytes are nothing in UTF-8");
}

#[test]
fn an_element_is_its_text_or_an_object() {
    for (document, tree) in [
        ("<a/>", r#"{"a":""}"#),
        ("<a> x </a>", r#"{"a":" x "}"#),
        ("<a b=\"1\"/>", r#"{"a":{"@b":"1"}}"#),
        ("<a b=\"1\">x</a>", r##"{"a":{"@b":"1","#text":"x"}}"##),
        ("<a>\n <b>1</b>\n <c/>\n</a>", r#"{"a":{"b":"1","c":""}}"#),
        ("<a><b>1</b><c/><b>2</b></a>", r#"{"a":{"b":["1","2"],"c":""}}"#),
        ("<a>x<![CDATA[<&]]>y&amp;&#x41;&#66;</a>", r#"{"a":"x<&y&AB"}"#),
        ("<a b='&lt;&quot;\n\t'/>", r#"{"a":{"@b":"<\"  "}}"#),
        ("<a>1\r\n2\r3</a>", r#"{"a":"1\n2\n3"}"#),
        ("<?xml version='1.0'?><!-- c --><a><?pi x?>1<!-- d -->2</a>\n", r#"{"a":"12"}"#),
        (
            "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><b i:nil='true'/><c i:type='t'>1</c></a>",
            r##"{"a":{"b":null,"c":{"@xsi:type":"t","#text":"1"}}}"##,
        ),
    ] {
        assert_eq!(read("xml", document), tree, "{document}");
    }
    assert_eq!(read("{ xml: { lists: [b] } }", "<a><b>1</b></a>"), r#"{"a":{"b":["1"]}}"#);
    assert_eq!(read("{ xml: { mixed: join } }", "<a>x<b>1</b>y</a>"), r##"{"a":{"b":"1","#text":"xy"}}"##);
}

#[test]
fn a_namespace_counts_and_its_prefix_does_not() {
    let options = "{ xml: { ns: { s: 'urn:erp' } } }";
    let tree = r#"{"s:Item":{"@code":"A","s:Price":"1"}}"#;
    for document in [
        "<x:Item xmlns:x='urn:erp' code='A'><x:Price>1</x:Price></x:Item>",
        "<Item xmlns='urn:erp' code='A'><Price>1</Price></Item>",
        "<Item xmlns='urn:erp' code='A'><y:Price xmlns:y='urn:erp'>1</y:Price></Item>",
    ] {
        assert_eq!(read(options, document), tree);
    }
    assert_eq!(read(options, "<s:Item xmlns:s='urn:other'/>"), r#"{"Item":""}"#);
    assert_eq!(read("{ xml: { ns: { '': 'urn:erp' } } }", "<x:Item xmlns:x='urn:erp'/>"), r#"{"Item":""}"#);
    assert_eq!(
        read("xml", "<a xmlns:x='urn:1' xmlns:y='urn:2'><x:b/><y:b/></a>"),
        "! line 1, column 42: `b` stands here in two namespaces; declare them in `ns`"
    );
    assert_eq!(read("xml", "<x:a/>"), "! line 1, column 1: the prefix `x` is not declared");
}

#[test]
fn what_is_no_xml_is_refused() {
    for (document, error) in [
        ("<a><b></a>", "line 1, column 7"),
        ("<a>", "the document ends too early"),
        ("", "the document ends too early"),
        ("<a/><b/>", "a second root element"),
        ("x<a/>", "outside of the root"),
        ("<a/>x", "outside of the root"),
        ("<a b=1/>", "an attribute is"),
        ("<a b='1' b='2'/>", "`@b` is there twice"),
        ("<a b='<'/>", "write `&lt;`"),
        ("<a>&nbsp;</a>", "the entity `nbsp` is not declared"),
        ("<a>&#0;</a>", "`#0` is no character"),
        ("<a>&#x110000;</a>", "is no character"),
        ("<a>\u{1}</a>", "a control character"),
        ("<a>x<b/></a>", "`mixed: join` would take it"),
        ("<1/>", "is no name"),
        ("<!DOCTYPE a><a/>", "document type declaration is refused"),
        (
            "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><b i:nil='true'>1</b></a>",
            "an element that is nil has content",
        ),
    ] {
        let found = read("xml", document);
        assert!(found.starts_with("! ") && found.contains(error), "{document}: {found}");
    }
}

#[test]
fn xml_is_written_with_the_namespaces_it_uses() {
    let options = "{ xml: { ns: { s: 'urn:erp', t: 'urn:unused' } } }";
    let tree = r##"{"s:Get":{"@id":7,"s:Item":[{"@c":"<\"","#text":"a&b"},"x",12.30,true],"Note":null}}"##;
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Get xmlns:s=\"urn:erp\" \
        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" id=\"7\"><s:Item c=\"&lt;&quot;\">a&amp;b</s:Item>\
        <s:Item>x</s:Item><s:Item>12.30</s:Item><s:Item>true</s:Item><Note xsi:nil=\"true\"/></s:Get>";
    assert_eq!(written(options, tree), document);
    assert_eq!(
        read(options, document),
        r##"{"s:Get":{"@id":"7","s:Item":[{"@c":"<\"","#text":"a&b"},"x","12.30","true"],"Note":null}}"##
    );
    for (tree, error) in [
        (r#"{"a":1,"b":2}"#, "! a document is an object with one member, its root, and this is an object"),
        (r#"{"x:a":1}"#, "! `x:a`: the prefix `x` is not declared in `ns`"),
        (r#"{"a b":1}"#, "! `a b`: this is no name in XML"),
        (r#"{"a":{"b":[[1]]}}"#, "! `a/b`: a list in a list has no form in XML"),
        (r#"{"a":{"@b":{}}}"#, "! `a/@b`: a text belongs here, and this is an object"),
        (r#"{"a":"\u0001"}"#, "! `a`: its text has a control character, which XML does not have"),
    ] {
        assert_eq!(written(options, tree), error);
    }
}

#[test]
fn soap_gives_the_body_whatever_its_prefix() {
    for (namespace, version) in [
        ("http://schemas.xmlsoap.org/soap/envelope/", "1.1"),
        ("http://www.w3.org/2003/05/soap-envelope", "1.2"),
    ] {
        for prefix in ["soap", "SOAP-ENV", "x"] {
            let document = format!(
                "<{prefix}:Envelope xmlns:{prefix}='{namespace}'><{prefix}:Header><t>1</t></{prefix}:Header><{prefix}:Body>\
                 <m:Answer xmlns:m='urn:erp'><Qty>2</Qty></m:Answer></{prefix}:Body></{prefix}:Envelope>"
            );
            let options = format!("{{ soap: {{ version: {version}, ns: {{ s: 'urn:erp' }} }} }}");
            assert_eq!(read(&options, document), r#"{"s:Answer":{"Qty":"2"}}"#);
        }
    }
    assert_eq!(read("soap", "<html/>"), "! line 1, column 1: it is no SOAP: there is no envelope");
    let request = written("{ soap: { ns: { s: 'urn:erp' } } }", r#"{"s:Get":{"Sku":"A7"}}"#);
    assert_eq!(
        request,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soap:Body><s:Get xmlns:s=\"urn:erp\"><Sku>A7</Sku></s:Get></soap:Body></soap:Envelope>"
    );
    assert_eq!(read("{ soap: { ns: { s: 'urn:erp' } } }", request), r#"{"s:Get":{"Sku":"A7"}}"#);
}

#[test]
fn a_soap_fault_is_an_error_with_its_parts() {
    let fault = |document: &str| match format("soap").decode(document.as_bytes(), None, &Limits::default()) {
        Err(DecodeError::Fault(fault)) => *fault,
        other => panic!("{other:?}"),
    };
    let old = fault(
        "<env:Envelope xmlns:env='http://schemas.xmlsoap.org/soap/envelope/'><env:Body><env:Fault>\
         <faultcode xmlns:e='urn:erp'>e:NotFound</faultcode><faultstring xml:lang='en'>no such item</faultstring>\
         <detail><Sku>A7</Sku></detail></env:Fault></env:Body></env:Envelope>",
    );
    assert_eq!(
        (old.code.as_str(), old.reason.as_str(), old.subcode.clone()),
        ("NotFound", "no such item", None)
    );
    assert_eq!(
        json::write(&old.to_value()),
        r#"{"code":"NotFound","subcode":null,"reason":"no such item","detail":{"Sku":"A7"}}"#
    );
    let new = fault(
        "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value>\
         <e:Subcode><e:Value xmlns:m='urn:m'>m:Gone</e:Value></e:Subcode></e:Code><e:Reason>\
         <e:Text xml:lang='en'>gone</e:Text><e:Text xml:lang='de'>weg</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>",
    );
    assert_eq!(
        (new.code.as_str(), new.subcode.as_deref(), new.reason.as_str(), &new.detail),
        ("Sender", Some("Gone"), "gone", &Value::Null)
    );
    assert_eq!(DecodeError::Fault(Box::new(new)).to_string(), "it is a SOAP fault: code `Sender`");
}

#[test]
fn the_charset_is_found_where_it_is_said() {
    let limits = Limits::default();
    let decode = |options: &str, bytes: &[u8], content_type: Option<&str>| {
        format(options)
            .decode(bytes, content_type, &limits)
            .map(|value| json::write(&value))
            .map_err(|error| error.to_string())
    };
    assert_eq!(decode("{ json: { charset: latin1 } }", b"\"\xe4\"", None).unwrap(), "\"ä\"");
    assert_eq!(
        decode("json", b"\"\xe4\"", Some("application/json; charset=\"ISO-8859-1\"")).unwrap(),
        "\"ä\""
    );
    let declared = b"<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>";
    assert_eq!(decode("xml", declared, None).unwrap(), r#"{"a":"€"}"#);
    let utf16: Vec<u8> = "\u{feff}<a>ä</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(decode("xml", &utf16, Some("text/xml; charset=utf-8")).unwrap(), r#"{"a":"ä"}"#);
    assert_eq!(decode("{ text: { charset: shift_jis } }", b"\x93\xfa\x96\x7b", None).unwrap(), "\"日本\"");
    assert_eq!(
        decode("{ text: { charset: shift_jis } }", b"ab\x93\xff", None).unwrap_err(),
        "byte 2: these bytes are nothing in Shift_JIS"
    );
    assert_eq!(decode("{ text: { charset: utf-8, lossy: true } }", b"a\xff", None).unwrap(), "\"a\u{fffd}\"");
    assert_eq!(
        decode("json", b"1", Some("x; charset=klingon")).unwrap_err(),
        "there is no charset `klingon`"
    );
    assert_eq!(format("{ text: { charset: windows-1252 } }").encode(&"ä€".into()).unwrap(), b"\xe4\x80");
    assert_eq!(
        format("{ text: { charset: windows-1252 } }").encode(&"日".into()).unwrap_err().to_string(),
        "a character has no place in windows-1252"
    );
    assert_eq!(
        format("{ text: { charset: windows-1252, lossy: true } }").encode(&"日".into()).unwrap(),
        b"?"
    );
    assert_eq!(
        format("{ xml: { charset: latin1 } }").content_type(),
        "application/xml; charset=windows-1252"
    );
}

#[test]
fn a_document_that_begins_like_a_byte_order_mark_is_read_as_it_was_written() {
    for (options, json) in [
        ("text", "\"\u{feff}a\""),
        ("{ text: { charset: utf-16le } }", "\"\u{feff}a\""),
        ("csv", "[{\"\u{feff}a\": \"1\"}]"),
        ("{ fixed: { columns: [{ name: a, width: 3 }] } }", "[{\"a\": \"\u{feff}b\"}]"),
    ] {
        let bytes = format(options).encode(&value(json)).unwrap();
        assert_eq!(
            format(options).decode(&bytes, None, &Limits::default()).unwrap(),
            value(json),
            "{options}"
        );
    }
    // In another charset the same bytes are other characters, and no mark would say so.
    assert_eq!(
        written("{ text: { charset: windows-1252 } }", "\"ï»¿a\""),
        "! the document begins with what is a byte order mark of UTF-8"
    );
}

#[test]
fn padding_of_several_bytes_does_not_shift_a_row_whose_places_are_bytes() {
    let says = "what fills it up is more than a byte in this charset";
    for (options, row) in [
        ("{ fixed: { unit: bytes, columns: [{ name: a, width: 4, pad: é }] } }", r#"[{"a": "x"}]"#),
        (
            "{ fixed: { unit: bytes, charset: utf-16le, columns: [{ name: a, width: 4 }] } }",
            r#"[{"a": "x"}]"#,
        ),
    ] {
        assert!(written(options, row).contains(says), "{options}: {}", written(options, row));
    }
    let latin = "{ fixed: { unit: bytes, charset: latin1, columns: [{ name: a, width: 4, pad: é }] } }";
    assert_eq!(format(latin).encode(&value(r#"[{"a": "x"}]"#)).unwrap(), b"x\xe9\xe9\xe9\n");
}

#[test]
fn a_format_that_is_not_there_names_the_nearest() {
    let wrong = |text: &str| crate::Format::parse(&super::yaml::read(text), "in").unwrap_err().to_string();
    assert_eq!(wrong("jsn"), "in: there is no format `jsn`; did you mean `json`?");
    assert!(wrong("{ csv: { delimeter: ';' } }").starts_with("in.csv: unknown field `delimeter`"));
    assert!(wrong("{ csv: { header: false } }").contains("list them as `columns`"));
    assert!(wrong("{ json: { charset: x } }").starts_with("in.json.charset: there is no charset `x`"));
    assert!(wrong("{ xml: {}, json: {} }").contains("one format belongs here"));
    assert!(wrong("{ xml: { ns: { a: 'urn:x', b: 'urn:x' } } }").contains("has one prefix"));
}
