//! Q · point-to-point queues.

use std::collections::BTreeSet;
use std::time::Duration;

use dozen_core::{Backoff, Message};
use dozen_messaging::{Error, Policy, Settlement, Subscriber, Verdict};
use dozen_mission::{DEADLINE, Place, Running, next, reporting, until};
use dozen_queue::{Options, Queue, Selection, Step};

fn quick() -> Options {
    Options {
        lease: Duration::from_millis(300),
        policy: Policy {
            attempts_max: 3,
            backoff: Backoff::new(Duration::from_millis(10), Duration::from_millis(20)),
        },
        ..Options::default()
    }
}

async fn open(place: &Place) -> Queue {
    Queue::open_with(&place.open().await, "invoices", quick(), place.ids()).await.expect("open")
}

fn numbered(queue: &Queue, number: usize) -> Message {
    queue.message("invoice", number.to_string())
}

#[tokio::test]
async fn q_m1_competing_workers_share_the_work_and_each_message_goes_to_one() {
    let place = Place::new();
    let store = place.open().await;
    let queue = Queue::open_with(&store, "invoices", quick(), place.ids()).await.unwrap();
    let (first, mut of_first) = reporting(|_| Verdict::Done);
    let (second, mut of_second) = reporting(|_| Verdict::Done);
    let workers = [Running::start(queue.worker(first, 2)), Running::start(queue.worker(second, 2))];
    for number in 0..200 {
        queue.send(numbered(&queue, number)).await.unwrap();
    }
    until(&store, "queue/invoices", async || queue.depth().await.unwrap() == 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let mut seen = Vec::new();
    let mut shares = [0, 0];
    for (share, deliveries) in [&mut of_first, &mut of_second].into_iter().enumerate() {
        while let Ok(delivery) = deliveries.try_recv() {
            shares[share] += 1;
            seen.push(delivery.message.id);
        }
    }
    assert_eq!(seen.len(), 200, "each message once");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 200);
    assert!(shares.iter().all(|share| *share > 0), "both worked: {shares:?}");
}

#[tokio::test]
async fn q_m2_messages_survive_a_crash_of_broker_sender_and_receiver() {
    let place = Place::new();
    let queue = open(&place).await;
    queue.send(numbered(&queue, 1)).await.unwrap();
    // The receiver dies with the message in hand, and the store is opened anew without having been closed.
    let held = queue.subscriber().receive(1, Duration::ZERO).await.unwrap();
    assert_eq!(held.len(), 1);
    std::mem::forget(queue);
    let queue = open(&place).await;
    let again = queue.subscriber().receive(1, DEADLINE).await.unwrap();
    assert_eq!((again[0].message.id.as_str(), again[0].attempts), (held[0].message.id.as_str(), 2));
}

#[tokio::test]
async fn q_m3_send_returns_when_the_message_is_durable_not_when_it_is_processed() {
    let place = Place::new();
    let queue = open(&place).await;
    let message = numbered(&queue, 1);
    let id = message.id.clone();
    queue.send(message).await.unwrap();
    // Nobody is there to process it, and another opening of the file sees it.
    let elsewhere = open(&place).await;
    assert_eq!(elsewhere.status(&id).await.unwrap().unwrap().step, Step::Queued);
}

