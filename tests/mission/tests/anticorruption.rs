//! AC · anti-corruption layer: a running `dozen up`, and systems of others as they are.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::any;
use dozen_core::{Ids, Message, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_faults::{Place, Up, ports, program};
use dozen_harness::{Reply, get, request};
use dozen_messaging::{Publisher as _, Settlement, Subscriber as _};
use dozen_mission::{DEADLINE, Running};
use dozen_pubsub::Topics;
use dozen_query::{Access, Database, Question};
use dozen_queue::Queue;
use dozen_store::Store;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A catalogue in SOAP and Latin-1. It counts what it is asked, and what is asked at `/slow` waits until it is released.
struct Legacy {
    address: String,
    asked: Arc<AtomicUsize>,
    release: Arc<Semaphore>,
    _running: Running,
}

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

fn soap(body: &str) -> Vec<u8> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Body>{body}</s:Body></s:Envelope>"
    );
    text.chars().map(|sign| u8::try_from(u32::from(sign)).expect("Latin-1")).collect()
}

async fn catalogue(body: Bytes) -> (StatusCode, [(&'static str, &'static str); 1], Vec<u8>) {
    let kind = [("content-type", "text/xml; charset=ISO-8859-1")];
    let asked = String::from_utf8_lossy(&body);
    if asked.contains(":Nr>sofa</") {
        let fault =
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>kein Sofa: geheim</faultstring></s:Fault>";
        return (StatusCode::INTERNAL_SERVER_ERROR, kind, soap(fault));
    }
    let changed =
        if asked.contains("new</") { "<l:Farbe>rot</l:Farbe>" } else { "<l:Preis>1.049,50</l:Preis>" };
    let article = format!(
        "<l:A xmlns:l=\"urn:l\" Nr=\"lamp\"><l:Name>Größe M</l:Name>{changed}<l:Seit>31.01.2024</l:Seit></l:A>"
    );
    (StatusCode::OK, kind, soap(&article))
}

impl Legacy {
    async fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, release) = (asked.clone(), Arc::new(Semaphore::new(0)));
        let released = release.clone();
        let answer = move |method: Method, uri: Uri, body: Bytes| {
            // A sidecar asks, too, whether somebody subscribes.
            if method == Method::POST {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            let released = (uri.path() == "/slow").then(|| released.clone());
            async move {
                if let Some(released) = released {
                    released.acquire().await.expect("never closed").forget();
                }
                catalogue(body).await
            }
        };
        let router = Router::new().route("/{*path}", any(answer));
        let server =
            Server::bind("127.0.0.1:0".parse().expect("an address"), Limits::default()).expect("a port");
        let address = server.local_addr().to_string();
        Self { address, asked, release, _running: Running::start(Serving(server.serving(router))) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct Serving(Arc<dyn dozen_lifecycle::Service>);

#[async_trait::async_trait]
impl dozen_lifecycle::Service for Serving {
    async fn run(
        self: Arc<Self>,
        stop: dozen_lifecycle::Stop,
        ready: dozen_lifecycle::Ready,
    ) -> Result<(), dozen_lifecycle::BoxError> {
        self.0.clone().run(stop, ready).await
    }
}

const ARTICLE: &str = r#"
  article:
    calls:
      it:
        ask:
          provider: legacy
          request:
            method: POST
            path: /catalogue
            format: { soap: { ns: { l: "urn:l" } } }
            map: { "l:Frage": { map: { "l:Nr": sku! } } }
            repeatable: true
          answer:
            format: { soap: { ns: { l: "urn:l" } } }
            rule:
              from: l:A
              required: true
              map:
                sku:   "@Nr!"
                name:  l:Name!
                price: { from: l:Preis, as: "money(EUR, comma, grouped)", required: true }
                since: { from: l:Seit, as: 'date("dd.MM.yyyy")', required: true }
          errors: { when: 'fault.code == "Client"', problem: article-unknown, status: 404 }
    drift: { one-in: 1 }
    examples: article.json
"#;

const LAMP: &str =
    r#"{"sku":"lamp","name":"Größe M","price":{"amount":"1049.50","currency":"EUR"},"since":"2024-01-31"}"#;

/// An example as it is kept beside the file: with `--add`, from the live system.
fn example(place: &Place, input: &str) {
    let (status, told) =
        dozen(place, &["translator", "record", "article", input, "--as", input, "--add", "article.json"]);
    assert_eq!(status, 0, "{told}");
}

fn dozen(place: &Place, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(program("dozen"));
    place.mark(command.args(arguments));
    let output = command.output().expect("dozen runs");
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&told).into_owned())
}

/// A file around these sections, with ports of its own: the gateway, the console, the registry, and the sidecar of `web`.
struct World {
    place: Place,
    legacy: Legacy,
    first: u16,
}

