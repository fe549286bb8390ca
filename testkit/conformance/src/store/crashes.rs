//! A worker that ends at any point of its work: between any two calls, in any call, at any `await`.
//!
//! The work is the usual one: messages are sent, taken, and handled with one effect each, which stands in one
//! transaction with the mark that it was done and with the end of the claim. Whatever happens to whom, sent again, taken
//! again and handled again it must have had its effect once.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use dozen_store::{
    Append, Claimed, Ended, Engine, Error, Expect, Fault, Faulty, Op, Place, Put, Record, Settle, Store,
};

use super::bench::{Bench, Harness, LEASE, message};

/// What is sent: two under one key, one alone.
const WORK: [(&str, Option<&str>); 3] = [("first", Some("key")), ("second", Some("key")), ("alone", None)];

/// A sender and a worker over one store. What the sender was told outlives a crash of the worker.
struct Work {
    bench: Bench,
    effects: Arc<str>,
    inbox: Arc<str>,
    acknowledged: Mutex<Vec<&'static str>>,
}

impl Work {
    fn new(mut bench: Bench, name: &str) -> Self {
        bench.stream = format!("test/{name}").into();
        let [effects, inbox] = [format!("effects/{name}").into(), format!("inbox/{name}").into()];
        Self { bench, effects, inbox, acknowledged: Mutex::default() }
    }

    /// One life: sends what was not acknowledged, and works until there is nothing to take.
    async fn life(&self, engine: Arc<dyn Engine>) -> Result<(), Error> {
        let store = Store::new(engine, self.bench.clock.clone());
        let journal = store.journal();
        let Bench { stream, reader, .. } = &self.bench;
        journal.open(stream, reader, dozen_store::Start::Earliest).await?;
        for (id, key) in WORK {
            if !self.acknowledged().contains(&id) {
                journal.append(stream, vec![message(key, id)]).await?;
                self.acknowledged().push(id);
            }
        }
        loop {
            let (claims, _) = journal.claim(stream, reader, 2, LEASE).await?;
            if claims.is_empty() {
                return Ok(());
            }
            for claim in &claims {
                if claim.record.key.is_some() {
                    self.handle_in_steps(&store, claim).await?;
                } else {
                    self.handle_at_once(&store, claim).await?;
                }
            }
        }
    }

    async fn handle_in_steps(&self, store: &Store, claim: &Claimed) -> Result<(), Error> {
        let handled = store.transaction(async |tx| {
            if tx.mark(&self.inbox, &claim.record.id, self.bench.now(), LEASE).await? {
                tx.defer(self.effect(claim));
            }
            match tx.apply(self.end(claim.place)).await?.settled()?[..] {
                [true] => Ok(()),
                _ => Err(Error::Invalid("the lease has passed on".into())),
            }
        });
        handled.await.map(drop)
    }

    async fn handle_at_once(&self, store: &Store, claim: &Claimed) -> Result<(), Error> {
        let mark = Put {
            space: self.inbox.clone(),
            key: claim.record.id.clone(),
            value: Vec::new(),
            expect: Expect::Absent,
            expires: None,
            now: self.bench.now(),
        };
        let ops = vec![Op::Require(mark), self.effect(claim), self.end(claim.place)];
        match store.commit(ops).await {
            Err(Error::Unexpected { .. }) => store.commit(vec![self.end(claim.place)]).await.map(drop),
            other => other.map(drop),
        }
    }

    fn effect(&self, claim: &Claimed) -> Op {
        let records = vec![Record::from(message(None, &claim.record.id))];
        Op::Append(Append { stream: self.effects.clone(), records, at: self.bench.now(), due: None })
    }

    fn end(&self, place: Place) -> Op {
        let Bench { stream, reader, .. } = self.bench.clone();
        Op::Settle(Settle { stream, reader, ends: vec![(place, Ended::Done)], now: self.bench.now() })
    }

    /// Lives on until everything is done, and looks at what it came to.
    async fn recover(&self, engine: Arc<dyn Engine>, after: &str) {
        for _ in 0..3 {
            self.bench.clock.advance(LEASE);
            self.life(engine.clone()).await.unwrap_or_else(|error| panic!("after {after}: {error}"));
        }
        let effects = self.bench.journal().read(&self.effects, 0, 100).await.expect("read");
        let mut effects: Vec<String> = effects.into_iter().map(|entry| entry.record.id).collect();
        let position = |id| effects.iter().position(|effect| effect == id);
        assert!(position("first") < position("second"), "after {after}: {effects:?}");
        effects.sort();
        assert_eq!(effects, ["alone", "first", "second"], "after {after}");
        let status = self.bench.status().await;
        assert_eq!((status.lag(), status.parked), (0, 0), "after {after}: {status:?}");
    }

    fn acknowledged(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Each call of the work in turn fails before or after it has happened, which ends the worker.
pub async fn a_crash_at_any_call_has_one_effect(harness: &dyn Harness) {
    let engine = harness.open().await;
    for fault in [Fault::Before, Fault::After] {
        for number in 0.. {
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = calls.clone();
            let plan = move |_| {
                if counted.fetch_add(1, Ordering::Relaxed) == number { fault } else { Fault::None }
            };
            let work = Work::new(Bench::on(engine.clone()), &format!("{fault:?}-{number}"));
            let ended = work.life(Arc::new(Faulty::new(engine.clone(), plan))).await;
            let all = calls.load(Ordering::Relaxed) <= number;
            assert_eq!(ended.is_ok(), all, "{ended:?}");
            work.recover(engine.clone(), &format!("a fault {fault:?} call {number}")).await;
            if all {
                assert!(number > 10, "the work has more calls than {number}");
                break;
            }
        }
    }
}

/// At each `await` of the work in turn the worker is dropped.
pub async fn a_crash_at_any_await_has_one_effect(harness: &dyn Harness) {
    let engine = harness.open().await;
    for number in 0.. {
        let work = Work::new(Bench::on(engine.clone()), &format!("await-{number}"));
        // Each call waits a little first, so that there is a point before it at which to end.
        let slow = Faulty::new(engine.clone(), |_| Fault::Delay(Duration::from_millis(1)));
        let life = Mortal { life: Some(Box::pin(work.life(Arc::new(slow)))), left: number };
        let ended = life.await;
        work.recover(engine.clone(), &format!("a drop at await {number}")).await;
        if let Some(ended) = ended {
            ended.expect("nothing failed");
            assert!(number > 10, "the work has more than {number} awaits");
            break;
        }
    }
}

/// A future that is dropped when it has waited so often; then it gives `None`.
struct Mortal<F> {
    life: Option<Pin<Box<F>>>,
    left: usize,
}

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(life) = &mut self.life else { return Poll::Ready(None) };
        if let Poll::Ready(output) = life.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if self.left == 0 {
            self.life = None;
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Pending
    }
}
