//! AC · what formats, guards, several calls, databases and messages of translators promise: from a file, through a running
//! `dozen up`, with systems that are really there.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use dozen_core::{Ids, Message, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_faults::{Place, Up, ports, program};
use dozen_harness::{Postgres, Reply, free_port, request};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::{Settlement, Subscriber as _};
use dozen_mission::{Running, until};
use dozen_pubsub::Topics;
use dozen_query::{Access, Database, Question};
use dozen_queue::{Overview, Queue};
use dozen_store::Store;
use serde_json::Value;
use tokio::sync::Barrier;

struct Serving(Arc<dyn Service>);

#[async_trait::async_trait]
impl Service for Serving {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        self.0.clone().run(stop, ready).await
    }
}

/// A system of somebody else: its address, and how often it was asked.
struct System {
    at: String,
    asked: Arc<AtomicUsize>,
    _running: Running,
}

impl System {
    fn start(router: Router) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let router = router.layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                counter.fetch_add(1, Ordering::SeqCst);
                next.run(request)
            },
        ));
        let server =
            Server::bind("127.0.0.1:0".parse().expect("an address"), Limits::default()).expect("a port");
        let at = format!("http://{}", server.local_addr());
        Self { at, asked, _running: Running::start(Serving(server.serving(router))) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A running file, with a gateway whose route `/NAME` leads to the translator `NAME`.
struct World {
    place: Place,
    up: Up,
    first: u16,
}

impl World {
    /// `prepare` sees the folder before anything runs there.
    fn up(sections: &str, translators: &[&str], prepare: impl FnOnce(&Place)) -> Self {
        let first = ports(3);
        let routes = translators.iter().map(|name| format!("\"/{name}\": \"{name}:/\"")).collect::<Vec<_>>();
        let place = Place::new(&format!(
            "app: a\nstore: sqlite:a.db\nregistry: {{ listen: \"127.0.0.1:{}\" }}\nconsole: {{ listen: \"127.0.0.1:{}\" }}\napi: \
             false\ngateway: {{ listen: \"127.0.0.1:{first}\", routes: {{ {} }} }}\n{sections}",
            first + 2,
            first + 1,
            routes.join(", "),
        ));
        prepare(&place);
        let up = place.up().ready();
        Self { place, up, first }
    }

    fn ask(&self, translator: &str, input: &str) -> Reply {
        let url = format!("http://127.0.0.1:{}/{translator}", self.first);
        request("POST", &url, &[("content-type", "application/json")], input.as_bytes()).expect("an answer")
    }

    fn said(&self, translator: &str, input: &str) -> String {
        self.ask(translator, input).text()
    }

    fn page(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.first + 1);
        request("GET", &url, &[], b"").expect("an answer").text()
    }

    fn dozen(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(program("dozen"));
        self.place.mark(command.args(arguments));
        let output = command.output().expect("dozen runs");
        let told = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&told).into_owned())
    }
}