impl World {
    async fn new(sections: &str) -> Self {
        let (legacy, first) = (Legacy::start().await, ports(4));
        let yaml = format!(
            "app: a\nstore: sqlite:a.db\nservices:\n  legacy: {{ at: \"http://{}\" }}\n  web: {{ at: \"http://{}\", sidecar: {{ \
             port: {} }} }}\nconsole: {{ listen: \"127.0.0.1:{}\" }}\nregistry: {{ listen: \"127.0.0.1:{}\" }}\napi: false\n{}",
            legacy.address,
            legacy.address,
            first + 3,
            first + 1,
            first + 2,
            sections.replace("GATEWAY", &format!("127.0.0.1:{first}")),
        );
        let place = Place::new(&yaml);
        std::fs::write(place.file("article.json"), r#"{ "examples": [] }"#).expect("a file");
        Self { place, legacy, first }
    }

    fn up(&self) -> Up {
        self.place.up().ready()
    }

    fn get(&self, at: u16, path: &str) -> Reply {
        get(&format!("http://127.0.0.1:{}{path}", self.first + at)).expect("an answer")
    }

    fn yaml(&self) -> String {
        std::fs::read_to_string(self.place.file("dozen.yaml")).expect("the file")
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A route, a composition and a sidecar that lead to the translator.
async fn shop() -> World {
    World::new(&format!(
        "providers: {{ legacy: }}\ntranslators:{ARTICLE}gateway:\n  listen: GATEWAY\n  routes:\n    \
         \"GET /articles/{{sku}}\": \"article:/?sku={{sku}}\"\n    \"GET /both\": {{ compose: {{ one: {{ get: \"article:/?sku=lamp\" }}, \
         reply: {{ it: one }} }} }}\n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m1_the_layer_stands_between_the_domain_and_the_system_and_is_seen_at_work() {
    let world = shop().await;
    let _up = world.up();
    let asked = world.legacy.asked();
    let through = world.get(0, "/articles/lamp");
    assert_eq!((through.status, through.text().as_str()), (200, LAMP));
    assert_eq!(world.legacy.asked(), asked + 1, "their words stay on their side");
    let page: Value = serde_json::from_slice(&world.get(1, "/api/translator").body).expect("JSON");
    assert_eq!(page["translators"][0]["answered"], 1, "{page}");
    assert_eq!(page["providers"][0]["now"]["circuit"], "closed", "{page}");
    assert!(world.get(1, "/translator").text().contains("article"));
    assert_eq!(world.get(0, "/articles/sofa").status, 404);
    assert!(
        world
            .get(1, "/metrics")
            .text()
            .contains(r#"dozen_translator_operations_total{translator="article",outcome="known"} 1"#)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m4_routes_compositions_and_invocations_find_the_layer_by_its_name_and_hear_our_words_alone() {
    let world = shop().await;
    let _up = world.up();
    assert_eq!(world.get(0, "/articles/lamp").text(), LAMP, "the gateway's route");
    assert_eq!(world.get(0, "/both").text(), format!("{{\"it\":{LAMP}}}"), "a composition");
    let invoked = format!("http://127.0.0.1:{}/v1.0/invoke/article/method/", world.first + 3);
    let invoked = request("POST", &invoked, &[("content-type", "application/json")], br#"{"sku":"lamp"}"#);
    assert_eq!(invoked.expect("an answer").text(), LAMP, "a sidecar's invocation");
    let unknown = world.get(0, "/articles/sofa");
    assert_eq!(unknown.status, 404, "their fault is a problem of ours");
    assert!(
        unknown.text().contains("urn:dozen:problem:article-unknown") && !unknown.text().contains("geheim")
    );
}

async fn legacy_database(place: &Place) {
    std::fs::write(place.file("old.db"), []).expect("a file");
    let database = Database::at("sqlite:old.db", place.path(), Access::Writes).expect("an address");
    for text in [
        "create table item (code text, qty integer)",
        "insert into item values ('lamp', 3), ('x''; drop table item', 1)",
    ] {
        let (timeout, values) = (DEADLINE, Vec::new());
        let question = Question { text: text.into(), values, timeout, rows_max: 10, bytes_max: 1000 };
        database.ask(question).await.expect("the statement runs");
    }
}

/// What used to be a mainframe: it takes questions from a queue, and replies.
async fn mainframe(store: Store) {
    let queue =
        Queue::open(&store, "questions", Ids::new(Arc::new(SystemClock), 9)).await.expect("the queue");
    let subscriber = queue.subscriber();
    for taken in subscriber.receive(1, DEADLINE).await.expect("a question") {
        let asked: Value = serde_json::from_slice(&taken.message.data).expect("JSON");
        let reply = format!("{:<8}{:>6}", asked["artikel"].as_str().expect("an article"), 700);
        let done = store.transaction(async |tx| {
            queue.reply_in(tx, &taken, reply.clone());
            subscriber.settle_in(tx, taken.lease, Settlement::Done).await
        });
        assert!(done.await.expect("a commit").value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m3_a_legacy_database_a_queue_and_a_topic_are_asked_and_translated_as_they_are() {
    let world = World::new(
        r#"queues: { questions: }
topics: { theirs: , ours: }
providers: { old: { database: "sqlite:old.db" }, host: { queue: questions, timeout: 10s } }
translators:
  stock:
    calls:
      rows:
        ask:
          provider: old
          request: { sql: "select code, qty from item where code = :sku" }
          answer: { rule: { from: ".", required: true, map: { sku: code!, quantity: qty! } } }
          errors: { when: size(body) == 0, problem: item-unknown, status: 404 }
  price:
    calls:
      it:
        ask:
          provider: host
          request: { map: { artikel: sku! } }
          answer:
            format: { fixed: { columns: [ { name: sku, at: 1, width: 8 }, { name: cents, at: 9, width: 6 } ] } }
            map: { sku: sku!, price: { from: cents, as: "decimal(2, implied)", required: true } }
  changes:
    input-format: { xml: {} }
    map: { sku: input.Change.@code!, name: input.Change.Name! }
    messages: { from: theirs, to: ours, type: article.changed, attempts-max: 1, start: earliest }
"#,
    )
    .await;
    legacy_database(&world.place).await;
    let _up = world.up();
    for (input, wanted) in [
        (r#"{"sku":"lamp"}"#, r#"{"sku":"lamp","quantity":3}"#),
        (r#"{"sku":"x'; drop table item"}"#, r#"{"sku":"x'; drop table item","quantity":1}"#),
        (
            r#"{"sku":"sofa"}"#,
            r#"{"type":"urn:dozen:problem:item-unknown","title":"item unknown","status":404}"#,
        ),
    ] {
        let invoked = format!("http://127.0.0.1:{}/v1.0/invoke/stock/method/", world.first + 3);
        let answer = request("POST", &invoked, &[], input.as_bytes()).expect("an answer");
        assert_eq!(answer.text(), wanted);
    }
    let store = world.place.store("a.db").await;
    let worker = tokio::spawn(mainframe(store.clone()));
    let invoked = format!("http://127.0.0.1:{}/v1.0/invoke/price/method/", world.first + 3);
    let asked = tokio::task::spawn_blocking(move || request("POST", &invoked, &[], br#"{"sku":"lamp"}"#));
    let answer = asked.await.expect("a thread").expect("an answer");
    worker.await.expect("the mainframe");
    assert_eq!(answer.text(), r#"{"sku":"lamp","price":7.00}"#);

    let topics = Topics::open(&store);
    let message = |id: &str, data: &'static str| {
        Message::new(id, "/theirs", "CHG").with_key("lamp").with_data(Some("application/xml"), data)
    };
    let messages = vec![
        message("1", "<Change code=\"lamp\"><Name>Lampe</Name></Change>"),
        message("2", "<Change><Name>nobody</Name></Change>"),
    ];
    topics.publish("theirs", messages).await.expect("published");
    let journal = store.journal();
    let mut made = Vec::new();
    for _ in 0..500 {
        made = journal.read(&Topics::stream("ours"), 0, 10).await.expect("read");
        let dead = topics.subscriptions().await.expect("subscriptions");
        if !made.is_empty() && dead.iter().any(|one| one.name == "changes" && one.dead == 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let made: Vec<Message> =
        made.into_iter().map(|entry| Message::try_from(entry.record).expect("a message")).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].id.as_str(), made[0].kind.as_str(), made[0].key()),
        ("1", "article.changed", Some("lamp"))
    );
    assert_eq!(&made[0].data[..], br#"{"sku":"lamp","name":"Lampe"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m5_d1_examples_are_recorded_played_and_what_has_drifted_is_told_by_the_fields_name() {
    let world = World::new(&format!("providers: {{ legacy: }}\ntranslators:{ARTICLE}gateway: {{ listen: GATEWAY, routes: {{ \"GET /articles/{{sku}}\": \"article:/?sku={{sku}}\" }} }}\n")).await;
    example(&world.place, r#"{"sku":"lamp"}"#);
    example(&world.place, r#"{"sku":"sofa"}"#);
    let asked = world.legacy.asked();
    let (status, told) = dozen(&world.place, &["test"]);
    assert_eq!((status, told.as_str()), (0, "article: 2 of 2 examples hold\n"));
    assert_eq!(world.legacy.asked(), asked, "nothing is asked outside");

    let up = world.up();
    assert_eq!(world.get(0, "/articles/lamp").status, 200);
    let (status, told) = dozen(&world.place, &["translator", "drift"]);
    assert_eq!(
        (status, told.as_str()),
        (0, "1 answer compared with the examples and schemas\nnone differs\n")
    );
    let broken = world.get(0, "/articles/new");
    assert_eq!(broken.status, 502, "what has changed is not passed on");
    assert!(broken.text().contains("`price` from `l:Preis`: nothing is there"), "{}", broken.text());
    let (status, told) = dozen(&world.place, &["translator", "drift", "article"]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("l:A.l:Farbe") && told.contains("is new"), "{told}");
    assert!(told.contains("l:A.l:Preis") && told.contains("is missing"), "{told}");
    assert!(world.get(1, "/translator").text().contains("l:A.l:Farbe"));
    up.hear("the contract of another system has changed");

    let yaml = world.yaml().replace("from: l:Preis", "from: l:Prise");
    std::fs::write(world.place.file("dozen.yaml"), yaml).expect("a file");
    let (status, told) = dozen(&world.place, &["test", "article"]);
    assert_eq!(status, 1, "{told}");
    assert!(
        told.contains("1 of 2 examples fail") && told.contains("`price` from `l:Prise`: nothing is there"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_b1_one_line_of_the_file_replaces_a_running_system_by_its_recorded_answers() {
    let world = World::new(&format!("providers: {{ legacy: }}\ntranslators:{ARTICLE}gateway: {{ listen: GATEWAY, routes: {{ \"GET /articles/{{sku}}\": \"article:/?sku={{sku}}\" }} }}\n")).await;
    example(&world.place, r#"{"sku":"lamp"}"#);
    let up = world.up();
    assert_eq!(world.get(0, "/articles/lamp").text(), LAMP);
    let asked = world.legacy.asked();
    let yaml = world.yaml().replace("providers: { legacy: }", "providers: { legacy: { mock: true } }");
    std::fs::write(world.place.file("dozen.yaml"), yaml).expect("a file");
    up.hear("the file was taken over");
    assert_eq!(world.get(0, "/articles/lamp").text(), LAMP);
    assert_eq!(world.get(0, "/articles/sofa").status, 503, "no example has it");
    assert_eq!(world.legacy.asked(), asked, "nobody was asked");
    assert!(world.get(1, "/translator").text().contains("mocked by its examples"));

    // Translators come and go in the same way.
    let yaml = world.yaml().replace("  article:", "  goods:").replace("\"article:/", "\"goods:/");
    std::fs::write(world.place.file("dozen.yaml"), yaml).expect("a file");
    up.hear("the file was taken over");
    assert_eq!(world.get(0, "/articles/lamp").text(), LAMP, "by another name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_d3_a_slow_system_takes_nobody_with_it_and_what_is_kept_is_not_asked_again() {
    let slow = ARTICLE
        .replace("  article:", "  slow:")
        .replace("/catalogue", "/slow")
        .replace("article.json", "none.json");
    let fast = ARTICLE.replace("    drift:", "    cache: 1h\n    drift:");
    let world = World::new(&format!(
        "providers: {{ legacy: {{ }}, turtle: {{ service: legacy, in-flight-max: 1, pending-max: 0, timeout: 10s }} }}\n\
         translators:{fast}{}gateway: {{ listen: GATEWAY, routes: {{ \"GET /slow\": \"slow:/?sku=a\", \"GET /articles/{{sku}}\": \
         \"article:/?sku={{sku}}\" }} }}\n",
        slow.replace("provider: legacy", "provider: turtle")
    ))
    .await;
    std::fs::write(world.place.file("none.json"), r#"{ "examples": [] }"#).expect("a file");
    let _up = world.up();
    let url = format!("http://127.0.0.1:{}/slow", world.first);
    let first = std::thread::spawn(move || get(&url).expect("an answer").status);
    until("the slow system is asked", || world.legacy.asked() == 1);
    let second = world.get(0, "/slow");
    assert_eq!(second.status, 503);
    assert!(second.text().contains("provider-unavailable"), "{}", second.text());
    assert_eq!(world.get(0, "/articles/lamp").text(), LAMP);
    assert!(!first.is_finished(), "both are answered while the slow one is waited for");
    world.legacy.release.add_permits(1);
    let asked = world.legacy.asked();
    assert_eq!(world.get(0, "/articles/lamp").text(), LAMP);
    assert_eq!(world.legacy.asked(), asked, "the result was kept");
    assert_eq!(first.join().expect("a thread"), 200);
    let page = serde_json::from_slice::<Value>(&world.get(1, "/api/translator").body).expect("JSON");
    let turtle = page["providers"].as_array().into_iter().flatten().find(|one| one["name"] == "turtle");
    assert_eq!(turtle.map(|one| &one["now"]["totals"]["full"]), Some(&json!(1)), "{page}");
}
