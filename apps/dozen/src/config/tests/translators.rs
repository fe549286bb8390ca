//! Providers and translators, and every mistake in them at its place.

use super::super::{End, Reach};
use super::{mistake, read, read_in};

const HELP: &str = "docs/anticorruption.md shows translators, docs/mapping.md what a table can say";

const FILE: &str = r#"app: a
services: { legacy: { at: "http://127.0.0.1:9001" } }
queues: { questions: }
topics: { theirs: , ours: }
providers:
  legacy: { timeout: 2s, circuit: { trials: 1 } }
  old:    { database: "sqlite:old.db", rows-max: 10 }
  host:   { queue: questions, mock: true }
translators:
  article:
    calls:
      it:
        ask:
          - provider: old
            request: { sql: "select * from item where sku = :sku" }
            answer: { map: { z: { from: name, required: true }, a: { value: 1 }, per: { map: { by: name! } } } }
          - provider: legacy
            request: { path: "/items/{sku}", headers: { authorization: "Bearer ${file:token}" } }
            errors: { when: "status == 404", problem: gone, status: 404 }
          - { provider: host, request: { format: xml, map: { Get: { map: { Sku: sku! } } } } }
    cache: 30s
    messages: { from: theirs, to: ours, type: article.changed }
"#;

/// The file with a translator `t` that asks the service `legacy` like this.
fn asking(way: &str) -> String {
    format!(
        "app: a\nservices: {{ legacy: {{ at: \"http://127.0.0.1:9001\" }} }}\nproviders: {{ legacy: }}\ntranslators:\n  t:\n    \
         calls:\n      it:\n        ask:\n{way}"
    )
}

#[test]
fn a_file_with_translators_is_understood_and_written_out_in_full() {
    let loaded = read(FILE).unwrap();
    let translators = &loaded.app.translators;
    let Some(Reach::Database { address, writes: false, rows_max: 10, charset: None }) =
        translators.reaches.get("old")
    else {
        panic!("{:?}", translators.reaches);
    };
    assert!(address.file().unwrap().ends_with("old.db"));
    assert_eq!(translators.reaches.get("host"), Some(&Reach::Queue("questions".into())));
    let article = &translators.options.translators["article"];
    let map = article.calls["it"].ask[0].answer.map.as_ref().unwrap();
    let names: Vec<&str> = map.as_object().unwrap().iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["z", "a", "per"], "members keep their order");
    assert_eq!(translators.wires[0].to, Some((End::Topic("ours".into()), "article.changed".into())));
    let shown = format!("{} {:?}", loaded.expanded, loaded.app);
    assert!(
        shown.contains("authorization: \"Bearer ${file:token}\"") && !shown.contains("s3cr3t"),
        "{shown}"
    );
    let again = read(&loaded.expanded).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.expanded, loaded.expanded);
    assert!(again.app.translators.options == translators.options);
}

#[test]
fn what_does_not_compile_is_told_where_it_stands() {
    for (way, place, wrong, help) in [
        (
            "          provider: legacy\n          answer: { map: { sku: \"@code\" } }\n",
            "10:33",
            "`@code` may be missing, and `@code` may be there several times",
            "say what happens then: `required: true` fails the translation, `default:` stands in, and `count: optional` leaves \
             the field out",
        ),
        (
            "          provider: legacy\n          answer:\n            map:\n              price: { from: p, ass: decimal, required: true }\n",
            "12:15",
            "there is no key `ass`",
            "did you mean `as`?",
        ),
        (
            "          - { provider: legcy }\n",
            "9:25",
            "there is no provider `legcy`",
            "did you mean `legacy`?",
        ),
        (
            "          provider: legacy\n          request: { path: items }\n",
            "10:28",
            "a path begins with `/`",
            HELP,
        ),
        (
            "          provider: legacy\n          request: { sql: select 1 }\n",
            "10:27",
            "`sql` means nothing for a provider that is asked over HTTP",
            HELP,
        ),
        ("          provider: legacy\n          errors: { when: \"status == \", problem: x }\n", "", "", ""),
    ] {
        let text = asking(way);
        if wrong.is_empty() {
            let said = read(&text).unwrap_err().to_string();
            assert!(said.contains("--> dozen.yaml:10:27"), "{said}");
            continue;
        }
        mistake(&text, place, wrong, help);
    }
}

