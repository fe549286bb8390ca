//! The console over a SQLite file, in a real browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dozen_browser::Browser;
use dozen_console::{RequestView, Sources};
use dozen_core::{Clock, ManualClock, Message, Timestamp, TraceContext};
use dozen_dataplane::{Limits, Server};
use dozen_lifecycle::{Ready, Stop};
use dozen_messaging::{Publisher as _, Settlement, Subscriber as _, SubscriptionOptions};
use dozen_pubsub::{Subscription, TopicOptions, Topics};
use dozen_sqlite::{Options, Sqlite};
use dozen_store::{ClaimState, Claimed, Ended, Journal, Start, Store};
use tokio::runtime::Runtime;

const QUEUE: &str = "queue/invoices";
const WORKERS: &str = "workers";
const LEASE: Duration = Duration::from_secs(30);
const TRACE: TraceContext =
    TraceContext { trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, parent_id: 1, sampled: true };

/// A console that is served, and the store behind it.
struct World {
    runtime: Runtime,
    store: Store,
    clock: Arc<ManualClock>,
    address: String,
    stop: Stop,
    browser: Browser,
    _folder: tempfile::TempDir,
}

impl World {
    /// `None` where the environment wants no browser.
    fn new() -> Option<Self> {
        let browser = Browser::start().unwrap_or_else(|reason| panic!("no browser: {reason}"))?;
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("shop.db");
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let engine = Sqlite::open(&path, Options::default()).unwrap();
        let store = Store::new(engine, clock.clone() as Arc<dyn Clock>);
        let arrived = clock.now();
        let sources = Sources {
            requests: Arc::new(move |trace_id| {
                let view = RequestView {
                    at: arrived,
                    took: Some(Duration::from_millis(12)),
                    method: "POST".into(),
                    path: "/orders".into(),
                    status: Some(201),
                    service: Some("orders".into()),
                    trace_id: TRACE.trace_id_text(),
                };
                if trace_id == view.trace_id { vec![view] } else { Vec::new() }
            }),
            ..Sources::new("shop", store.clone())
        };
        let runtime = Runtime::new().unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
        let address = format!("http://{}", server.local_addr());
        let (ready, stop) = (Ready::channel().0, Stop::new());
        let service = dozen_console::serve(sources, server).unwrap();
        runtime.spawn(service.run(stop.clone(), ready));
        let world = Self { runtime, store, clock, address, stop, browser, _folder: folder };
        world.on(async |journal| {
            journal.open(&QUEUE.into(), &WORKERS.into(), Start::Earliest).await.unwrap();
        });
        Some(world)
    }

    fn on<T>(&self, work: impl AsyncFnOnce(Journal) -> T) -> T {
        self.runtime.block_on(work(self.store.journal()))
    }

