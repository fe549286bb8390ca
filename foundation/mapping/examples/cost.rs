//! What a translation of 10 KB costs, from bytes to bytes. `cargo run --release -p dozen-mapping --example cost`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dozen_mapping::{Format, Limits, Mapping, Options, json};

const TABLE: &str = r#"{
    "order": "order.id!",
    "customer": {"from": "order.customer", "required": true, "map": {"name": "name!", "city": "address.city!"}},
    "lines": {"each": "order.items", "map": {
        "sku": "sku!", "title": "title!",
        "quantity": {"from": "quantity", "as": "integer", "required": true},
        "price": {"from": "price", "as": "decimal(2)", "required": true},
        "state": {"from": "state", "enum": {"A": "active", "B": "blocked", "_": "error"}, "required": true},
        "day": {"from": "day", "as": "date(\"dd.MM.yyyy\")", "required": true}
    }}
}"#;

fn main() {
    let limits = Limits::default();
    let count = 75;
    let mut json_items = String::new();
    let mut xml_items = String::new();
    for at in 0..count {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            json_items,
            "{comma}{{\"sku\":\"SKU-{at:05}\",\"title\":\"A thing of some kind, number {at}\",\"quantity\":{at},\"price\":{at}.5,\
             \"state\":\"A\",\"day\":\"31.01.2026\"}}"
        );
        let _ = write!(
            xml_items,
            "<item sku=\"SKU-{at:05}\"><title>A thing of some kind</title><quantity>{at}</quantity><price>{at}.5</price>\
             <state>A</state><day>31.01.2026</day></item>"
        );
    }
    let json_document = format!(
        "{{\"order\":{{\"id\":12345678901234567890,\"customer\":{{\"name\":\"Ann\",\"address\":{{\"city\":\"Rome\"}}}},\"items\":[{json_items}]}}}}"
    );
    let xml_document = format!(
        "<order xmlns=\"urn:erp\" id=\"1234\"><customer><name>Ann</name><address><city>Rome</city></address></customer>{xml_items}</order>"
    );
    let xml_table = TABLE
        .replace("\"order.id!\"", "\"order/@id!\"")
        .replace("order.items", "order.item")
        .replace("\"sku\": \"sku!\"", "\"sku\": \"'@sku'!\"");
    let xml = Format::parse(&"xml".into(), "in");
    for (name, format, table, document) in
        [("JSON", Ok(Format::json()), TABLE.to_owned(), json_document), ("XML", xml, xml_table, xml_document)]
    {
        let (Ok(format), Ok(table)) = (format, json::read(&table, &limits)) else { continue };
        let mapping = match Mapping::table(&table, "map", &Options::default()) {
            Ok(mapping) => mapping,
            Err(mistakes) => return eprintln!("{mistakes}"),
        };
        let mut best = [Duration::MAX; 4];
        for _ in 0..2000 {
            let start = Instant::now();
            let Ok(input) = format.decode(document.as_bytes(), None, &limits) else {
                return eprintln!("unread");
            };
            let decoded = start.elapsed();
            let output = match mapping.apply(&input, &limits) {
                Ok(output) => output,
                Err(failure) => return eprintln!("{failure}"),
            };
            let mapped = start.elapsed();
            let text = json::write(&output.value);
            let written = start.elapsed();
            drop((input, output, text));
            let all = start.elapsed();
            let times = [decoded, mapped - decoded, written - mapped, all];
            for (best, time) in best.iter_mut().zip(times) {
                *best = time.min(*best);
            }
        }
        let [read, map, write, all] = best.map(|time| time.as_secs_f64() * 1e6);
        println!(
            "{name}: {} bytes, read {read:.1} µs, map {map:.1} µs, write {write:.1} µs, all with release of memory {all:.1} µs",
            document.len()
        );
    }
}
