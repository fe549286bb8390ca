//! The HTTP face, over real sockets and by a client that knows nothing of dozen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Backoff, Ids, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_harness::{Part, Reply, ask};
use dozen_messaging::Policy;
use dozen_openapi::{Face, guarded};
use dozen_queue::{Options, Queue};
use dozen_store::Store;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A face that listens, onto a store in memory with the queue `invoices`.
struct Served {
    base: String,
    closing: CancellationToken,
    part: Part,
}

impl Served {
    async fn with(options: Options) -> Self {
        Self::guarded(options, None).await
    }

    async fn guarded(options: Options, token: Option<&str>) -> Self {
        let store = Store::new(dozen_memory::Memory::new(), Arc::new(SystemClock));
        Queue::declare(&store, "invoices", &options).await.unwrap();
        let closing = CancellationToken::new();
        let face = Face::new(store, Ids::new(Arc::new(SystemClock), 7), None, closing.clone());
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).unwrap();
        let base = format!("http://{}/dozen/v1/queues", server.local_addr());
        let router = guarded(dozen_queue::http::router(face), token.map(str::to_owned));
        Self { base, closing, part: Part::start(server.serving(router)) }
    }

    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        ask(method, &format!("{}{path}", self.base), headers, body.as_bytes()).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let json = [("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.ask("POST", path, &json, &body).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let reply = self.ask("GET", path, &[], "").await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    async fn send(&self, number: u32) -> String {
        let (status, sent) =
            self.post("/invoices/messages?type=invoice.wanted", json!({ "order": number })).await;
        assert_eq!(status, 201, "{sent}");
        sent["ids"][0].as_str().unwrap().to_owned()
    }

    async fn receive(&self, query: &str) -> Vec<Value> {
        let (status, received) = self.post(&format!("/invoices/receive{query}"), Value::Null).await;
        assert_eq!(status, 200, "{received}");
        received["messages"].as_array().unwrap().clone()
    }

    async fn stop(self) {
        self.closing.cancel();
        self.part.stop().await.unwrap();
    }
}

fn quick(attempts_max: u32) -> Options {
    let backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(4));
    Options { policy: Policy { attempts_max, backoff }, ..Options::default() }
}

#[tokio::test]
async fn a_message_is_sent_received_and_acknowledged() {
    let served = Served::new().await;
    let id = served.send(7).await;
    let messages = served.receive("?max=5").await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((message["attempts"].as_u64(), &message["message"]["id"]), (Some(1), &json!(id)));
    assert_eq!(message["message"]["data"], json!({ "order": 7 }));
    assert_eq!(message["message"]["type"], "invoice.wanted");
    let ack = json!({ "lease": message["lease"] });
    assert_eq!(served.post("/invoices/ack", ack.clone()).await.1["results"][0]["ok"], true);
    let (status, problem) = served.post("/invoices/ack", ack).await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:dozen:problem:lease-lost")));
    let several = json!({ "leases": [message["lease"]] });
    assert_eq!(
        served.post("/invoices/ack", several).await,
        (200, json!({ "results": [{ "lease": message["lease"], "ok": false }] }))
    );
    let (_, status) = served.get(&format!("/invoices/messages/{id}")).await;
    assert_eq!((status["step"].as_str(), status["finished"].as_bool()), (Some("done"), Some(true)));
    served.stop().await;
}

#[tokio::test]
async fn a_batch_is_sent_as_one_and_a_wrong_one_not_at_all() {
    let served = Served::new().await;
    let batch = [("content-type", "application/cloudevents-batch+json")];
    let good = json!([{ "type": "a", "data": 1 }, { "type": "b", "id": "mine" }]).to_string();
    let reply = served.ask("POST", "/invoices/messages", &batch, &good).await;
    let sent: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &sent["ids"][1]), (201, &json!("mine")));
    let bad = json!([{ "type": "a" }, { "data": 2 }]).to_string();
    let reply = served.ask("POST", "/invoices/messages", &batch, &bad).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert!(reply.text().contains("message 1"), "{}", reply.text());
    assert_eq!(served.get("/invoices").await.1["lag"], 2);
    served.stop().await;
}