#[tokio::test]
async fn q_m4_a_receiver_takes_what_it_can_bear_and_extends_its_lease() {
    let place = Place::new();
    let queue = open(&place).await;
    for number in 0..5 {
        queue.send(numbered(&queue, number)).await.unwrap();
    }
    let subscriber = queue.subscriber();
    let held = subscriber.receive(2, Duration::ZERO).await.unwrap();
    assert_eq!(held.len(), 2, "no more than asked for");
    let leases: Vec<_> = held.iter().map(|delivery| delivery.lease).collect();
    for _ in 0..4 {
        tokio::time::sleep(quick().lease / 2).await; // the passing of time is what is under test
        assert_eq!(subscriber.extend(&leases).await.unwrap(), [true, true]);
    }
    let rest = subscriber.receive(10, Duration::ZERO).await.unwrap();
    assert_eq!(rest.len(), 3, "what was extended was not handed out again");
    // A worker keeps its lease by itself while the work lasts.
    let (handler, mut deliveries) = reporting(|_| Verdict::Done);
    let worker = Running::start(queue.worker(handler, 1));
    for _ in 0..5 {
        next(&mut deliveries).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn q_m5_redelivered_after_a_crash_a_refusal_and_a_lost_lease_with_back_off() {
    let place = Place::new();
    let queue = open(&place).await;
    queue.send(numbered(&queue, 1)).await.unwrap();
    let subscriber = queue.subscriber();
    // Lost lease.
    let lost = subscriber.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let again = subscriber.receive(1, DEADLINE).await.unwrap().remove(0);
    assert_eq!(again.attempts, 2);
    assert_eq!(subscriber.settle(vec![(lost.lease, Settlement::Done)]).await.unwrap(), [false]);
    // Refusal, with back-off.
    let at = again.stored.after(Duration::from_secs(1));
    let retry = Settlement::Retry { at, error: "not today".into() };
    assert_eq!(subscriber.settle(vec![(again.lease, retry)]).await.unwrap(), [true]);
    assert!(subscriber.receive(1, Duration::from_millis(50)).await.unwrap().is_empty());
    let third = subscriber.receive(1, DEADLINE).await.unwrap().remove(0);
    assert_eq!(third.attempts, 3);
    // Crash: a worker is killed with the message in hand.
    queue.send(numbered(&queue, 2)).await.unwrap();
    subscriber.settle(vec![(third.lease, Settlement::Done)]).await.unwrap();
    struct Stuck(tokio::sync::mpsc::UnboundedSender<()>);
    #[async_trait::async_trait]
    impl dozen_messaging::Handler for Stuck {
        async fn handle(&self, _: &dozen_messaging::Delivery) -> Verdict {
            let _ = self.0.send(());
            std::future::pending().await
        }
    }
    let (sender, mut started) = tokio::sync::mpsc::unbounded_channel();
    let worker = Running::start(queue.worker(std::sync::Arc::new(Stuck(sender)), 1));
    tokio::time::timeout(DEADLINE, started.recv()).await.unwrap();
    worker.kill().await;
    assert_eq!(subscriber.receive(1, DEADLINE).await.unwrap()[0].attempts, 2);
}

#[tokio::test]
async fn q_m6_messages_wait_while_the_receiver_is_down() {
    let place = Place::new();
    let store = place.open().await;
    let queue = Queue::open_with(&store, "invoices", quick(), place.ids()).await.unwrap();
    let (handler, mut deliveries) = reporting(|_| Verdict::Done);
    let worker = Running::start(queue.worker(handler.clone(), 1));
    queue.send(numbered(&queue, 0)).await.unwrap();
    next(&mut deliveries).await;
    worker.stop().await;
    for number in 1..=50 {
        queue.send(numbered(&queue, number)).await.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap(), 50);
    let worker = Running::start(queue.worker(handler, 1));
    for number in 1..=50 {
        assert_eq!(next(&mut deliveries).await.message.data, number.to_string(), "in order");
    }
    worker.stop().await;
}

#[tokio::test]
async fn q_m7_what_keeps_failing_becomes_a_dead_letter_with_its_errors() {
    let place = Place::new();
    let store = place.open().await;
    let queue = Queue::open_with(&store, "invoices", quick(), place.ids()).await.unwrap();
    let (handler, mut deliveries) =
        reporting(|delivery| Verdict::Failed(format!("attempt {} failed", delivery.attempts)));
    let message = numbered(&queue, 7);
    let id = message.id.clone();
    queue.send(message).await.unwrap();
    let worker = Running::start(queue.worker(handler, 1));
    for _ in 0..3 {
        next(&mut deliveries).await;
    }
    until(&store, "queue/invoices", async || !queue.dead_letters(10).await.unwrap().is_empty()).await;
    worker.stop().await;
    let dead = queue.dead_letters(10).await.unwrap().remove(0);
    let errors: Vec<&str> = dead.errors.iter().map(|failure| failure.error.as_str()).collect();
    assert_eq!(errors, ["attempt 1 failed", "attempt 2 failed", "attempt 3 failed"]);
    assert_eq!(dead.message.unwrap().data, "7");
    assert_eq!(queue.status(&id).await.unwrap().unwrap().step, Step::Dead);
    // Redriven it is handed out again; discarded it is gone.
    assert_eq!(queue.redrive(&Selection::positions([dead.position]), None).await.unwrap().done, 1);
    let again = queue.subscriber().receive(1, DEADLINE).await.unwrap().remove(0);
    assert_eq!(again.attempts, 1);
    let park = Settlement::Park { error: "still".into() };
    queue.subscriber().settle(vec![(again.lease, park)]).await.unwrap();
    assert_eq!(queue.discard(&Selection::default()).await.unwrap().done, 1);
    assert!(queue.dead_letters(10).await.unwrap().is_empty());
    assert_eq!(queue.status(&id).await.unwrap().unwrap().step, Step::Dropped);
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_message_and_nothing_else() {
    let place = Place::new();
    let queue = open(&place).await;
    let (handler, mut deliveries) = reporting(|delivery| {
        assert!(delivery.message.data != "0" || delivery.attempts > 1, "a bug in the handler");
        Verdict::Done
    });
    let worker = Running::start(queue.worker(handler, 4));
    queue.send(numbered(&queue, 0)).await.unwrap();
    queue.send(numbered(&queue, 1)).await.unwrap();
    let mut attempts = 0;
    for _ in 0..3 {
        attempts = attempts.max(next(&mut deliveries).await.attempts);
    }
    assert_eq!(attempts, 2);
    worker.stop().await;
}

#[tokio::test]
async fn settings_are_declared_once_and_found_by_every_program() {
    let place = Place::new();
    Queue::declare(&place.open().await, "invoices", &quick()).await.unwrap();
    let elsewhere = Queue::open(&place.open().await, "invoices", place.ids()).await.unwrap();
    assert_eq!(*elsewhere.options(), quick());
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_refused_by_name() {
    let place = Place::new();
    let options = Options { bytes_max: 10, waiting_max: std::num::NonZeroU64::new(1), ..quick() };
    let queue = Queue::open_with(&place.open().await, "small", options, place.ids()).await.unwrap();
    let error = queue.send(queue.message("x", "0123456789ABCDEF")).await.unwrap_err();
    assert_eq!(error.to_string(), "the message is 16 bytes, and `small` takes 10 at most");
    queue.send(queue.message("x", "1")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_010)).await; // the limit is looked at once a second
    let error = queue.send(queue.message("x", "2")).await.unwrap_err();
    assert!(matches!(error, Error::Full { waiting_max: 1, .. }), "{error}");
}

#[tokio::test]
async fn q_d2_a_sender_learns_when_and_whether_its_message_was_processed() {
    let place = Place::new();
    // The sender and the receiver know each other by the store alone.
    let (sender, receiver) = (open(&place).await, open(&place).await);
    let (handler, _deliveries) = reporting(|delivery| match &delivery.message.data[..] {
        b"1" => Verdict::Done,
        _ => Verdict::Poison("it is not for us".into()),
    });
    let worker = Running::start(receiver.worker(handler, 2));
    for (number, step) in [(1, Step::Done), (2, Step::Dead)] {
        let message = numbered(&sender, number);
        let id = message.id.clone();
        sender.send(message).await.unwrap();
        let completion = sender.completion(&id, DEADLINE).await.unwrap().unwrap();
        assert_eq!(completion.status.step, step);
        assert!(completion.ended().unwrap() >= completion.status.sent);
    }
    worker.stop().await;
    // Nobody is there any more: the deadline comes first, and says how far it has got.
    let message = numbered(&sender, 3);
    let id = message.id.clone();
    sender.send(message).await.unwrap();
    let completion = sender.completion(&id, Duration::from_millis(50)).await.unwrap().unwrap();
    assert_eq!((completion.status.step, completion.ended()), (Step::Queued, None));
}
