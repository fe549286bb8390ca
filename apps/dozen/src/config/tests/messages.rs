//! Queues, topics, subscriptions, relays and secrets that are wrong.

use super::{mistake, read};

#[test]
fn queues_that_cannot_be() {
    let queue = |settings: &str| format!("app: a\nqueues: {{ q: {{ {settings} }} }}");
    const CRON: &str = "write minute, hour, day, month and weekday, and a time zone if it is not UTC: `0 5 * * 1-5 Europe/Berlin`";
    mistake(
        &queue("priorities: 11"),
        "2:28",
        "`11` is not a whole number from 1 to 10",
        "write the number in digits",
    );
    mistake(
        &queue("per-key: 0"),
        "2:25",
        "`0` is not a whole number from 1 to 1000",
        "write the number in digits",
    );
    for wrong in ["0", "-1", "1e3", "1/s", "."] {
        mistake(
            &queue(&format!("rate: {wrong}")),
            "2:22",
            &format!("`{wrong}` is not a number a second"),
            "write how many a second, above 0: for example `50` or `0.5`",
        );
    }
    mistake(&queue("sealed: yes"), "2:24", "`yes` is not `true` or `false`", "write `true` or `false`");
    mistake(
        &queue("prefetch: many"),
        "2:26",
        "`many` is not a whole number from 0 to 10000",
        "write the number in digits",
    );
    mistake(&queue("expire: soon"), "2:24", "`soon` is not a duration", DURATION);
    let cron = |entry: &str| format!("app: a\nqueues:\n  q:\n    cron:\n      nightly: {{ {entry} }}");
    let wrong = read(&cron("schedule: '61 * * * *', type: t")).unwrap_err().to_string();
    assert!(wrong.contains("error: `61 * * * *` is no schedule: ") && wrong.contains(":5:28"), "{wrong}");
    assert!(wrong.contains(CRON), "{wrong}");
    let zone = read(&cron("schedule: '0 5 * * * Europe/Berln', type: t")).unwrap_err().to_string();
    assert!(zone.contains("is no schedule: "), "{zone}");
    mistake(
        &cron("schedule: 0 5 * * *"),
        "5:7",
        "a cron entry needs the key `type`",
        "The message's type, for example `report.due`. Write a text; quotes help where it holds `: ` or `#`.",
    );
    mistake(
        &cron("schedule: 0 5 * * *, type: t, missed: twice"),
        "5:56",
        "`twice` is not one of `once`, `skip`",
        "write `once` or `skip`",
    );
}

const DURATION: &str = "write a whole number and a unit: `250ms`, `30s`, `5m`, `2h` or `7d`";

#[test]
fn topics_that_cannot_be() {
    let topic = |settings: &str| format!("app: a\ntopics: {{ t: {{ {settings} }} }}");
    mistake(
        &topic("keep-size: lots"),
        "2:27",
        "`lots` is not a size",
        "write a whole number and a unit: `512B`, `64KiB`, `4MiB` or `1GiB`",
    );
    mistake(&topic("compact: 1"), "2:25", "`1` is not `true` or `false`", "write `true` or `false`");
    mistake(
        &topic("compatibility: backwards"),
        "2:31",
        "`backwards` is not one of `none`, `backward`, `forward`, `full`",
        "did you mean `backward`?",
    );
    mistake(
        &topic("schema: order.json"),
        "2:24",
        "cannot read the document `order.json`: No such file or directory (os error 2)",
        "relative paths start from FOLDER",
    );
    mistake(
        &topic("schema: token"),
        "2:24",
        "cannot read the document `token`: it is not JSON: expected value at line 1 column 1",
        "relative paths start from FOLDER",
    );
    let said = read(&topic("schema: { type: 5 }")).unwrap_err().to_string();
    assert!(said.contains(":2:24\n") && said.contains("topic `t`"), "{said}");
    assert!(read(&topic("schema: { type: object, required: [sku] }, compatibility: full")).is_ok());
    mistake(
        "app: a\ntopics: { a..b: }",
        "2:11",
        "`a..b` names no topics: there is nothing before, after or between its dots",
        "put one dot between two words",
    );
}

const T: &str =
    "app: a\nservices: { mail: { run: x, port: 1 } }\ntopics: { orders.placed: , orders.eu.paid: }\n";

