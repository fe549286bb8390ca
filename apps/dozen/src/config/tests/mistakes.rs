//! The mistakes: each with its place, what is wrong, and what to do.

use super::{mistake, read};

#[test]
fn a_mistake_is_shown_in_its_line_with_a_caret_and_what_to_do() {
    let said = read("app: shop\nservices:\n  orders: { run: a, prot: 7001 }\n").unwrap_err().to_string();
    assert_eq!(
        said,
        "error: `prot` is not a key of a service\n \
         --> dozen.yaml:3:21\n  \
           |\n\
         3 |   orders: { run: a, prot: 7001 }\n  \
           |                     ^^^^\n  \
           = help: did you mean `port`?\n\
         \n\
         1 mistake in dozen.yaml; docs/configuration.md describes every key"
    );
}

#[test]
fn all_mistakes_are_told_in_one_run_in_the_order_of_the_file() {
    let mistakes = read("app: 'a b'\nstore: x\nqueues: { q: { lease: 1 } }\ntopic: {}\n").unwrap_err();
    assert_eq!(mistakes.count(), 4, "{mistakes}");
    let places: Vec<String> = mistakes
        .to_string()
        .lines()
        .filter(|line| line.contains("-->"))
        .map(|line| line.trim().to_owned())
        .collect();
    assert_eq!(
        places,
        ["--> dozen.yaml:1:6", "--> dozen.yaml:2:8", "--> dozen.yaml:3:23", "--> dozen.yaml:4:1"]
    );
}

#[test]
fn keys_that_are_wrong() {
    mistake(
        "",
        "1:1",
        "the file needs the key `app`",
        &format!("The name of the application. {}.", NAMES.replacen("use", "Use", 1)),
    );
    mistake("apps: shop", "1:1", "`apps` is not a key of the file", "did you mean `app`?");
    mistake(
        "app: a\nlimits: { x: 1 }",
        "2:11",
        "`x` is not a key of the limits",
        "there are: stop-deadline, body-max",
    );
    mistake(
        "app: a\nsagas: {}",
        "2:1",
        "`sagas` is not available in this version of dozen",
        "remove the section; the README says which patterns work today",
    );
    mistake(
        "app: a\napp: b",
        "2:1",
        "the key `app` stands here a second time",
        "it stands on line 1 already; keep one of the two",
    );
    mistake(
        "app: a\ntopics: { o: }\nservices: { s: { run: x, port: 1 } }\n\
         subscriptions: { x: { topic: o, topics: [o], to: s } }",
        "4:33",
        "`topic` and `topics` are one key",
        "keep one of the two",
    );
    mistake("app: a\nqueues: { 'a b': }", "2:11", "`a b` cannot be the name of a queue", NAMES);
    mistake(
        "app: a\nservices: { s: { run: x, env: { 'A=B': 1 } } }",
        "2:33",
        "`A=B` cannot be the name of a variable",
        "use letters, digits and `_`",
    );
    mistake("app: a\n[a]: 1", "2:1", "a key is a word, but this is a list", "put it in quotes");
}

const NAMES: &str = "use letters, digits, `-`, `_` and `.`, at most 63, the first a letter or a digit";

