//! What a receiver meets: keys, dead letters, versions, rates.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Bench, HOUR, texts};
use dozen_lifecycle::{Ready, Service, Stop};
use dozen_messaging::{Class, Classify, Context, Message, Settlement, decode};
use dozen_queue::{Options, Selection, Sending, Step};
use serde::{Deserialize, Serialize};

#[tokio::test]
async fn so_many_of_a_key_are_out_as_the_queue_says_and_other_keys_flow() {
    let bench = Bench::with(Options { per_key: 2, ..Options::default() }).await;
    for text in ["a1", "a2", "a3", "b1", "a4"] {
        bench.send_keyed(&text[..1], text).await;
    }
    let held = bench.receive(10).await;
    assert_eq!(texts(&held), ["a1", "a2", "b1"]);
    bench.end(&held[1], Settlement::Done).await;
    let next = bench.receive(10).await;
    assert_eq!(texts(&next), ["a3"]);
    bench.park(&held[0], "broken").await;
    bench.end(&next[0], Settlement::Done).await;
    assert!(bench.receive(10).await.is_empty(), "a dead letter holds what follows it");
    bench.queue.discard(&Selection::default()).await.unwrap();
    assert_eq!(texts(&bench.receive(10).await), ["a4"]);
}

#[tokio::test]
async fn a_poisoned_key_is_parked_with_what_follows_it_and_goes_on_in_order() {
    let bench = Bench::new().await;
    for text in ["a1", "a2", "b1", "a3"] {
        bench.send_keyed(&text[..1], text).await;
    }
    let held = bench.receive(10).await;
    assert_eq!(texts(&held), ["a1", "b1"]);
    bench.park(&held[0], "cannot be read").await;
    bench.end(&held[1], Settlement::Done).await;
    assert!(bench.receive(10).await.is_empty());
    let overview = &dozen_queue::Overview::of(&bench.store).await.unwrap()[0];
    assert_eq!((overview.dead, overview.parked_keys, overview.held), (1, 1, 2));
    bench.queue.redrive(&Selection::default(), None).await.unwrap();
    for text in ["a1", "a2", "a3"] {
        let held = bench.receive(10).await;
        assert_eq!(texts(&held), [text]);
        bench.end(&held[0], Settlement::Done).await;
    }
}

#[tokio::test]
async fn dead_letters_are_chosen_corrected_and_handed_out_again() {
    let bench = Bench::with(Options { priorities: 2, ..Options::default() }).await;
    for (text, priority) in [("x1", 0), ("x2", 1), ("y1", 0)] {
        let sending = Sending { priority, ..Sending::default() };
        let message = bench.queue.message(&text[..1], text);
        bench.queue.send_with(vec![message], sending).await.unwrap();
    }
    for delivery in bench.receive(10).await {
        let error = format!("no room for {}", texts(std::slice::from_ref(&delivery))[0]);
        bench.park(&delivery, &error).await;
    }
    let of_x = Selection { kind: Some("x".into()), ..Selection::default() };
    assert_eq!(bench.queue.dry_run(&of_x).await.unwrap().matched, 2);
    assert_eq!(bench.queue.dead_letters(10).await.unwrap().len(), 3, "a dry run changes nothing");
    let by_error = Selection { error: Some("for x2".into()), ..Selection::default() };
    let dead = bench.queue.dead_letters_where(&by_error).await.unwrap().remove(0);
    let mut corrected = dead.message.unwrap();
    corrected.data = "x2, corrected".into();
    assert!(bench.queue.edit(dead.position, corrected).await.unwrap());
    assert!(bench.queue.dead_letters_where(&by_error).await.unwrap()[0].edited);
    let redriven = bench.queue.redrive(&of_x, Some(1_000.0)).await.unwrap();
    assert_eq!((redriven.matched, redriven.done), (2, 2));
    let again = bench.receive(10).await;
    assert_eq!(texts(&again), ["x2, corrected", "x1"]);
    assert_eq!(again[0].attempts, 1, "counted anew");
    bench.clock.advance(HOUR);
    let old = Selection { before: Some(bench.now()), ..Selection::default() };
    assert_eq!(bench.queue.discard(&old).await.unwrap().done, 1);
}

#[tokio::test]
async fn a_paused_queue_rests_and_loses_nothing() {
    let bench = Bench::new().await;
    bench.send("1").await;
    bench.queue.pause(true).await.unwrap();
    assert!(bench.receive(1).await.is_empty());
    bench.send("2").await;
    bench.queue.pause(false).await.unwrap();
    assert_eq!(texts(&bench.receive(10).await), ["1", "2"]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "stock.reserve", version = 2, from = ReserveOne)]
struct Reserve {
    sku: String,
    count: u32,
}