#[tokio::test]
async fn an_event_in_binary_mode_keeps_its_attributes_and_its_trace() {
    let served = Served::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "e-1"),
        ("ce-source", "/shop"),
        ("ce-type", "t"),
        ("ce-dozenkey", "k"),
        ("content-type", "text/plain"),
        ("traceparent", trace),
    ];
    assert_eq!(served.ask("POST", "/invoices/messages", &headers, "hello").await.status, 201);
    let message = &served.receive("").await[0]["message"];
    for (name, value) in
        [("id", "e-1"), ("source", "/shop"), ("dozenkey", "k"), ("data", "hello"), ("traceparent", trace)]
    {
        assert_eq!(message[name], value, "{name}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_lease_that_ends_is_handed_out_again_and_the_old_one_settles_nothing() {
    let served = Served::new().await;
    served.send(1).await;
    let first = served.receive("?lease=100ms").await;
    let second = served.receive("?wait=20s").await;
    assert_eq!(second[0]["attempts"], 2, "{second:?}");
    assert_eq!(served.post("/invoices/ack", json!({ "lease": first[0]["lease"] })).await.0, 409);
    let (_, extended) =
        served.post("/invoices/extend", json!({ "lease": second[0]["lease"], "for": "5m" })).await;
    assert!(extended["results"][0]["until"].as_str() > second[0]["until"].as_str(), "{extended}");
    assert_eq!(served.post("/invoices/ack", json!({ "lease": second[0]["lease"] })).await.0, 200);
    served.stop().await;
}

#[tokio::test]
async fn a_refused_message_comes_back_and_is_a_dead_letter_in_the_end() {
    let served = Served::with(quick(2)).await;
    served.send(1).await;
    let lease = served.receive("").await[0]["lease"].clone();
    let (_, refused) = served.post("/invoices/nack", json!({ "lease": lease, "error": "no paper" })).await;
    assert_eq!(
        (&refused["results"][0]["dead"], refused["results"][0]["again"].is_string()),
        (&json!(false), true)
    );
    let lease = served.receive("?wait=20s").await[0]["lease"].clone();
    let last = json!({ "lease": lease, "error": "still no paper", "after": "1h" });
    assert_eq!(served.post("/invoices/nack", last).await.1["results"][0]["dead"], true);
    let (_, dead) = served.get("/invoices/dead?error=still&type=invoice.wanted").await;
    let letter = &dead["dead"][0];
    assert_eq!((&letter["attempts"], &letter["errors"][0]["error"]), (&json!(2), &json!("no paper")));
    assert_eq!(served.get("/invoices/dead?error=ink").await.1["dead"], json!([]));

    let dry = served.post("/invoices/dead/redrive", json!({ "dry-run": true })).await.1;
    assert_eq!(dry, json!({ "matched": 1, "done": 0 }));
    let position = letter["position"].as_u64().unwrap();
    let headers = [("content-type", "application/json"), ("ce-type", "invoice.corrected")];
    let path = format!("/invoices/dead/{position}");
    assert_eq!(served.ask("PUT", &path, &headers, r#"{"order":2}"#).await.status, 200);
    assert_eq!(served.ask("PUT", "/invoices/dead/4711", &headers, "{}").await.status, 404);
    let redriven =
        served.post("/invoices/dead/redrive", json!({ "positions": [position], "per-second": 50 })).await;
    assert_eq!(redriven.1, json!({ "matched": 1, "done": 1 }));
    let again = &served.receive("?wait=20s").await[0];
    assert_eq!((&again["attempts"], &again["message"]["data"]["order"]), (&json!(1), &json!(2)));
    assert_eq!(again["message"]["type"], "invoice.corrected");
    let poison = json!({ "lease": again["lease"], "error": "no such order", "permanent": true });
    assert_eq!(served.post("/invoices/nack", poison).await.1["results"][0]["dead"], true);
    let purged = served.post("/invoices/dead/purge", json!({ "error": "no such order" })).await;
    assert_eq!(purged.1, json!({ "matched": 1, "done": 1 }));
    served.stop().await;
}

#[tokio::test]
async fn a_message_that_ends_its_worker_each_time_becomes_a_dead_letter() {
    let served = Served::with(quick(1)).await;
    let id = served.send(1).await;
    assert_eq!(served.receive("?lease=100ms").await.len(), 1);
    assert_eq!(served.receive("?wait=1s").await.len(), 0);
    let (_, status) = served.get(&format!("/invoices/messages/{id}")).await;
    assert_eq!(status["step"], "dead");
    assert!(status["errors"].to_string().contains("without a verdict"), "{status}");
    served.stop().await;
}

#[tokio::test]
async fn dead_letters_are_read_page_by_page_across_priorities() {
    let served = Served::with(Options { priorities: 3, ..Options::default() }).await;
    for number in 0..7 {
        let path = format!("/invoices/messages?type=t&priority={}", number % 3);
        assert_eq!(served.post(&path, json!({ "order": number })).await.0, 201);
    }
    let leases: Vec<Value> =
        served.receive("").await.iter().map(|message| message["lease"].clone()).collect();
    served.post("/invoices/nack", json!({ "leases": leases, "permanent": true })).await;
    let (mut orders, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let (_, page) = served.get(&format!("/invoices/dead?limit=3&after={after}")).await;
        orders.extend(
            page["dead"].as_array().unwrap().iter().map(|letter| letter["message"]["data"]["order"].clone()),
        );
        after = page["next"].clone();
    }
    assert_eq!(orders, (0..7).map(Value::from).collect::<Vec<_>>());
    served.stop().await;
}

#[tokio::test]
async fn q_d2_a_sender_over_http_gets_the_reply_or_learns_that_the_deadline_came_first() {
    let served = Served::new().await;
    let late = served.post("/invoices/messages?type=t&wait=20ms", json!({ "order": 1 })).await;
    assert_eq!((late.0, &late.1["status"]["step"]), (202, &json!("queued")));
    let first = served.receive("").await[0]["lease"].clone();
    let asking = served.post("/invoices/messages?type=t&wait=20s", json!({ "order": 2 }));
    let working = async {
        let message = served.receive("?wait=20s").await.remove(0);
        let reply = json!({ "lease": message["lease"], "reply": { "invoice": "i-2" } });
        assert_eq!(served.post("/invoices/ack", reply).await.0, 200);
    };
    let ((status, answer), ()) = tokio::join!(asking, working);
    assert_eq!((status, &answer["status"]["reply"]["invoice"]), (200, &json!("i-2")), "{answer}");
    // And later, by its id.
    let id = late.1["ids"][0].as_str().unwrap();
    served.post("/invoices/ack", json!({ "lease": first, "reply": null })).await;
    let (_, status) = served.get(&format!("/invoices/messages/{id}?wait=20s")).await;
    assert_eq!((&status["step"], status.get("reply")), (&json!("done"), Some(&Value::Null)));
    served.stop().await;
}

#[tokio::test]
async fn a_unique_name_is_taken_once() {
    let served = Served::new().await;
    let path = "/invoices/messages?type=t&unique=order-7&unique-for=1h";
    let (status, first) = served.post(path, json!({})).await;
    assert_eq!(status, 201);
    let (status, second) = served.post(path, json!({})).await;
    assert_eq!((status, second), (200, json!({ "duplicate": true, "of": first["ids"][0] })));
    served.stop().await;
}

#[tokio::test]
async fn a_delayed_message_waits_and_one_that_expires_is_dropped() {
    let served = Served::new().await;
    served.post("/invoices/messages?type=t&delay=1h", json!({})).await;
    served.post("/invoices/messages?type=t&at=2999-01-01T00:00:00%2B02:00", json!({})).await;
    let (_, sent) = served.post("/invoices/messages?type=t&expires=2000-01-01T00:00:00Z", json!({})).await;
    let id = sent["ids"][0].as_str().unwrap();
    assert_eq!(served.receive("?wait=50ms").await.len(), 0);
    assert_eq!(served.get(&format!("/invoices/messages/{id}?wait=10s")).await.1["step"], "dropped");
    served.stop().await;
}

#[tokio::test]
async fn a_paused_queue_hands_nothing_out_until_it_is_resumed() {
    let served = Served::new().await;
    served.send(1).await;
    assert_eq!(served.post("/invoices/pause", Value::Null).await.1["paused"], true);
    assert_eq!(served.receive("").await.len(), 0);
    assert_eq!(served.post("/invoices/resume", Value::Null).await.1["paused"], false);
    assert_eq!(served.receive("").await.len(), 1);
    served.stop().await;
}

#[tokio::test]
async fn every_refusal_is_a_problem_that_says_what_where_and_what_to_do() {
    let options = Options { bytes_max: 100, waiting_max: NonZeroU64::new(1), ..Options::default() };
    let served = Served::with(options).await;
    let big = format!("\"{}\"", "x".repeat(200));
    served.send(1).await;
    let json = [("content-type", "application/json")];
    for (method, path, body, status, page, says) in [
        ("GET", "/invoces", "", 404, "unknown-name", "did you mean `invoices`"),
        ("POST", "/nowhere/messages?type=t", "{}", 404, "unknown-name", "no queue `nowhere`"),
        ("GET", "/invoices/messages/none", "", 404, "unknown-name", "message"),
        ("POST", "/invoices/messages?type=t", big.as_str(), 413, "message-too-large", "\"bytes-max\":100"),
        ("POST", "/invoices/messages", "{}", 400, "invalid-request", "?type="),
        ("POST", "/invoices/messages?type=t", "{oops", 400, "invalid-request", "no JSON"),
        ("POST", "/invoices/messages?type=t&delay=soon", "{}", 400, "invalid-request", "soon"),
        (
            "POST",
            "/invoices/messages?type=t&delay=1s&at=2999-01-01T00:00:00Z",
            "{}",
            400,
            "invalid-request",
            "either",
        ),
        ("POST", "/invoices/messages?type=t&priority=7", "{}", 400, "invalid-message", "priority 7"),
        ("POST", "/invoices/messages?type=t&colour=red", "{}", 400, "invalid-request", "colour"),
        ("POST", "/invoices/receive?max=0", "", 400, "invalid-request", "1 to 100"),
        ("POST", "/invoices/receive?lease=1ms", "", 400, "invalid-request", "100ms to 12h"),
        ("POST", "/invoices/ack", "{}", 400, "invalid-request", "`lease`"),
        ("POST", "/invoices/ack", r#"{"lease":"x"}"#, 400, "invalid-request", "no lease"),
        ("POST", "/invoices/ack", "[]", 400, "invalid-request", "one JSON object"),
        ("PUT", "/invoices/dead/first", "{}", 400, "invalid-request", "path"),
        ("DELETE", "/invoices", "", 405, "unknown-path", "openapi.json"),
    ] {
        let reply = served.ask(method, path, &json, body).await;
        let text = reply.text();
        assert_eq!(reply.status, status, "{method} {path}: {text}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{method} {path}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["type"], format!("urn:dozen:problem:{page}"), "{method} {path}");
        assert!(text.contains(says), "{method} {path}: {text}");
    }
    // The limit is looked at once a second, so that a burst may go beyond it.
    let full = loop {
        let reply = served.ask("POST", "/invoices/messages?type=t", &json, "{}").await;
        if reply.status != 201 {
            break reply;
        }
    };
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")), "{}", full.text());
    assert!(full.text().contains("queue-full"), "{}", full.text());
    served.stop().await;
}

#[tokio::test]
async fn with_a_token_nothing_is_answered_without_it() {
    let served = Served::guarded(Options::default(), Some("s3cret")).await;
    let reply = served.ask("GET", "/invoices", &[], "").await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
    assert!(!reply.text().contains("s3cret"));
    assert_eq!(served.ask("GET", "/invoices", &[("authorization", "Bearer wrong")], "").await.status, 401);
    assert_eq!(served.ask("GET", "/invoices", &[("authorization", "Bearer s3cret")], "").await.status, 200);
    served.stop().await;
}

#[tokio::test]
async fn who_waits_is_answered_when_the_process_stops() {
    let served = Served::new().await;
    let waiting = served.ask("POST", "/invoices/receive?wait=5m", &[], "");
    let closing = async {
        // Whether it waits by now or comes later makes no difference to the answer.
        tokio::task::yield_now().await;
        served.closing.cancel();
    };
    let (reply, ()) = tokio::join!(waiting, closing);
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{}", reply.text());
    served.stop().await;
}