#[test]
fn values_that_are_wrong() {
    const DURATION: &str = "write a whole number and a unit: `250ms`, `30s`, `5m`, `2h` or `7d`";
    const ADDRESS: &str = "write an IP address and a port, for example `127.0.0.1:8080`";
    mistake("app: [a]", "1:6", "here should be a name, but there is a list", NAMES);
    mistake("app: a b", "1:6", "`a b` is not a name", NAMES);
    mistake(
        "app: a\nstore: mysql://x",
        "2:8",
        "`mysql://x` is not a store of this version",
        "write `sqlite:` and a file, for example `sqlite:shop.db`, or `postgres://user@host/database`",
    );
    mistake("app: a\nbroker: nats", "2:9", "`nats` is not one of `builtin`", "write `builtin`");
    mistake(
        "app: a\nregistry: etcd",
        "2:11",
        "here should be a mapping, the keys of the registry, but there is a single value",
        "write `builtin`, or `key: value` lines below it",
    );
    mistake("app: a\nqueues: { q: { lease: 30 } }", "2:23", "`30` is not a duration", DURATION);
    mistake(
        "app: a\nqueues: { q: { backoff: 5m..1s } }",
        "2:25",
        "`5m..1s` is not a range of durations",
        "write the shorter duration, two dots and the longer one: `1s..5m`",
    );
    mistake(
        "app: a\nqueues: { q: { body-max: 4 MiBB } }",
        "2:26",
        "`4 MiBB` is not a size",
        "write a whole number and a unit: `512B`, `64KiB`, `4MiB` or `1GiB`",
    );
    mistake(
        "app: a\nqueues: { q: { attempts-max: 0 } }",
        "2:30",
        "`0` is not a whole number from 1 to 1000",
        "write the number in digits",
    );
    mistake(
        "app: a\nqueues: 5",
        "2:9",
        "here should be a mapping, one entry for each queue, but there is a single value",
        "write `name: { … }` below, one line for each queue",
    );
    mistake("app: a\ngateway: { listen: 8080 }", "2:20", "`8080` is not an address to listen on", ADDRESS);
    mistake(
        "app: a\nconsole: maybe",
        "2:10",
        "here should be a mapping, the keys of the console, but there is a single value",
        "write `true`, `false` or `{ key: value }`",
    );
    mistake(
        "app: a\nservices: { s: { run: x, port: 70000 } }",
        "2:32",
        "`70000` is not a port",
        "write a number from 1 to 65535",
    );
    mistake(
        "app: a\nservices: { s: { run: x, restart: alway } }",
        "2:35",
        "`alway` is not one of `always`, `never`",
        "did you mean `always`?",
    );
    mistake(
        "app: a\nservices: { s: { run: \"x 'y\" } }",
        "2:23",
        "the command has a quote that is not closed",
        "write `[python, stock.py]` or `python stock.py`",
    );
    mistake(
        "app: a\nservices: { s: { run: [] } }",
        "2:23",
        "the command is empty",
        "write `[python, stock.py]` or `python stock.py`",
    );
    mistake(
        "app: a\nservices: { s: { at: 'localhost:1' } }",
        "2:22",
        "`localhost:1` is not an address of a service",
        "write `http://host:port` or `https://host`, for example `http://127.0.0.1:9001`",
    );
    mistake(
        "app: a\nservices: { s: { run: x, port: 1, health: '/{x}' } }",
        "2:43",
        "`/{x}` holds a `{name}`, but nothing is there to fill it",
        "write a path, for example `/healthz`",
    );
}

const S: &str = "app: a\nservices: { stock: { run: x, port: 7002 }, mute: { run: y } }\n";

#[test]
fn path_templates_that_are_wrong() {
    let advice = "write a path, for example `/orders/{id}` or `/files/{*rest}`";
    for (path, why) in [
        ("orders", "does not begin with `/`"),
        ("/a?b", "holds `?` or `#`; a path ends before them"),
        ("/{a/b}", "has a `{` that is not closed before the next `/`"),
        ("/a{b}", "has a `{` or `}` inside a segment; `{name}` takes a whole segment"),
        ("/{}", "has an empty name; write `{id}`"),
        ("/{a}/{a}", "uses one name twice"),
        ("/{*a}/b", "goes on after `{*…}`, which takes all the rest"),
        ("/a/../b", "holds `.` or `..`, which are resolved before routing"),
        ("/{a b}", "holds a space; write it as `%20`"),
        ("/{a!}", "has a name with other characters than letters, digits, `_` and `-`"),
    ] {
        let text = format!("{S}gateway: {{ routes: [ {{ match: {{ path: \"{path}\" }}, to: stock }} ] }}");
        mistake(&text, "3:39", &format!("`{path}` {why}"), advice);
    }
}