#[test]
fn subscriptions_that_cannot_be() {
    let with = |settings: &str| format!("{T}subscriptions: {{ s: {{ topic: orders.placed, {settings} }} }}");
    mistake(
        &with("lease: 1s"),
        "4:18",
        "the subscription `s` has neither `to` nor `url`",
        "give it `to: service:/path`, or `url: http://host/path`",
    );
    mistake(
        &with("to: mail, url: http://example.com/in"),
        "4:55",
        "the subscription `s` has both `to` and `url`",
        "keep one; two subscriptions reach two receivers",
    );
    let filter = read(&with("to: mail, filter: type == 'x' && data.total >")).unwrap_err().to_string();
    assert!(filter.contains("is no filter: line 1, column "), "{filter}");
    assert!(filter.contains("write an expression in CEL, for example"), "{filter}");
    let filter = read(&with("to: mail, filter: kind == 'x'")).unwrap_err().to_string();
    assert!(filter.contains("dozen.yaml:4:63") && filter.contains("line 1, column 1: "), "{filter}");
    assert!(read(&with("to: mail, filter: 'type == \"x\" && data.total > 100'")).is_ok());
    mistake(
        &with("to: mail, start: yesterday"),
        "4:62",
        "`yesterday` is not a place to begin",
        "write `latest`, `earliest`, a moment like `2026-01-31T12:00:00Z`, or a position",
    );
    for start in ["latest", "earliest", "4711", "2026-01-31T12:00:00Z"] {
        assert!(read(&with(&format!("to: mail, start: {start}"))).is_ok(), "{start}");
    }
    mistake(
        &with("to: mail, secret: hunter2"),
        "4:63",
        "secret number 1 must be 24 to 64 bytes in base64, with or without `whsec_` in front; `openssl rand -base64 32` \
         prints one",
        "make one with `openssl rand -base64 32`",
    );
    mistake(
        &with("to: mail, circuit: { failures: 0 }"),
        "4:76",
        "`0` is not a whole number from 1 to 1000",
        "write the number in digits",
    );
    for url in ["https://u:p@example.com/in", "ftp://example.com", "http://a b/"] {
        let said = read(&with(&format!("url: '{url}'"))).unwrap_err().to_string();
        assert!(said.contains(&format!("`{url}` is refused: ")) && said.contains(":4:50\n"), "{said}");
    }
    let topics = |topics: &str| format!("{T}subscriptions: {{ s: {{ topics: {topics}, to: mail }} }}");
    for fine in ["'orders.*'", "'orders.>'", "'>'", "[orders.placed, 'orders.eu.*']"] {
        assert!(read(&topics(fine)).is_ok(), "{fine}");
    }
    mistake(
        &format!("{T}subscriptions: {{ s: {{ topics: '*', to: mail }} }}"),
        "4:31",
        "there is no topic `*`",
        "`*` is one segment between dots; did you mean `>`?",
    );
    mistake(
        &topics("'orders*'"),
        "4:31",
        "`orders*` is not a topic's name or a pattern",
        "write a topic's name, `orders.*` for one segment more, or `orders.>` for all that begin with `orders.`",
    );
    mistake(
        &with("to: mail, dead-letter-topic: dead"),
        "4:74",
        "there is no topic `dead`",
        "there are: orders.placed, orders.eu.paid",
    );
}

#[test]
fn relays_that_cannot_be() {
    let relay = |settings: &str| format!("{T}relays: {{ copy: {{ {settings} }} }}");
    mistake(
        &relay("topics: orders.placed"),
        "4:11",
        "a relay needs the key `to`",
        "The store that they are published in, on topics of the same names. Write `sqlite:` and a file, for example \
         `sqlite:shop.db`, or `postgres://user@host/database`.",
    );
    mistake(&relay("topics: mails, to: sqlite:b.db"), "4:27", "there is no topic `mails`", MANY);
    mistake(
        &format!("{T}store: sqlite:a.db\nrelays: {{ copy: {{ to: sqlite:a.db }} }}"),
        "5:23",
        "a relay to the store that it reads would never end",
        "name another store; in this one the messages are already",
    );
    mistake(
        &relay("to: sqlite:none/b.db"),
        "4:23",
        "the store's folder `FOLDER/none` does not exist",
        "make it, or choose another",
    );
    let said = read(&relay("to: 'postgres://a:hunter2@b/c', bach: 1")).unwrap_err().to_string();
    assert!(said.contains("did you mean `batch`?") && !said.contains("hunter2"), "{said}");
}

const MANY: &str = "there are: orders.placed, orders.eu.paid";

#[test]
fn secrets_that_protect_nothing() {
    mistake(
        "app: a\nqueues: { q: { sealed: true } }",
        "2:24",
        "the queue `q` is sealed, and there is no key to seal with",
        "add one: `keys: { \"2026\": \"${env:DOZEN_KEY_2026}\" }`",
    );
    mistake(
        "app: a\nkeys: { k: '${file:token}' }",
        "2:12",
        "key `k` is no key: it must be 32 bytes in base64, as `openssl rand -base64 32` prints them",
        "make one with `openssl rand -base64 32`",
    );
    mistake(
        "app: a\napi: { listen: '0.0.0.0:8510' }",
        "2:16",
        "the API would be open to every machine that reaches this address",
        "add a `token`, or listen on 127.0.0.1",
    );
    assert!(read("app: a\napi: { listen: '0.0.0.0:8510', token: '${file:token}' }").is_ok());
    mistake(
        "app: a\napi: { token: '' }",
        "2:15",
        "`` is not a secret",
        "write `${env:NAME}` or `${file:path}`, so that it does not stand in this file",
    );
}

#[test]
fn no_report_shows_a_secret_that_stands_in_the_file() {
    for text in [
        "app: a\nkeys: { k: hunter2 }",
        "app: a\napi: { listen: '0.0.0.0:8500', token: hunter2 }",
        "app: a\nstore: postgres://shop:hunter2@db/shop\nqueues: { q: { leese: 1s } }",
        "app: a\nstore: 'postgres://shop:hunter2@db:port/shop'",
        "app: a\nstore: { x: 1 }\nkeys: { k: hunter2 }",
        "{ app: a, store: 'postgres://shop:hunter2@db/shop', topc: {} }",
    ] {
        let mistakes = read(text).unwrap_err();
        for said in [mistakes.to_string(), format!("{mistakes:?}")] {
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
    let loaded = read(
        "app: a\nstore: postgres://shop:hunter2@db/shop?password=hunter2\napi: { token: hunter2 }\n\
         keys: { k: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= }",
    )
    .unwrap();
    assert_eq!(loaded.app.store.to_string(), "postgres://shop:***@db/shop?password=***");
    assert!(loaded.app.store_url().contains("hunter2"));
    for shown in [&loaded.expanded, &format!("{:?}", loaded.app)] {
        assert!(!shown.contains("hunter2") && !shown.contains("AAECAw"), "{shown}");
    }
}
