//! A client's connection of HTTP/2.
//!
//! hyper keeps the frames, the windows and the limits of the protocol. Each stream (`stream`) is a task of its
//! connection and ends with it. A connection without streams is let go after a while, and a stream whose client takes
//! nothing is reset.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};

use super::Handler;
use super::plan::Origin;
use super::stream::answer;
use super::tasks::{Spawner, Tasks};
use super::worker::Worker;
use crate::stream::Rewound;
use crate::ticker::Alarm;

/// Bytes of an answer that wait in one stream for its client.
const SEND_BUFFER: usize = 64 * 1024;
/// How often a connection is looked at for what should end.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn serve<H: Handler>(worker: Arc<Worker<H>>, io: Rewound, origin: Origin, alarm: Alarm) {
    let options = worker.options.clone();
    let tasks = Arc::new(Tasks::default());
    let mut builder = hyper::server::conn::http2::Builder::new(Spawner::new(&tasks));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.http2.streams_max)
        .max_header_list_size(u32::try_from(options.head_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(options.http2.resets_max)
        .max_local_error_reset_streams(options.http2.resets_max)
        .keep_alive_interval(options.http2.ping_interval)
        .keep_alive_timeout(options.http2.ping_timeout)
        .max_send_buf_size(SEND_BUFFER)
        .auto_date_header(false);
    let shared = Arc::new((worker.clone(), Origin { is_http2: true, ..origin }));
    let service = hyper::service::service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared.0, &shared.1, request).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let now = || worker.ticker.now();
    let (mut quiet_since, mut begun, mut is_leaving) = (now(), 0, false);
    alarm.set_last(None);
    alarm.set(LOOK);
    poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if worker.is_draining() && !is_leaving {
                is_leaving = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
            ready!(alarm.poll(cx));
            alarm.set(LOOK);
            tasks.cut_stalled(now());
            if tasks.running() > 0 || tasks.begun() != begun {
                begun = tasks.begun();
                quiet_since = now();
                continue;
            }
            let patience = if begun == 0 { options.header_timeout } else { options.idle_timeout };
            if now().saturating_sub(quiet_since) < millis(patience) {
                continue;
            }
            if is_leaving {
                // It was told to go, and had all the time it needed.
                return Poll::Ready(());
            }
            is_leaving = true;
            quiet_since = now();
            connection.as_mut().graceful_shutdown();
        }
    })
    .await;
}