#[test]
fn names_that_lead_nowhere() {
    let service = "there are: stock, mute";
    mistake(
        &format!("{S}gateway: {{ routes: {{ /: stok }} }}"),
        "3:25",
        "there is no service `stok`",
        "did you mean `stock`?",
    );
    mistake(
        &format!("{S}gateway: {{ routes: {{ /: other }} }}"),
        "3:25",
        "there is no service `other`",
        service,
    );
    mistake(
        &format!("{S}gateway: {{ routes: {{ /: mute }} }}"),
        "3:25",
        "the service `mute` has no port, so it takes no requests",
        "give it one: `services: { mute: { port: 7001, … } }`",
    );
    mistake(
        &format!("{S}gateway: {{ routes: {{ '/{{id}}': 'stock:/{{sku}}' }} }}"),
        "3:31",
        "nothing fills `{sku}` in this path",
        "the match has `{id}`",
    );
    mistake(
        "app: a\ngateway: { routes: { /: web } }",
        "2:25",
        "there is no service `web`",
        "the file declares no service",
    );
    let topics = format!("{S}topics: {{ orders: }}\n");
    for (topic, help) in [
        ("order", "did you mean `orders`?"),
        ("mails.*", "there are: orders"),
        ("'*.*'", "there are: orders"),
    ] {
        mistake(
            &format!("{topics}subscriptions: {{ s: {{ topic: {topic}, to: stock }} }}"),
            "4:30",
            &format!("there is no topic `{}`", topic.trim_matches('\'')),
            help,
        );
    }
    mistake(
        &format!("{topics}subscriptions: {{ s: {{ topic: orders, to: stock, dead-letter-topic: orders }} }}"),
        "4:68",
        "its own dead letters would come back to this subscription",
        "name a topic that this subscription does not hear of",
    );
    mistake(
        &format!("{topics}subscriptions: {{ s: {{ topic: orders, to: 'stock:/{{x}}' }} }}"),
        "4:42",
        "nothing fills `{x}` in this path",
        "nothing here has names to fill it with; write a plain path",
    );
}

#[test]
fn services_that_contradict_themselves() {
    mistake(
        "app: a\nservices: { s: }",
        "2:13",
        "the service `s` has neither `run` nor `at`",
        "give it `run: [command, arguments…]` to have it started, or `at: [\"http://host:port\"]`",
    );
    mistake(
        "app: a\nservices: { s: { run: x, at: 'http://h:1' } }",
        "2:26",
        "the service `s` has both `run` and `at`",
        "keep `run` if `dozen up` shall start it, `at` if it runs already",
    );
    mistake(
        "app: a\nservices: { s: { at: 'http://h:1', instances: 2 } }",
        "2:36",
        "`instances` means nothing for a service that runs elsewhere",
        "remove it, or start the service with `run`",
    );
    mistake(
        "app: a\nservices: { s: { run: x, health: /h } }",
        "2:26",
        "`health` asks a port, and the service has none",
        "add `port`, or remove `health`: without a port, running is all that can be seen",
    );
    mistake(
        "app: a\nservices: { s: { run: x, port: 65535, instances: 2 } }",
        "2:39",
        "the last instance would get the port 65536",
        "choose a lower `port`",
    );
}

#[test]
fn ports_and_routes_that_are_taken_twice() {
    mistake(
        "app: a\nservices: { s: { run: x, port: 7001, instances: 2 }, t: { run: y, port: 7002 } }",
        "2:73",
        "the service `t` would listen on port 7002, where instance 2 of the service `s` listens",
        "choose another port for one of the two",
    );
    mistake(
        "app: a\ngateway: { listen: '0.0.0.0:8500' }",
        "2:20",
        "the gateway would listen on port 8500, where the console listens",
        "choose another port for one of the two",
    );
    let told = read("app: a\ngateway: { listen: '127.0.0.1:8443', tls: { redirect-from: '0.0.0.0:8443' } }");
    let told = told.map(drop).unwrap_err().to_string();
    let clash = "what sends plain HTTP to `https` would listen on port 8443, where the gateway listens";
    assert!(told.contains(clash), "{told}");
    assert!(read("app: a\ngateway: { listen: '127.0.0.1:0' }\nconsole: { listen: '127.0.0.1:0' }").is_ok());
    mistake(
        &format!("{S}gateway:\n  routes:\n    'GET /a/{{x}}': stock\n    'POST,GET /a/{{y}}': stock\n"),
        "6:5",
        "another route, on line 5, takes the same requests",
        "remove one, or tell them apart by path, method, host, header or query",
    );
    assert!(
        read(&format!("{S}gateway: {{ routes: {{ 'GET /a': stock, 'POST /a': stock, /a: stock }} }}"))
            .is_ok()
    );
}

#[test]
fn folders_that_are_missing() {
    mistake(
        "app: a\nservices: { s: { run: x, dir: '${env:NONE:-no}' } }",
        "2:31",
        "there is no folder `${env:NONE:-no}`",
        "make it; relative paths start from FOLDER",
    );
}

#[test]
fn a_store_that_cannot_be_written_is_told_before_anything_starts() {
    mistake(
        "app: a\nstore: sqlite:data/shop.db",
        "2:8",
        "the store's folder `FOLDER/data` does not exist",
        "make it, or choose another",
    );
}