    fn later(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    fn send(&self, id: &str) {
        let message = Message::new(id, "/services/orders", "order.placed")
            .with_key("order-17")
            .with_trace(TRACE)
            .with_data(None, r#"{"total":119.9}"#);
        self.on(async |journal| journal.append(&QUEUE.into(), vec![message]).await.unwrap());
    }

    fn claim(&self) -> Claimed {
        self.on(async |journal| {
            let (claimed, _) = journal.claim(&QUEUE.into(), &WORKERS.into(), 1, LEASE).await.unwrap();
            claimed.into_iter().next().expect("a message is ready")
        })
    }

    fn settle(&self, claimed: &Claimed, ended: Ended) {
        let ends = vec![(claimed.place, ended)];
        let settled =
            self.on(async |journal| journal.settle(&QUEUE.into(), &WORKERS.into(), ends).await.unwrap());
        assert_eq!(settled, [true]);
    }

    /// Makes a dead letter of each of these.
    fn give_up(&self, ids: &[&str]) {
        for id in ids {
            // Without a key: a dead letter holds back what has the same.
            let message = Message::new(*id, "/t", "order.placed").with_data(None, "{}");
            self.on(async |journal| journal.append(&QUEUE.into(), vec![message]).await.unwrap());
            let claimed = self.claim();
            self.settle(&claimed, Ended::Parked(format!("{id} cannot be printed")));
        }
    }

    /// The ids of the queue's dead letters.
    fn dead(&self) -> Vec<String> {
        self.on(async |journal| {
            let claims =
                journal.claims(&QUEUE.into(), &WORKERS.into(), ClaimState::Parked, 0, 10).await.unwrap();
            claims.into_iter().filter_map(|(_, entry)| Some(entry?.record.id)).collect()
        })
    }

    /// A topic `orders` with two events, and `mail`, which has handled the first.
    fn topic(&self) -> Subscription {
        let topics = Topics::open(&self.store);
        self.runtime.block_on(async {
            topics.declare_topic("orders", &TopicOptions::default()).await.unwrap();
            let options = SubscriptionOptions {
                start: dozen_messaging::Start::Earliest,
                ..SubscriptionOptions::default()
            };
            let mail = topics.subscription("orders", "mail", options).await.unwrap();
            let event = |id: &str| {
                Message::new(id, "/orders", "order.placed").with_trace(TRACE).with_data(None, "{}")
            };
            topics.publish("orders", vec![event("e1"), event("e2")]).await.unwrap();
            let taken = mail.receive(1, Duration::ZERO).await.unwrap();
            mail.settle(vec![(taken[0].lease, Settlement::Done)]).await.unwrap();
            mail
        })
    }

    fn receive(&self, subscription: &Subscription) -> usize {
        self.runtime.block_on(subscription.receive(10, Duration::ZERO)).unwrap().len()
    }

    fn waits_for(&self, notice: &str) {
        self.browser.wait_for_texts(".notice", |texts| texts.iter().any(|text| text == notice)).unwrap();
    }

    fn no_complaints(&self) {
        assert_eq!(self.browser.complaints().unwrap(), Vec::<String>::new());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.soft.cancel();
        self.stop.hard.cancel();
    }
}

#[test]
fn q_d3_a_message_found_by_its_id_shows_its_journey() {
    let Some(world) = World::new() else { return };
    let id = "01a20818-4700-7698-8080-bab12a02953a";
    world.later(3);
    world.send(id);
    world.later(2);
    let first = world.claim();
    world.later(5);
    let again = world.clock.now().after(Duration::from_secs(1));
    world.settle(&first, Ended::Retry { at: again, error: "the printer is on fire".into() });
    world.later(1_000);
    let second = world.claim();
    world.later(4);
    world.settle(&second, Ended::Done);

    world.browser.open(&world.address).unwrap();
    world.browser.type_and_enter("input[name=id]", id).unwrap();
    let steps = world.browser.wait_for_texts(".step > div > strong", |steps| steps.len() == 6).unwrap();
    assert_eq!(world.browser.url().unwrap(), format!("{}/message/{id}", world.address));
    assert_eq!(
        steps,
        [
            "request POST /orders",
            "stored",
            "handed out",
            "failed",
            "retried: handed out again, attempt 2",
            "acknowledged",
        ]
    );
    let whens = world.browser.texts(".step > .when b").unwrap();
    assert_eq!(whens, ["0", "+3 ms", "+5 ms", "+10 ms", "+1 s", "+1 s"], "the moments that the store keeps");
    let details = world.browser.texts(".step.failed .detail").unwrap();
    assert_eq!(details, ["the printer is on fire"]);
    // The drawing stands to scale beside it: the request's bar and the worker's two.
    let bars = "return [...document.querySelectorAll('.chart rect')].map(bar => bar.getBoundingClientRect().width > 0)";
    assert_eq!(world.browser.run(bars, &[]).unwrap(), serde_json::json!([true, true, true]));
    world.no_complaints();
}

#[test]
fn q_d3_an_open_page_follows_without_a_reload() {
    let Some(world) = World::new() else { return };
    let fresh = format!("[data-live='{QUEUE}:{WORKERS}:fresh']");
    world.browser.open(&format!("{}/queue/invoices", world.address)).unwrap();
    world.browser.wait_for_texts("#live", |state| state == ["Live"]).unwrap();
    assert_eq!(world.browser.texts(&fresh).unwrap(), ["0"]);
    world.browser.run("window.untouched = true", &[]).unwrap();
    world.send("m1");
    world.browser.wait_for_texts(&fresh, |numbers| numbers == ["1"]).unwrap();
    world.browser.wait_for_texts("#queue td a.id", |ids| ids == ["m1"]).unwrap();
    let claimed = world.claim();
    world.settle(&claimed, Ended::Done);
    world.browser.wait_for_texts(&fresh, |numbers| numbers == ["0"]).unwrap();
    assert_eq!(world.browser.run("return window.untouched", &[]).unwrap(), true);
    world.no_complaints();
}

#[test]
fn q_m7_a_dead_letter_is_looked_at_and_sent_round_again_by_a_button() {
    let Some(world) = World::new() else { return };
    world.send("m1");
    let claimed = world.claim();
    world.settle(&claimed, Ended::Parked("no such order".into()));
    world.browser.open(&format!("{}/queue/invoices", world.address)).unwrap();
    assert_eq!(world.browser.texts("td.errors").unwrap(), ["no such order"]);
    world.browser.click("td.actions button").unwrap();
    world
        .browser
        .wait_for_texts(".notice", |notice| notice == ["1 dead letter was sent round again."])
        .unwrap();
    let parked = world.on(async |journal| {
        journal.claims(&QUEUE.into(), &WORKERS.into(), ClaimState::Parked, 0, 10).await.unwrap().len()
    });
    assert_eq!(parked, 0);
    assert_eq!(world.claim().record.id, "m1");
    world.no_complaints();
}

#[test]
fn q_m7_dead_letters_are_chosen_and_redriven_together() {
    let Some(world) = World::new() else { return };
    world.give_up(&["m1", "m2", "m3"]);
    world.browser.open(&format!("{}/queue/invoices", world.address)).unwrap();
    world.browser.wait_for_texts("td.errors", |texts| texts.len() == 3).unwrap();
    world.browser.click("tr:nth-child(1) input[name=position]").unwrap();
    world.browser.click("tr:nth-child(3) input[name=position]").unwrap();
    world.browser.click("button[value='redrive selected']").unwrap();
    world.waits_for("2 dead letters were sent round again.");
    assert_eq!(world.dead(), ["m2"]);
    world.browser.click("section.dead summary").unwrap();
    world.browser.click("button[value='discard all']").unwrap();
    world.waits_for("1 dead letter was discarded.");
    assert!(world.dead().is_empty());
    world.no_complaints();
}

#[test]
fn q_m7_a_dead_letter_is_corrected_and_sent_round_again() {
    let Some(world) = World::new() else { return };
    world.give_up(&["m1"]);
    world.browser.open(&format!("{}/queue/invoices", world.address)).unwrap();
    world.browser.click("td.actions a.button").unwrap();
    world.browser.wait_for_texts("h1.id", |texts| texts == ["m1"]).unwrap();
    world
        .browser
        .run("document.querySelector('textarea').value = arguments[0]", &["{\"total\": 7}"])
        .unwrap();
    world.browser.click("button[value=redrive]").unwrap();
    world.waits_for("1 dead letter was sent round again.");
    assert_eq!(&world.claim().record.data[..], br#"{"total": 7}"#);
    world.no_complaints();
}

#[test]
fn a_queue_rests_and_goes_on_by_a_button() {
    let Some(world) = World::new() else { return };
    world.send("m1");
    world.browser.open(&format!("{}/queue/invoices", world.address)).unwrap();
    world.browser.click("button[value=pause]").unwrap();
    world.waits_for("Its workers rest. What is sent waits.");
    let claimed =
        world.on(async |journal| journal.claim(&QUEUE.into(), &WORKERS.into(), 1, LEASE).await.unwrap());
    assert!(claimed.0.is_empty());
    world.browser.click("button[value=resume]").unwrap();
    world.waits_for("It goes on.");
    assert_eq!(world.claim().record.id, "m1");
    world.no_complaints();
}

#[test]
fn ps_m5_a_subscription_hears_again_from_where_a_person_says() {
    let Some(world) = World::new() else { return };
    let mail = world.topic();
    assert_eq!(world.receive(&mail), 1, "the second");
    world.browser.open(&format!("{}/topic/orders", world.address)).unwrap();
    world.browser.click("td.actions summary").unwrap();
    world.browser.type_and_enter("input[name=place]", "earliest").unwrap();
    world.waits_for("The subscription goes on from there.");
    assert_eq!(world.receive(&mail), 2, "both, from the beginning");
    world.browser.click("button[value=pause]").unwrap();
    world.browser.wait_for_texts("td .tag.warn", |texts| texts == ["paused"]).unwrap();
    world.no_complaints();
}

#[test]
fn ob_b1_events_are_published_again_by_a_form_and_the_page_says_by_whom() {
    let Some(world) = World::new() else { return };
    let mail = world.topic();
    assert_eq!(world.receive(&mail), 1);
    world.browser.open(&format!("{}/outbox", world.address)).unwrap();
    world.browser.wait_for_texts("#outbox td a.id", |ids| ids == ["e2", "e1"]).unwrap();
    world.browser.run("document.querySelector('input[name=by]').value = 'ada'", &[]).unwrap();
    world.browser.type_and_enter("input[name=reason]", "the stock was restored").unwrap();
    world.waits_for("2 messages were published again.");
    world.browser.wait_for_texts("#outbox td", |cells| cells.iter().any(|cell| cell == "ada")).unwrap();
    assert_eq!(world.receive(&mail), 2, "under their old ids, for an inbox to drop");
    world.no_complaints();
}

#[test]
fn ps_d3_an_event_shows_its_fan_out_and_what_it_caused() {
    let Some(world) = World::new() else { return };
    world.topic();
    world.later(3);
    world.send("m1"); // of the same trace, in the queue
    world.browser.open(&format!("{}/message/e1", world.address)).unwrap();
    let leaves = world.browser.wait_for_texts(".tree .leaf", |leaves| leaves.len() >= 2).unwrap();
    assert!(leaves.contains(&"mail done after 0 µs".to_owned()), "{leaves:?}");
    assert!(leaves.contains(&"workers not looked at".to_owned()), "{leaves:?}");
    assert!(world.browser.texts(".tree a.id").unwrap().contains(&"m1".to_owned()));
    world.no_complaints();
}
