//! What a file becomes: the configuration, its expanded form, the schema, the manual; and what it cannot do to us.

mod access;
mod features;
mod gateway;
mod messages;
mod mistakes;
mod translators;

use std::path::Path;

use proptest::prelude::*;

use super::schema::{Kind, Presence, Section};
use super::*;

fn surroundings(folder: &Path, check: impl FnOnce(&Surroundings<'_>)) {
    let env = |name: &str| match name {
        "PORT" => Some("7009".to_owned()),
        "SECRET" => Some("hunter2 is no port".to_owned()),
        _ => None,
    };
    check(&Surroundings { env: &env, folder, reads: &|_| () });
}

pub(super) fn read(text: &str) -> Result<Loaded, Mistakes> {
    read_in(&tempfile::tempdir().unwrap(), text)
}

fn read_in(folder: &tempfile::TempDir, text: &str) -> Result<Loaded, Mistakes> {
    std::fs::write(folder.path().join("token"), "s3cr3t\n").unwrap();
    std::fs::write(folder.path().join("key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    let mut loaded = None;
    surroundings(folder.path(), |around| loaded = Some(parse("dozen.yaml", text.as_bytes(), around)));
    loaded.unwrap()
}

/// Exactly one mistake, at `line:column`, in these words.
fn mistake(text: &str, place: &str, wrong: &str, help: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mistakes = read_in(&folder, text).expect_err(text);
    let said = mistakes.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    assert_eq!(mistakes.count(), 1, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("error: {wrong}"));
    assert_eq!(lines[1].trim_start(), format!("--> dozen.yaml:{place}"), "{said}");
    assert!(said.contains(&format!("= help: {help}\n")), "{said}");
}

#[test]
fn placeholders_are_filled_and_never_shown() {
    let app = read(
        "app: a\nservices: { s: { run: 'x ${file:token}', port: \"${env:PORT}\", env: { A: '$${b}' } } }",
    );
    let loaded = app.unwrap();
    let Origin::Run(run) = &loaded.app.services[0].origin else { panic!() };
    assert_eq!(run.command, ["x", "s3cr3t"]);
    assert_eq!(run.port, Some(7009));
    assert_eq!(run.env, [("A".to_owned(), "${b}".to_owned())]);
    assert!(loaded.expanded.contains("port: \"${env:PORT}\""), "{}", loaded.expanded);
    for shown in [&loaded.expanded, &format!("{:?}", loaded.app)] {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    let said = read("app: a\nservices: { s: { run: x, port: '${env:SECRET}' } }").unwrap_err().to_string();
    assert!(said.contains("`${env:SECRET}` is not a port") && !said.contains("hunter2"), "{said}");

    mistake(
        "app: '${env:NONE}'",
        "1:6",
        "the environment has no variable `NONE`",
        "set it, or give a default: `${env:NONE:-…}`",
    );
    mistake(
        "app: '${vault:x}'",
        "1:6",
        "`${vault:x}` is not a placeholder",
        "there are `${env:NAME}`, `${env:NAME:-default}` and `${file:path}`; `$${` stands for a plain `${`",
    );
    mistake(
        "app: '${env:X'",
        "1:6",
        "this placeholder is not closed",
        "end it with `}`, or write `$${` for a plain `${`",
    );
    let said = read("app: '${file:none}'").unwrap_err().to_string();
    assert!(said.contains("cannot read the file `none`: No such file or directory"), "{said}");
}

#[test]
fn text_that_is_no_yaml_and_yaml_that_is_a_bomb() {
    let said = read("app: a\nqueues: {\n").unwrap_err().to_string();
    assert!(said.starts_with("error: this is not YAML: "), "{said}");
    let said = read("app:\n\t- a\n").unwrap_err().to_string();
    assert!(said.contains("YAML is indented with spaces, never with tabs"), "{said}");
    let said = read("app: a\n---\napp: b\n").unwrap_err().to_string();
    assert!(said.contains("a second document begins here"), "{said}");

    let deep = format!("app: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(read(&deep).unwrap_err().to_string().contains("nested more than 32 levels deep"));
    let mut laughs = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        laughs.push_str(&format!("b{level}: &a{level} [{before}]\n"));
    }
    assert!(read(&laughs).unwrap_err().to_string().contains("more than 100000 values"));
    let long = format!("app: {}", "x".repeat(yaml::BYTES_MAX));
    assert!(read(&long).unwrap_err().to_string().contains("longer than 1024 KiB"));
    surroundings(Path::new("."), |around| {
        let said = parse("dozen.yaml", b"app: a\nx: \xff", around).unwrap_err().to_string();
        assert!(said.contains("line 2 is not UTF-8"), "{said}");
    });
}

const FULL: &str = "
app: shop
store: sqlite:shop.db
registry: builtin
services:
  orders: { run: [./orders, --fast], port: 7001, health: /healthz, instances: 2 }
  stock: { run: 'python stock.py', port: 7010, sidecar: { port: 3600 }, env: { DB_PASSWORD: x, MODE: dev } }
  legacy: { at: 'http://127.0.0.1:9001', timeout: 2s }
gateway:
  routes:
    'GET /orders/{id}': 'orders:/o/{id}'
    /files/{*rest}: { to: legacy, body-max: 64KiB }
queues: { invoices: { rate: 2.5, cron: { nightly: { schedule: 0 5 * * *, type: report.due, data: [1, x] } } } }
keys: { '2026': '${file:key}' }
topics: { orders.placed: { key: order, schema: { type: object }, keep-size: 1GiB }, orders.paid: { compact: true }, mail: {} }
subscriptions:
  s: { topic: 'orders.*', to: 'stock:/on-order', start: 2026-01-31T12:00:00Z, filter: 'data.total > 100', circuit: false }
  out: { topics: '>', url: 'http://example.com/in?a=${env:PORT}', secret: ['${file:key}', '${file:key}'], start: 17 }
relays: { copy: { topics: 'orders.*', to: sqlite:copy.db }, all: { to: 'postgres://shop:hunter2@db/shop' } }
console: false
";

#[test]
fn a_full_file_becomes_the_configuration_that_it_describes() {
    let app = read(FULL).unwrap().app;
    assert_eq!(app.service("orders").unwrap().addresses(), ["127.0.0.1:7001", "127.0.0.1:7002"]);
    assert_eq!(app.service("legacy").unwrap().addresses(), ["127.0.0.1:9001"]);
    let sidecars: Vec<_> = app.services.iter().map(|s| s.sidecar.map(|sidecar| sidecar.port())).collect();
    assert_eq!(sidecars, [Some(3500), Some(3600), None]);
    let gateway = app.gateway.unwrap();
    assert_eq!(gateway.routes[0].matching.method, ["GET"]);
    assert_eq!(gateway.routes[0].to[0].service, "orders:/o/{id}");
    assert_eq!(gateway.routes[1].timeout, std::time::Duration::from_secs(2), "its service's");
    assert_eq!((gateway.routes[0].body_max, gateway.routes[1].body_max), (4 << 20, 64 << 10));
    assert_eq!(app.subscriptions[0].topics[0].text(), "orders.*");
    assert_eq!(app.queues[0].options.policy.backoff.cap, std::time::Duration::from_secs(300));
    assert_eq!(app.console, None);
    let out = &app.subscriptions[1];
    assert_eq!(out.to.to_string(), "http://example.com/in?a=${env:PORT}");
    assert_eq!(format!("{:?} {:?}", out.start, out.secrets), "After(17) Some(Secrets(2))");
    assert_eq!((app.subscriptions[0].circuit, out.circuit.unwrap().failures_max), (None, 5));
    let settings = &app.topics[0].settings;
    assert_eq!(
        (settings.bytes_keep, settings.compact, app.topics[1].settings.compact),
        (Some(1 << 30), false, true)
    );
    assert_eq!(settings.schema, Some(serde_json::json!({ "type": "object" })));
    assert_eq!(app.relays[0].topics, Some(vec!["orders.placed".into(), "orders.paid".into()]));
    assert_eq!(
        (&app.relays[1].topics, app.relays[1].to.to_string()),
        (&None, "postgres://shop:***@db/shop".into())
    );
    let file = app.store.file().unwrap();
    assert!(file.is_absolute() && file.ends_with("shop.db"));
}

#[test]
fn the_settings_of_a_queue_reach_it() {
    let app = read(
        "app: a\nstore: 'postgres://shop@db/shop'\nkeys: { new: '${file:key}', old: '${file:key}' }\n\
         api: { listen: 'localhost:8600', token: '${env:SECRET}' }\n\
         queues:\n  mails: { per-key: 3, priorities: 4, expire: 1h, rate: 0.5, prefetch: 7, sealed: true,\n    \
             cron: { daily: { schedule: 0 5 * * 1-5 Europe/Berlin, type: mail.due, missed: skip,\n      \
                 data: { to: [all, '${env:PORT}'], count: 3, test: false, note: '3', none: } } } }\n",
    )
    .unwrap();
    let (app, shown) = (app.app, app.expanded);
    assert_eq!(app.store_url(), "postgres://shop@db/shop");
    assert_eq!(app.store.file(), None);
    assert_eq!(format!("{:?}", app.keys.unwrap()), r#"["new", "old"]"#);
    let api = app.api.unwrap();
    assert_eq!((api.listen.port(), api.token.unwrap().reveal()), (8600, "hunter2 is no port"));
    let options = &app.queues[0].options;
    assert_eq!((options.per_key, options.priorities, options.prefetch, options.sealed), (3, 4, 7, true));
    assert_eq!((options.expire, options.per_second), (Some(std::time::Duration::from_secs(3600)), Some(0.5)));
    let entry = format!("{:?}", app.queues[0].cron);
    let data: Vec<u8> = br#"{"count":3,"none":null,"note":"3","test":false,"to":["all","7009"]}"#.to_vec();
    assert!(entry.contains(&format!("{data:?}")) && entry.contains("Skip"), "{entry}");
    assert!(shown.contains("${env:PORT}") && !shown.contains("7009"), "{shown}");
}

#[test]
fn what_is_expanded_is_a_correct_file_that_expands_to_itself() {
    let once = read(FULL).unwrap().expanded;
    assert!(once.contains("DB_PASSWORD: \"***\"\n") && once.contains("MODE: dev\n"), "{once}");
    let again = read(&once).unwrap_or_else(|mistakes| panic!("{once}\n{mistakes}"));
    assert_eq!(again.expanded, once);
}

/// Every section of the file, reached from the top.
fn sections(section: &'static Section, found: &mut Vec<&'static Section>) {
    found.push(section);
    for key in section.keys {
        let mut kind = &key.kind;
        while let Kind::Named { of, .. } | Kind::Routes(of) | Kind::Many(of) = kind {
            kind = of;
        }
        if let Kind::Section(inner) | Kind::Switch(inner) = kind {
            sections(inner, found);
        }
    }
}

#[test]
fn every_key_is_documented_and_every_default_is_valid() {
    let mut all = Vec::new();
    sections(&keys::FILE, &mut all);
    assert!(all.len() > 10);
    let manual = markdown();
    surroundings(Path::new("."), |around| {
        for key in all.iter().flat_map(|section| section.keys) {
            assert!(key.doc.ends_with('.'), "{}: `{}` is no sentence", key.name, key.doc);
            assert!(manual.contains(key.doc), "{}", key.name);
            let Presence::Default(text) = key.presence else { continue };
            let mut mistakes = Vec::new();
            let node = match text {
                "{}" | "[]" => continue,
                text => yaml::Node::scalar(Span::default(), text),
            };
            let item = check::Checker::new(around, &mut mistakes).check(&key.kind, node, Span::default());
            assert!(mistakes.is_empty(), "{mistakes:?}");
            assert_eq!(
                item.unwrap().shown(),
                text,
                "the default of {} is not in its shortest form",
                key.name
            );
        }
    });
}

#[test]
fn the_schema_names_every_key() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], serde_json::json!(["app"]));
    let service = &schema["properties"]["services"]["additionalProperties"]["anyOf"][0]["properties"];
    assert_eq!(service["start-timeout"]["default"], "30s");
    let mut all = Vec::new();
    sections(&keys::FILE, &mut all);
    let text = schema.to_string();
    for name in all.iter().flat_map(|section| section.names()) {
        assert!(text.contains(&format!("\"{name}\":{{")), "{name}");
    }
}

#[test]
fn the_manual_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == markdown(), "run `dozen check --markdown > docs/configuration.md`");
}

#[test]
fn a_missing_file_shows_one_that_works() {
    let error = load(Path::new("/nowhere/dozen.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("there is no file `/nowhere/dozen.yaml`"), "{error}");
    let example: String =
        EXAMPLE.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    assert_eq!(EXAMPLE.lines().count(), 5);
    assert!(read(&example).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        surroundings(Path::new("."), |around| drop(parse("dozen.yaml", &bytes, around)));
    }

    /// Text made of what files are made of finds its way deeper in.
    #[test]
    fn no_arrangement_of_real_words_makes_the_reader_panic(
        words in proptest::collection::vec(
            prop::sample::select(vec![
                "app", "services", "s", "run", "at", "port", "gateway", "routes", "match", "path", "to", "topics",
                "subscriptions", "queues", "console", "limits", ": ", ":\n  ", "\n", "- ", "{", "}", "[", "]", ", ",
                "'", "\"", "/{id}", "${env:PORT}", "${", "}", "true", "7001", "1s..5m", "&a ", "*a", "\t", "#", "|\n",
                "? ", "---\n", "!tag ", "sqlite:x", "é", "GET /x",
            ]),
            0..60,
        )
    ) {
        let _ = read(&words.concat());
    }
}
