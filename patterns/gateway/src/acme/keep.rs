//! The loop that sees to it that there is a certificate.

use std::time::Duration;

use dozen_core::{Backoff, Ids, Timestamp, chain};
use tokio::time::{Instant, sleep};

use super::{order, schedule};
use crate::calling::Calling;

/// How often the clock and the options are looked at; a wall clock may jump.
const LOOK: Duration = Duration::from_secs(1);
/// From one order to the next, whatever the clock says: an authority counts them.
const PAUSE: Duration = Duration::from_secs(60);
/// Longest wait after failures.
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Keeps the certificate of the options for ever. Nothing that fails ends it.
pub(crate) async fn keep(calling: &Calling, ids: &Ids) {
    let backoff = Backoff::new(PAUSE, PAUSE_MAX);
    let mut known = None;
    let mut due = Timestamp::NEVER;
    let mut not_before = Instant::now();
    let mut failures = 0u32;
    loop {
        let wanted = calling.acme();
        let options = wanted.as_ref().map(|(options, _)| options);
        if options != known.as_ref() {
            // A reload that changes something is worth another attempt at once.
            (known, due) = (options.cloned(), Timestamp(i64::MIN));
            (not_before, failures) = (Instant::now(), 0);
        }
        let Some((options, tls)) = wanted else {
            sleep(LOOK).await;
            continue;
        };
        let standing = calling.standing();
        if due <= ids.clock().now() {
            // Another process may have been here: one that takes over, or that is taken over from.
            let held = options.certificate().facts().ok();
            standing.change().until = held.as_ref().map(|facts| facts.until);
            due = schedule::due(held.as_ref(), &options.names, ids.random());
        }
        if due <= ids.clock().now() && not_before <= Instant::now() {
            let wait = match order::obtain(&options, &tls).await {
                Ok(()) => {
                    let mut view = standing.change();
                    view.obtained += 1;
                    view.problem = None;
                    failures = 0;
                    tracing::info!("there is a new certificate for {}", options.names.join(", "));
                    PAUSE
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = backoff.delay(failures, ids.random());
                    let problem = chain(&error).to_string();
                    let mut view = standing.change();
                    view.failed += 1;
                    // The same again is counted; what is new is told.
                    if view.problem.as_ref() != Some(&problem) {
                        tracing::error!(
                            "`gateway.tls.acme`: no new certificate, and what there was stays; the next attempt is \
                             in {} s or later: {problem}",
                            wait.as_secs()
                        );
                        view.problem = Some(problem);
                    }
                    wait
                }
            };
            not_before = Instant::now() + wait;
            due = Timestamp(i64::MIN);
            continue;
        }
        sleep(LOOK).await;
    }
}