/// What version 1 looked like: always one piece.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "stock.reserve")]
struct ReserveOne {
    sku: String,
}

impl From<ReserveOne> for Reserve {
    fn from(one: ReserveOne) -> Self {
        Self { sku: one.sku, count: 1 }
    }
}

#[derive(Debug, thiserror::Error)]
enum StockError {
    #[error("`{0}` is not sold any more")]
    Gone(String),
    #[error("cannot reach the shelf")]
    Store(#[from] dozen_store::Error),
}

impl Classify for StockError {
    fn class(&self) -> Class {
        match self {
            Self::Gone(_) => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }
}

/// The whole of a handler: a plain function of the transaction and the message.
async fn reserve(context: Context<'_, dozen_queue::Queue>, reserve: Reserve) -> Result<(), StockError> {
    if reserve.sku == "gone" {
        return Err(StockError::Gone(reserve.sku));
    }
    let orders = "test/reserved".into();
    let reserved = context.delivery.message.clone().with_data(None, format!("{}", reserve.count));
    context.tx.append(&orders, reserved, context.delivery.stored);
    context.state.reply_in(context.tx, context.delivery, format!("{} reserved", reserve.count));
    Ok(())
}

#[tokio::test]
async fn a_plain_function_handles_two_versions_of_a_type_and_answers_its_sender() {
    let bench = Bench::new().await;
    let old = bench.queue.message_of(&ReserveOne { sku: "tea".into() }).unwrap();
    let new = bench.queue.message_of(&Reserve { sku: "tea".into(), count: 5 }).unwrap();
    let gone = bench.queue.message_of(&Reserve { sku: "gone".into(), count: 1 }).unwrap();
    assert_eq!(decode::<Reserve>(&old).unwrap(), Reserve { sku: "tea".into(), count: 1 });
    let ids: Vec<String> = [&old, &new, &gone].iter().map(|message| message.id.clone()).collect();
    bench.queue.send_all(vec![old, new, gone], None).await.unwrap();

    let stop = Stop::new();
    let worker = Arc::new(bench.queue.handle::<Reserve, _, _>(bench.queue.clone(), reserve, 4));
    let running = tokio::spawn(worker.run(stop.clone(), Ready::channel().0));
    let within = Duration::from_secs(20);
    for (id, reply) in [(&ids[0], "1 reserved"), (&ids[1], "5 reserved")] {
        let completion = bench.queue.completion(id, within).await.unwrap().unwrap();
        assert_eq!(completion.status.step, Step::Done);
        assert_eq!(completion.reply.unwrap(), reply);
    }
    let refused = bench.queue.completion(&ids[2], within).await.unwrap().unwrap();
    assert_eq!((refused.status.step, refused.reply), (Step::Dead, None));
    assert_eq!(refused.status.attempts, 1, "what is permanent is not tried again");
    assert_eq!(refused.status.errors[0].error, "permanent: `gone` is not sold any more");
    stop.soft.cancel();
    running.await.unwrap().unwrap();
    let reserved = bench.store.journal().read(&"test/reserved".into(), 0, 10).await.unwrap();
    assert_eq!(reserved.len(), 2, "each effect once");
}

#[tokio::test]
async fn a_deadline_comes_before_a_worker_that_is_away() {
    let bench = Bench::new().await;
    let id = bench.send("1").await;
    let completion = bench.queue.completion(&id, Duration::from_millis(20)).await.unwrap().unwrap();
    assert_eq!((completion.status.step, completion.ended()), (Step::Queued, None));
    assert!(bench.queue.completion("no such id", Duration::ZERO).await.unwrap().is_none());
}

#[tokio::test]
async fn a_worker_holds_ready_what_it_may_and_begins_no_more_than_its_rate() {
    let options = Options { prefetch: 3, per_second: Some(20.0), ..Options::default() };
    let bench = Bench::with(options).await;
    for number in 0..8 {
        bench.send(&number.to_string()).await;
    }
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    struct Count;
    #[async_trait::async_trait]
    impl dozen_messaging::Handler for Count {
        async fn handle(&self, _: &dozen_messaging::Delivery) -> dozen_messaging::Verdict {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            dozen_messaging::Verdict::Done
        }
    }
    let stop = Stop::new();
    let worker = Arc::new(bench.queue.worker(Arc::new(Count), 1));
    let start = std::time::Instant::now();
    let running = tokio::spawn(worker.run(stop.clone(), Ready::channel().0));
    let mut ends = bench.store.journal().ends_of("queue/work", dozen_queue::READER);
    while bench.queue.depth().await.unwrap() > 0 {
        ends.changed().await.unwrap();
    }
    // A burst of two, then one each 50 ms.
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    assert_eq!(BEGUN.load(Ordering::Relaxed), 8);
    stop.soft.cancel();
    running.await.unwrap().unwrap();
}