#[test]
fn what_leads_nowhere_is_told() {
    let file = |more: &str| {
        format!(
            "app: a\nservices: {{ legacy: {{ at: \"http://127.0.0.1:9001\" }} }}\ntopics: {{ ours: }}\n{more}"
        )
    };
    mistake(
        &file("providers: { erp: }"),
        "4:14",
        "there is no service `erp`",
        "there are: legacy; or say where it is: `service:`, `database:` or `queue:`, or `mock: true`",
    );
    mistake(
        &file("providers: { erp: { service: legcy } }"),
        "4:30",
        "there is no service `legcy`",
        "did you mean `legacy`?",
    );
    mistake(
        &file("providers: { erp: { service: legacy, database: 'sqlite:a.db' } }"),
        "4:38",
        "the provider `erp` is reached one way, and here are `service` and `database`",
        "keep one of the two",
    );
    mistake(
        &file("providers: { legacy: { writes: true } }"),
        "4:24",
        "`writes` means nothing for a provider that is no database",
        "remove it, or say which `database` it is",
    );
    mistake(
        &file("providers: { host: { queue: asks } }"),
        "4:29",
        "there is no queue `asks`",
        "the file declares no queue",
    );
    let translator = |more: &str| file(&format!("providers: {{ legacy: }}\ntranslators: {{ {more} }}"));
    mistake(
        &translator("legacy: { calls: { it: { ask: { provider: legacy } } } }"),
        "5:16",
        "there is a service `legacy`, too, and both would be found by that name",
        "give one of the two another name",
    );
    mistake(
        &translator("t: { map: { a: input.a? }, messages: { from: our, to: ours, type: x } }"),
        "5:61",
        "there is no topic or queue `our`",
        "did you mean `ours`?",
    );
    mistake(
        &translator("t: { map: { a: input.a? }, messages: { from: ours, to: ours, type: x } }"),
        "5:71",
        "its results would come back to it for ever",
        "name another topic or queue for the results",
    );
    let queued = |messages: &str| {
        let queues = "queues: { asked: , ours: }\nproviders: { legacy: }\n";
        file(&format!(
            "{queues}translators: {{ t: {{ map: {{ a: input.a? }}, messages: {{ {messages} }} }} }}"
        ))
    };
    mistake(
        &queued("from: asked, to: ours, type: x"),
        "6:72",
        "there is a topic and a queue `ours`, and it is not known which is meant",
        "give one of the two another name",
    );
    mistake(
        &queued("from: asked, attempts-max: 3"),
        "6:68",
        "`attempts-max` means nothing for messages of a queue",
        "a queue begins with its oldest message, and says itself how often one is tried",
    );
    mistake(
        &file("providers: { old: { database: 'sqlite:a.db', charset: latin-17 } }"),
        "4:55",
        "there is no charset `latin-17` for texts of SQLite",
        "write it as the web does: `windows-1252`, `iso-8859-2`, `shift_jis`",
    );
    mistake(
        &file("providers: { old: { database: 'postgres://a@b/c', charset: latin1 } }"),
        "4:60",
        "`charset` means nothing for PostgreSQL",
        "remove it: PostgreSQL converts its texts by itself",
    );
    mistake(
        &translator("t: { map: { a: input.a? }, examples: none.json }"),
        "5:53",
        "`none.json`: it cannot be read: No such file or directory (os error 2)",
        "relative paths start from FOLDER; docs/anticorruption.md shows examples",
    );
}

#[test]
fn a_route_and_a_subscription_may_lead_to_a_translator_and_a_provider_may_not() {
    let file = "app: a\nservices: { legacy: { at: \"http://127.0.0.1:9001\" } }\ntopics: { ours: }\nproviders: { legacy: }\n\
                translators: { article: { calls: { it: { ask: { provider: legacy } } } } }\n\
                gateway: { routes: { 'GET /a/{sku}': 'article:/?sku={sku}', 'GET /b': { compose: { it: { get: 'article:/' }, reply: it } } } }\n\
                subscriptions: { s: { topic: ours, to: article } }\n";
    let folder = tempfile::tempdir().unwrap();
    read_in(&folder, file).unwrap_or_else(|error| panic!("{error}"));
    let circle =
        file.replace("providers: { legacy: }", "providers: { legacy: , other: { service: article } }");
    let said = read_in(&folder, &circle).unwrap_err().to_string();
    assert!(said.contains("there is no service `article`"), "{said}");
}