fn kind(name: &'static str) -> [(&'static str, &'static str); 1] {
    [("content-type", name)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m2_csv_forms_and_old_charsets_are_read_and_written_as_the_file_says() {
    let router = Router::new()
        .route(
            "/prices",
            get(|| async { (kind("text/csv"), b"no;name;price\n7;M\xfcller;1.049,50\n".to_vec()) }),
        )
        .route(
            "/token",
            post(|body: String| async move {
                assert_eq!(body, "user=M%FCller+%26+Co&grant=password");
                (kind("application/x-www-form-urlencoded"), "access=a%20b&expires=3600")
            }),
        );
    let system = System::start(router);
    let world = World::up(
        &format!(
            r#"services: {{ erp: {{ at: "{}", sidecar: false }} }}
providers: {{ erp: }}
translators:
  prices:
    calls:
      it:
        ask:
          provider: erp
          request: {{ path: /prices }}
          answer:
            format: {{ csv: {{ delimiter: ";", charset: windows-1252 }} }}
            rule: {{ each: ".", map: {{ sku: no!, name: name!, price: {{ from: price, as: "decimal(2, comma, grouped)", required: true }} }} }}
  token:
    calls:
      it:
        ask:
          provider: erp
          request:
            method: POST
            path: /token
            format: {{ form: {{ charset: windows-1252 }} }}
            map: {{ user: name!, grant: {{ value: password }} }}
          answer: {{ format: form, map: {{ token: access!, seconds: {{ from: expires, as: integer, required: true }} }} }}
"#,
            system.at
        ),
        &["prices", "token"],
        |_| {},
    );
    assert_eq!(world.said("prices", "{}"), r#"[{"sku":"7","name":"Müller","price":1049.50}]"#);
    assert_eq!(world.said("token", r#"{"name":"Müller & Co"}"#), r#"{"token":"a b","seconds":3600}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_d3_the_next_provider_answers_where_that_does_nothing_twice_and_a_circuit_leaves_a_sick_one_alone()
{
    let unwell = || async { StatusCode::SERVICE_UNAVAILABLE };
    let first = System::start(Router::new().route("/", get(unwell).post(unwell)));
    let busy = System::start(Router::new().route("/", get(|| async { StatusCode::TOO_MANY_REQUESTS })));
    let from = || async { (kind("application/json"), r#"{"from":"second"}"#) };
    let second = System::start(Router::new().route("/", get(from).post(from)));
    let world = World::up(
        &format!(
            r#"services:
  away: {{ at: "http://127.0.0.1:{}", sidecar: false }}
  first: {{ at: "{}", sidecar: false }}
  busy: {{ at: "{}", sidecar: false }}
  second: {{ at: "{}", sidecar: false }}
providers: {{ away: , first: , second: , busy: {{ circuit: {{ requests-min: 3, failure-percent: 50, open: 1h }} }} }}
translators:
  read: {{ calls: {{ it: {{ ask: [ {{ provider: away }}, {{ provider: first }}, {{ provider: second }} ] }} }} }}
  write:
    calls:
      it: {{ ask: [ {{ provider: first, request: {{ method: POST }} }}, {{ provider: second, request: {{ method: POST }} }} ] }}
  limited:
    calls:
      it: {{ ask: {{ provider: busy, errors: {{ when: status == 429, problem: too-busy, status: 503 }} }} }}
"#,
            free_port(),
            first.at,
            busy.at,
            second.at
        ),
        &["read", "write", "limited"],
        |_| {},
    );
    assert_eq!(world.said("read", "{}"), r#"{"from":"second"}"#);
    let said = world.ask("write", "{}");
    assert_eq!(said.status, 503, "the first may have done it: {}", said.text());
    assert_eq!((first.asked(), second.asked()), (2, 1));
    for _ in 0..3 {
        assert!(world.said("limited", "{}").contains("too-busy"));
    }
    let said = world.ask("limited", "{}");
    assert!(said.status == 503 && said.text().contains("provider-unavailable"), "{}", said.text());
    assert_eq!(busy.asked(), 3, "it is left alone, although a rule knows what it says");
    assert!(world.page("/metrics").contains("dozen_provider_circuit_open{provider=\"busy\"} 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m6_one_operation_is_several_calls_at_the_same_time_as_far_as_they_need_nothing_of_each_other() {
    let both = Arc::new(Barrier::new(2));
    let waiting = |said: &'static str| {
        let both = both.clone();
        // Neither answers before the other one is asked.
        get(move || async move {
            both.wait().await;
            (kind("application/json"), said)
        })
    };
    let router = Router::new()
        .route("/items/lamp", waiting(r#"{"id":"i7","title":"Lamp"}"#))
        .route("/stock/lamp", waiting(r#"{"left":3}"#))
        .route("/of/i7", get(|| async { (kind("application/json"), r#"{"stars":[5,4]}"#) }))
        .route("/hints/i7", get(|| async { StatusCode::BAD_GATEWAY }));
    let system = System::start(router);
    let world = World::up(
        &format!(
            r#"services: {{ erp: {{ at: "{}", sidecar: false }} }}
providers: {{ erp: }}
translators:
  product:
    calls:
      item:    {{ ask: {{ provider: erp, request: {{ path: "/items/{{sku}}" }} }} }}
      stock:   {{ ask: {{ provider: erp, request: {{ path: "/stock/{{sku}}" }} }} }}
      reviews: {{ with: {{ id: item.id! }}, ask: {{ provider: erp, request: {{ path: "/of/{{id}}" }} }} }}
      hints:   {{ with: {{ id: item.id! }}, ask: {{ provider: erp, request: {{ path: "/hints/{{id}}" }} }}, optional: true }}
    map: {{ title: item.title!, left: stock.left!, stars: {{ from: reviews.stars, as: any, count: many }}, hint: hints.text? }}
"#,
            system.at
        ),
        &["product"],
        |_| {},
    );
    assert_eq!(world.said("product", r#"{"sku":"lamp"}"#), r#"{"title":"Lamp","left":3,"stars":[5,4]}"#);
    assert_eq!(system.asked(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m3_postgresql_and_a_file_of_sqlite_in_an_old_charset_are_asked_as_they_are() {
    let server = Postgres::start(&[]).expect("a server");
    let name = server.fresh_database().expect("a database");
    server
        .psql(&name, "create table item (sku text, price numeric(12,2)); insert into item values ('lamp', 1234567890.10)")
        .expect("a table");
    let world = World::up(
        &format!(
            r#"services: {{ none: {{ at: "http://127.0.0.1:9", sidecar: false }} }}
providers: {{ erp: {{ database: "{}" }}, old: {{ database: "sqlite:old.db", charset: windows-1252 }}, raw: {{ database: "sqlite:old.db" }} }}
translators:
  price:
    calls:
      it:
        ask:
          provider: erp
          request: {{ sql: "select sku, price from item where sku = :sku" }}
          answer: {{ rule: {{ from: ".", required: true, map: {{ sku: sku!, price: {{ from: price, as: decimal, required: true }} }} }} }}
          errors: {{ when: size(body) == 0, problem: item-unknown, status: 404 }}
  write: {{ calls: {{ it: {{ ask: {{ provider: erp, request: {{ sql: "delete from item returning sku" }} }} }} }} }}
  customer:
    calls: {{ it: {{ ask: {{ provider: old, request: {{ sql: "select name from customer where name = :name" }} }} }} }}
  guessed:
    calls: {{ it: {{ ask: {{ provider: raw, request: {{ sql: "select name from customer" }} }} }} }}
"#,
            server.url(&name)
        ),
        &["price", "write", "customer", "guessed"],
        legacy_file,
    );
    assert_eq!(world.said("price", r#"{"sku":"lamp"}"#), r#"{"sku":"lamp","price":1234567890.10}"#);
    assert_eq!(world.ask("price", r#"{"sku":"'; drop table item; --"}"#).status, 404);
    assert_eq!(world.ask("write", "{}").status, 502, "it is asked to read");
    assert_eq!(world.said("customer", r#"{"name":"Müller"}"#), r#"[{"name":"Müller"}]"#);
    let guessed = world.ask("guessed", "{}");
    assert_eq!(guessed.status, 502, "nothing is guessed");
    assert!(guessed.text().contains("row 1, column `name`: the text is not in UTF-8"), "{}", guessed.text());
    server.stop().expect("it stops");
    assert_eq!(world.ask("price", r#"{"sku":"lamp"}"#).status, 503);
}

/// A database whose text is in windows-1252.
fn legacy_file(place: &Place) {
    std::fs::write(place.file("old.db"), []).expect("a file");
    let database = Database::at("sqlite:old.db", place.path(), Access::Writes).expect("an address");
    let statements =
        ["create table customer (name text)", "insert into customer values (cast(x'4dfc6c6c6572' as text))"];
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(async {
            for text in statements {
                let (timeout, values) = (Duration::from_secs(10), Vec::new());
                let question = Question { text: text.into(), values, timeout, rows_max: 10, bytes_max: 1000 };
                database.ask(question).await.expect("the statement runs");
            }
        });
    });
}

async fn published(store: &Store, topic: &str) -> Vec<Message> {
    let entries = store.journal().read(&Topics::stream(topic), 0, 10).await.expect("a topic");
    entries.into_iter().map(|entry| Message::try_from(entry.record).expect("a message")).collect()
}

async fn overview(store: &Store, queue: &str) -> Overview {
    let all = Overview::of(store).await.expect("queues");
    all.into_iter().find(|one| one.name == queue).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m3_messages_of_a_queue_are_translated_to_a_topic_to_a_queue_or_to_a_reply_and_acknowledged_with_the_result()
 {
    let world = World::up(
        r#"queues: { orders: , theirs: , ours: { body-max: 40B }, asked: }
topics: { placed: }
translators:
  order:
    input-format: { csv: { delimiter: ";", charset: windows-1252, header: false, columns: [no, name] } }
    map: { no: { from: "input[*].no", as: integer, count: one, required: true }, name: { from: "input[*].name", count: one, required: true } }
    messages: { from: orders, to: placed, type: order.placed }
  again:
    map: { no: input.nr! }
    messages: { from: theirs, to: ours, type: order.again }
  price:
    map: { price: { from: input.cents, as: "decimal(2, implied)", required: true } }
    messages: { from: asked }
"#,
        &[],
        |_| {},
    );
    let store = world.place.store("a.db").await;
    let ids = || Ids::new(Arc::new(SystemClock), 9);
    let open = async |name: &str| Queue::open(&store, name, ids()).await.expect("a queue");
    let message = |id: &str, data: &[u8]| {
        Message::new(id, "/theirs", "ORD").with_key("k").with_data(Some("text/csv"), data.to_vec())
    };
    // To a topic; and what can never be translated is a dead letter that holds nobody up.
    let orders = open("orders").await;
    let poison = Message::new("2", "/theirs", "ORD").with_data(Some("text/csv"), b"x;nobody\n".to_vec());
    orders.send_all(vec![message("1", b"7;M\xfcller\n"), poison], None).await.expect("sent");
    until(&store, "queue/orders", async || {
        let orders = overview(&store, "orders").await;
        orders.dead == 1 && orders.lag() == 0
    })
    .await;
    let made = published(&store, "placed").await;
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].id.as_str(), made[0].kind.as_str(), made[0].key()), ("1", "order.placed", Some("k")));
    assert_eq!(&made[0].data[..], "{\"no\":7,\"name\":\"Müller\"}".as_bytes());
    let (status, told) = world.dozen(&["queue", "peek", "orders", "--dead"]);
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("`no`"), "{told}");

    // To a queue; what has no room there is not acknowledged, and no half of it is there.
    let theirs = open("theirs").await;
    let json = |id: &str, data: &str| {
        Message::new(id, "/theirs", "ORD").with_data(Some("application/json"), data.to_owned())
    };
    let long = format!("{{\"nr\":\"{}\"}}", "9".repeat(100));
    theirs.send_all(vec![json("3", r#"{"nr":1}"#), json("4", &long)], None).await.expect("sent");
    until(&store, "queue/theirs", async || overview(&store, "theirs").await.dead == 1).await;
    let (theirs, ours) = (overview(&store, "theirs").await, overview(&store, "ours").await);
    assert_eq!((theirs.lag(), ours.fresh, ours.dead), (0, 1, 0));

    // To whoever waits for a reply.
    let asked = open("asked").await;
    asked.send(json("5", r#"{"cents":"0700"}"#)).await.expect("sent");
    let completion = asked.completion("5", Duration::from_secs(20)).await.expect("a queue").expect("a reply");
    assert_eq!(completion.reply.as_deref(), Some(&br#"{"price":7.00}"#[..]));
    let (_, told) = world.dozen(&["translator", "list"]);
    assert!(told.contains("queue orders to placed") && told.contains("queue theirs to queue ours"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m3_while_the_queue_of_the_results_is_full_messages_wait_where_they_are_and_none_of_them_dies() {
    let ids = || Ids::new(Arc::new(SystemClock), 9);
    let json = |id: &str| {
        Message::new(id, "/theirs", "ORD").with_data(Some("application/json"), r#"{"nr":1}"#.to_owned())
    };
    let prepare = |place: &Place| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let store = place.store("a.db").await;
                let open = async |name: &str| Queue::open(&store, name, ids()).await.expect("a queue");
                open("ours").await.send(json("0")).await.expect("sent");
                open("theirs").await.send_all(vec![json("1"), json("2")], None).await.expect("sent");
            });
        });
    };
    let world = World::up(
        r#"queues: { theirs: { attempts-max: 1 }, ours: { waiting-max: 1 } }
translators:
  order: { map: { no: input.nr! }, messages: { from: theirs, to: ours, type: order.placed } }
"#,
        &[],
        prepare,
    );
    world.up.hear("whoever fills it holds back");
    let store = world.place.store("a.db").await;
    let ours = Queue::open(&store, "ours", ids()).await.expect("a queue").subscriber();
    let mut got = Vec::new();
    while got.len() < 3 {
        let taken = ours.receive(1, Duration::from_secs(20)).await.expect("received");
        assert!(!taken.is_empty(), "only {got:?} came");
        for delivery in taken {
            got.push(delivery.message.id);
            assert_eq!(ours.settle(vec![(delivery.lease, Settlement::Done)]).await.expect("settled"), [true]);
        }
    }
    assert_eq!(got, ["0", "1", "2"]);
    assert_eq!(overview(&store, "theirs").await.dead, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ac_m5_a_rule_that_cannot_be_decided_and_what_is_not_compared_are_told() {
    let system = System::start(
        Router::new().route("/", get(|| async { (kind("application/json"), r#"{"left":3}"#) })),
    );
    let world = World::up(
        &format!(
            r#"services: {{ erp: {{ at: "{}", sidecar: false }} }}
providers: {{ erp: }}
translators:
  stock: {{ calls: {{ it: {{ ask: {{ provider: erp, errors: {{ when: 'body.eror == "unknown"', problem: item-unknown, status: 404 }} }} }} }} }}
"#,
            system.at
        ),
        &["stock"],
        |_| {},
    );
    let (status, told) = world.dozen(&["translator", "drift"]);
    assert_eq!(status, 0, "{told}");
    assert!(
        told.contains("not compared: stock.it at erp, of which there is neither an example nor a schema"),
        "{told}"
    );
    assert_eq!(world.said("stock", "{}"), r#"{"left":3}"#);
    let (status, told) = world.dozen(&["translator", "drift"]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("errors[0]") && told.contains("cannot be decided"), "{told}");
    let page: Value = serde_json::from_str(&world.page("/api/translator")).expect("JSON");
    assert_eq!(page["translators"][0]["drift"][0]["fields"][0]["change"], "undecided", "{page}");
}
