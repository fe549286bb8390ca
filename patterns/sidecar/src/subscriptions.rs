//! Keeps the app's subscriptions as the app wants them, through its restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Backoff, chain};
use dozen_lifecycle::{Ready, Service as _, Stop};
use dozen_messaging::{SubscriptionOptions, Worker, WorkerOptions};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::channel::{Channel, Silence};
use crate::delivery::Deliver;
use crate::sidecar::Sidecar;
use crate::subscription::{Subscription, read};

/// Between two attempts to find the app, or to open a subscription.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(5) };
/// The app's answer to what it wants, which it has at hand.
const ASK_MAX: Duration = Duration::from_secs(10);

/// Runs until `stop.soft` and until what was in hand then is done.
pub(crate) async fn keep(sidecar: Arc<Sidecar>, channel: Arc<Channel>, stop: Stop) {
    let mut running: BTreeMap<String, (Subscription, Stop)> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let wanted = tokio::select! { biased;
            () = stop.soft.cancelled() => break,
            wanted = ask(&sidecar, &channel) => wanted,
        };
        running.retain(|topic, (subscription, stop)| {
            let stays = wanted.contains(subscription);
            if !stays {
                tracing::info!(
                    topic,
                    app = sidecar.options.app_id,
                    "the app no longer asks for this; its events wait"
                );
                stop.soft.cancel();
            }
            stays
        });
        let mut opening = Vec::new();
        for subscription in &wanted {
            if running.contains_key(&subscription.topic) {
                continue;
            }
            let own = stop.child();
            running.insert(subscription.topic.clone(), (subscription.clone(), own.clone()));
            let (tried, opened) = oneshot::channel();
            opening.push(opened);
            tasks.spawn(run(sidecar.clone(), channel.clone(), subscription.clone(), own, tried));
        }
        // An app that is ready misses nothing: what is published from then on finds its subscriptions open, unless the
        // broker cannot open one, which is no reason to call the app absent.
        for opened in opening {
            tokio::select! { biased;
                () = stop.soft.cancelled() => {}
                _ = opened => {}
            }
        }
        sidecar.wanted.send_replace(wanted);
        channel.found();
        loop {
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                () = channel.nudge.notified() => break,
                Some(ended) = tasks.join_next() => note(ended),
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a subscription panicked");
    }
}

/// Asks the app what it wants, until it answers.
async fn ask(sidecar: &Sidecar, channel: &Channel) -> Vec<Subscription> {
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::from_str(&sidecar.options.app_id) {
        headers.insert("dapr-app-id", id);
    }
    let get = |path: &'static str| {
        let path = Uri::from_static(path);
        let headers = headers.clone();
        async move { channel.call(Method::GET, &path, headers, Vec::new(), ASK_MAX).await }
    };
    let mut failures = 0;
    loop {
        // Asked for because apps expect to be; it holds actor settings, which are not served here.
        let config = get("/dapr/config").await;
        let answer = match config {
            Err(silence @ Silence::Away(_)) => Err(silence),
            _ => get("/dapr/subscribe").await,
        };
        let why = match answer {
            Ok((StatusCode::OK, body)) => {
                let (wanted, remarks) = read(&body, &sidecar.options.pubsub_names);
                for remark in remarks {
                    tracing::warn!(
                        app = sidecar.options.app_id,
                        "the app's answer to /dapr/subscribe: {remark}"
                    );
                }
                return wanted;
            }
            Ok((StatusCode::NOT_FOUND, _)) => return Vec::new(),
            Ok((status, _)) if status.is_server_error() => format!("it answered {status}"),
            Ok((status, _)) => {
                let app = &sidecar.options.app_id;
                tracing::warn!(app, %status, "the app does not say what it subscribes to; it gets no events");
                return Vec::new();
            }
            Err(silence) => silence.text(),
        };
        failures += 1;
        if failures == 1 {
            tracing::debug!(app = channel.address, why, "waiting for the app");
        }
        tokio::select! {
            () = tokio::time::sleep(BACKOFF.delay(failures, sidecar.ids.random())) => {}
            () = channel.nudge.notified() => {} // it says that it has started
        }
    }
}

/// Opens one subscription, trying until it can, and works it.
///
/// `tried` is told, or dropped, after the first attempt.
async fn run(
    sidecar: Arc<Sidecar>,
    channel: Arc<Channel>,
    subscription: Subscription,
    stop: Stop,
    tried: oneshot::Sender<()>,
) {
    let mut tried = Some(tried);
    let name = sidecar.options.app_id.clone();
    let topic = subscription.topic.clone();
    let mut failures = 0;
    let subscriber = loop {
        let opened = sidecar.broker.subscribe(&topic, &name, SubscriptionOptions::default()).await;
        drop(tried.take());
        let error = match opened {
            Ok(subscriber) => break subscriber,
            Err(error) => error,
        };
        failures += 1;
        if failures == 1 {
            tracing::warn!(
                topic,
                subscription = name,
                error = chain(&error),
                "cannot subscribe; keeps trying"
            );
        }
        tokio::select! { biased;
            () = stop.soft.cancelled() => return,
            () = tokio::time::sleep(BACKOFF.delay(failures, sidecar.ids.random())) => {}
        }
    };
    let options = WorkerOptions {
        running_max: sidecar.options.deliveries_max,
        policy: sidecar.options.policy,
        ..WorkerOptions::default()
    };
    let ids = sidecar.ids.clone();
    let closing = stop.soft.clone();
    let handler = Arc::new(Deliver { sidecar, channel, subscription, closing });
    let worker = Arc::new(Worker::new(format!("{name}/{topic}"), subscriber, handler, options, ids));
    let (ready, _) = Ready::channel();
    if let Err(error) = worker.run(stop, ready).await {
        tracing::error!(topic, subscription = name, error = chain(&*error), "a subscription ended");
    }
}
