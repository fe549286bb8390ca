//! Delivery by HTTP.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use dozen_core::Backoff;
use dozen_dataplane::{Caller, Limits, Place, Server};
use dozen_lifecycle::{Ready, Service, Stop};
use dozen_messaging::{Circuit, CircuitOptions, CircuitState, Policy, While, Worker, WorkerOptions};
use tokio::sync::mpsc;

use super::*;
use crate::{Mode, Push, Pushing, Secrets};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A real server that keeps what it gets and answers as it is told.
struct Receiver {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    stop: Stop,
}

impl Receiver {
    async fn start(answer: impl Fn(&Bytes) -> StatusCode + Clone + Send + Sync + 'static) -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let receive = move |headers: HeaderMap, body: Bytes| {
            let status = answer(&body);
            let _ = sender.send((headers, body));
            async move { status }
        };
        let router: axum::Router = axum::Router::new().route("/hook", axum::routing::post(receive));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
        let (address, stop) = (server.local_addr(), Stop::new());
        let (ready, mut listening) = Ready::channel();
        tokio::spawn(server.serving(router).run(stop.clone(), ready));
        listening.wait_for(|ready| *ready).await.unwrap();
        Self { address, got, stop }
    }

    fn push(&self) -> Push {
        let place = Place::url(&format!("http://{}/hook", self.address)).unwrap();
        Push::new(place, Caller::plain(Arc::new(|_| None), ids()), Duration::from_secs(5))
    }

    async fn next(&mut self) -> (HeaderMap, Bytes) {
        tokio::time::timeout(DEADLINE, self.got.recv()).await.expect("a request in time").unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.soft.cancel();
        self.stop.hard.cancel();
    }
}

struct Pushed {
    stop: Stop,
    task: tokio::task::JoinHandle<()>,
    circuit: Circuit,
}

impl Pushed {
    async fn start(store: &Store, push: Push, attempts_max: u32, running_max: usize) -> Self {
        let backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(50));
        let circuit = Circuit::new(CircuitOptions { failures_max: 3, backoff }, ids());
        let subscription = Topics::open(store).subscription("orders", "hook", earliest()).await.unwrap();
        let subscriber = Arc::new(While::new(Arc::new(subscription), circuit.clone()));
        let policy = Policy { attempts_max, backoff };
        let options = WorkerOptions { running_max, policy, ..WorkerOptions::default() };
        let worker =
            Worker::new("hook", subscriber, Arc::new(push.with_circuit(circuit.clone())), options, ids());
        let pushing = Pushing::new(worker, circuit.clone(), store, "orders", "hook").unwrap();
        let stop = Stop::new();
        let run = Arc::new(pushing).run(stop.clone(), Ready::channel().0);
        let task = tokio::spawn(async move { run.await.unwrap() });
        Self { stop, task, circuit }
    }

    async fn until(&self, state: CircuitState) {
        let mut status = self.circuit.status();
        let reached = status.wait_for(|status| status.state == state);
        tokio::time::timeout(DEADLINE, reached).await.expect("in time").unwrap();
    }

    async fn stop(self) {
        self.stop.soft.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.expect("it stops in time").unwrap();
    }
}

