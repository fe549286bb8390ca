//! One copy: asked, compared, learnt from, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use tokio::time::Instant;

use super::{Job, Primary, Shadow};
use crate::compare::{Answer, Comparator, Compared, Difference, Differences, Kind};
use crate::decide::is_safe;
use crate::feature::Sampled;
use crate::noise::Counted;
use crate::options::ShadowWrites;
use crate::send::{Began, Unsent};
use crate::{Side, Stage, template};

impl Shadow {
    /// One request, from its sending to what it counts for.
    pub(super) async fn work(self: Arc<Self>, job: Job) {
        let Some((primary, other)) = job.decision.side().zip(job.decision.shadow) else { return };
        let (feature, decision) = (&job.feature, &job.decision);
        let safe = is_safe(job.request.method().as_str());
        let began = Instant::now();
        let answered = self.ask(&job, other, safe).await;
        if let Err(Unsent::NotAsked(_)) = answered {
            return feature.compared(decision, Counted::Nothing);
        }
        // An answer that is too large to be kept is an answer all the same.
        let status = match &answered {
            Ok(answer) => Some(answer.status().as_u16()),
            Err(Unsent::TooLarge(_)) => Some(200),
            Err(_) => None,
        };
        feature.paired(decision, primary, job.primary.status(), job.took);
        let head = answered.as_ref().ok().and_then(|answer| answer.extensions().get::<Began>());
        feature.paired(decision, other, status, head.map_or(began.elapsed(), |head| head.0));
        if decision.stage < Stage::Compare {
            return;
        }
        let compared = match (&job.primary, answered) {
            (Primary::Whole(mine), Ok(theirs)) => {
                if decision.twice {
                    self.learn(&job, primary, mine, &theirs).await;
                }
                self.compare(&job, primary, mine.clone(), theirs).await
            }
            (_, Err(unsent)) if other == Side::New && !matches!(unsent, Unsent::TooLarge(_)) => {
                no_answer(&unsent.to_string())
            }
            (Primary::Nothing, Ok(_)) if primary == Side::New => no_answer("no answer"),
            _ => Compared::Incomparable("one side's answer is not there in full".into()),
        };
        let mut counted = feature.noise_of().judge(&compared, &feature.options().compare.noise);
        let mut shown = compared;
        if counted == Counted::Differs && safe {
            // What has only been late, on its way from one side's data to the other's, is no difference.
            tokio::time::sleep(feature.options().compare.confirm_after).await;
            let (again, other_again) =
                tokio::join!(self.ask(&job, primary, true), self.ask(&job, other, true));
            if let (Ok(mine), Ok(theirs)) = (again, other_again) {
                shown = self.compare(&job, primary, mine, theirs).await;
                counted = feature.noise_of().judge(&shown, &feature.options().compare.noise);
            }
        }
        feature.compared(decision, counted);
        if let (Counted::Differs, Compared::Different(differences)) = (counted, shown) {
            let request = format!("{} {}", job.request.method(), template(job.request.uri().path()));
            let (at, more) = (self.ids.clock().now(), differences.more);
            feature.sampled(Sampled { at, request, differences: differences.shown, more });
        }
    }

    /// Asks the old side once more, and learns where it differs from itself.
    async fn learn(&self, job: &Job, primary: Side, mine: &Answer, theirs: &Answer) {
        let first = if primary == Side::Old { mine } else { theirs };
        if let Ok(second) = self.ask(job, Side::Old, true).await {
            let replayed = self.compared(job, first.clone(), second, Comparator::replayed).await;
            job.feature.noise_of().learn(&replayed);
        }
    }

    async fn compare(&self, job: &Job, primary: Side, mine: Answer, theirs: Answer) -> Compared {
        match primary {
            Side::Old => self.compared(job, mine, theirs, Comparator::compare).await,
            Side::New => self.compared(job, theirs, mine, Comparator::compare).await,
        }
    }

    /// Compares; large bodies on a thread where nobody waits for them.
    async fn compared(&self, job: &Job, one: Answer, other: Answer, compare: Comparing) -> Compared {
        let feature = job.feature.clone();
        if one.body().len() + other.body().len() <= INLINE_MAX {
            return compare(feature.comparator(), &one, &other);
        }
        let comparing = tokio::task::spawn_blocking(move || compare(feature.comparator(), &one, &other));
        comparing.await.unwrap_or_else(|_| Compared::Incomparable("the comparison was cut short".into()))
    }

    async fn ask(&self, job: &Job, side: Side, safe: bool) -> Result<Answer, Unsent> {
        let mut request = job.request.clone();
        let headers = request.headers_mut();
        headers.insert("dozen-shadow", HeaderValue::from_static(side.name()));
        headers.insert("accept-encoding", HeaderValue::from_static("identity"));
        if !safe {
            match job.feature.options().writes.shadow {
                ShadowWrites::Sandbox => {
                    headers.insert("dozen-sandbox", HeaderValue::from_static("true"));
                }
                ShadowWrites::IdempotencyKey if !headers.contains_key("idempotency-key") => {
                    if let Ok(key) = HeaderValue::from_str(&self.ids.next().to_string()) {
                        headers.insert("idempotency-key", key);
                    }
                }
                _ => {}
            }
        }
        let service = job.feature.service(side);
        let sending = self.sender.send(service, request, job.feature.options().compare.body_max);
        let answered =
            tokio::time::timeout(self.options.patience, sending).await.unwrap_or(Err(Unsent::TimedOut));
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match &answered {
            Err(Unsent::NotAsked(_)) => count(&self.counters.not_asked),
            Err(_) => [&self.counters.sent, &self.counters.unanswered].into_iter().for_each(count),
            Ok(_) => count(&self.counters.sent),
        }
        answered
    }
}

/// How two answers are compared.
type Comparing = fn(&Comparator, &Answer, &Answer) -> Compared;

/// Bytes of two bodies that are compared where they are: well below a tenth of a millisecond a side.
const INLINE_MAX: usize = 32 * 1024;

/// An answer that never came differs from one that did.
fn no_answer(instead: &str) -> Compared {
    let place = "status".to_owned();
    let difference = Difference {
        path: place.clone(),
        kind: Kind::Status,
        old: "an answer".into(),
        new: instead.to_owned(),
    };
    Compared::Different(Differences { shown: vec![difference], more: 0, places: Some([place].into()) })
}