#[tokio::test]
async fn a_delivery_is_signed_in_both_modes_with_every_secret() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let mut receiver = Receiver::start(|_| StatusCode::NO_CONTENT).await;
    let secrets = Secrets::new([SECRET, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]).unwrap();
    for mode in [Mode::Structured, Mode::Binary] {
        let push = receiver.push().in_mode(mode).signed(secrets.clone(), Arc::new(SystemClock));
        let pushed = Pushed::start(&store, push, 3, 1).await;
        topics.publish("orders", vec![event("ä.1", r#"{"total":1}"#)]).await.unwrap();
        let (headers, body) = receiver.next().await;
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(header("webhook-id"), "%C3%A4.1");
        let seconds = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), secrets.sign(header("webhook-id"), seconds, &body));
        assert_eq!(header("webhook-signature").split(' ').count(), 2);
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let message = Message::from_http(pairs, body.clone()).unwrap().expect("a CloudEvent");
        assert_eq!((message.id.as_str(), message.kind.as_str()), ("ä.1", "test.done"));
        assert_eq!(mode == Mode::Binary, body == r#"{"total":1}"#);
        pushed.stop().await;
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_costs_no_attempts_and_is_asked_with_one_message() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let (is_up, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let answer = {
        let (is_up, asked) = (is_up.clone(), asked.clone());
        move |_: &Bytes| {
            asked.fetch_add(1, Ordering::SeqCst);
            if is_up.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
        }
    };
    let mut receiver = Receiver::start(answer).await;
    for number in 0..20 {
        publish(&topics, "orders", &number.to_string()).await;
    }
    let pushed = Pushed::start(&store, receiver.push(), 8, 4).await;
    pushed.until(CircuitState::Open).await;
    // Shown to whoever asks the store.
    let shown = async {
        loop {
            let status = Topics::open(&store).subscriptions().await.unwrap().remove(0);
            if let Some(circuit) = status.circuit {
                break circuit;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let circuit = tokio::time::timeout(DEADLINE, shown).await.expect("it is shown");
    assert!(circuit.error.is_some_and(|error| error.contains("500")) && circuit.since.is_some());
    // Several probes later only the few that were in hand have been handed out, and each a few times at most.
    while asked.load(Ordering::SeqCst) < 15 {
        receiver.next().await;
    }
    let taken = topics.subscriptions().await.unwrap().remove(0);
    assert!(taken.leased + taken.waiting <= 4, "{taken:?}");
    is_up.store(true, Ordering::SeqCst);
    pushed.until(CircuitState::Closed).await;
    let done = async {
        loop {
            let status = topics.subscriptions().await.unwrap().remove(0);
            if status.lag == 0 && status.circuit.is_none() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let status = tokio::time::timeout(DEADLINE, done).await.expect("all are delivered");
    assert_eq!(status.dead, 0);
    let (stream, reader) = (Topics::stream("orders"), Arc::from("hook"));
    let claims =
        store.journal().claims(&stream, &reader, dozen_store::ClaimState::Done, 0, 100).await.unwrap();
    let most = claims.iter().map(|(claim, _)| claim.attempts).max().unwrap();
    assert!(claims.len() == 20 && most <= 4, "at most the failures that opened it: {most}");
    pushed.stop().await;
}

#[tokio::test]
async fn nobody_there_uses_no_attempt_up_and_stopping_does_not_wait() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let receiver = Receiver::start(|_| StatusCode::OK).await;
    let push = receiver.push();
    let address = receiver.address;
    drop(receiver);
    publish(&topics, "orders", "1").await;
    // The port is closed once connections to it are refused.
    let closed = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.expect("the port closes");
    let pushed = Pushed::start(&store, push, 4, 1).await;
    let mut status = pushed.circuit.status();
    // Far more probes than attempts.
    let probed = status.wait_for(|status| status.failures >= 15);
    tokio::time::timeout(DEADLINE, probed).await.expect("in time").unwrap();
    pushed.stop().await;
    let status = topics.subscriptions().await.unwrap().remove(0);
    assert_eq!((status.dead, status.lag), (0, 1));
}

#[tokio::test]
async fn a_message_that_breaks_its_receiver_does_not_pass_for_one_that_is_away() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let good = Arc::new(Mutex::new(Vec::new()));
    let answer = {
        let good = good.clone();
        move |body: &Bytes| {
            let message = Message::from_json(body).unwrap();
            if message.id == "poison" {
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            good.lock().unwrap().push(message.id);
            StatusCode::OK
        }
    };
    let mut receiver = Receiver::start(answer).await;
    publish(&topics, "orders", "poison").await;
    // One at a time: the worst case.
    let pushed = Pushed::start(&store, receiver.push(), 5, 1).await;
    pushed.until(CircuitState::Open).await;
    publish(&topics, "orders", "good").await;
    while good.lock().unwrap().is_empty() {
        receiver.next().await;
    }
    let parked = async {
        while topics.subscriptions().await.unwrap()[0].dead == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, parked).await.expect("it becomes a dead letter");
    pushed.stop().await;
}
