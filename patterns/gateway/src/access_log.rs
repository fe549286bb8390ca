//! A line of JSON for each request, written by nobody who serves one.
//!
//! ```text
//!  workers ──► a buffer for each, bounded ──► writer: takes them all, one write
//!                   │ full: the line is dropped, and counted
//! ```
//!
//! A line is begun with the request and completed at its end; then it is copied into its worker's buffer. The writer
//! sleeps while there is nothing, and gathers for a moment when there is, or until a buffer is half full. A disk that is
//! full or a reader that went away costs lines, never requests; the log says so once and goes on counting.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_dataplane::{ClientIdentity, Failure, Outcome};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::asked::Asked;
use crate::options::{AccessLogOptions, QueryShown};

/// Bytes of one worker's buffer.
const BUFFER_MAX: usize = 1024 * 1024;
/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// Longer texts are cut.
const TEXT_MAX: usize = 2048;
/// Parts of a parameter's name that make its value a secret.
const SECRETS: [&str; 9] =
    ["token", "secret", "password", "passwd", "key", "code", "signature", "session", "credential"];

/// Where requests are written down.
#[derive(Debug)]
pub(crate) struct AccessLog {
    to: String,
    query: QueryShown,
    buffers: Box<[Mutex<Vec<u8>>]>,
    waiting: Notify,
    /// A buffer has become half full.
    filling: Notify,
    reopens: AtomicBool,
    dropped: AtomicU64,
}

/// A line that is not complete yet.
#[derive(Clone, Debug)]
pub(crate) struct Line(String);

/// What is known of a request at its beginning.
pub(crate) struct Opening<'o> {
    pub(crate) time: Timestamp,
    pub(crate) trace: u128,
    pub(crate) asked: &'o Asked<'o>,
    pub(crate) version: http::Version,
    /// The client's certificate, if it showed one.
    pub(crate) client: Option<&'o ClientIdentity>,
}

/// What is known of a request at its end.
pub(crate) struct Ending<'e> {
    pub(crate) route: Option<&'e str>,
    pub(crate) service: Option<&'e str>,
    pub(crate) consumer: Option<&'e str>,
    /// Why it did not pass, if it did not.
    pub(crate) refused: Option<&'e str>,
    /// How often somebody was asked, over all calls of a composition.
    pub(crate) attempts: u32,
    pub(crate) outcome: &'e Outcome<'e>,
}

impl AccessLog {
    pub(crate) fn new(options: &AccessLogOptions, workers: usize) -> Self {
        Self {
            to: options.to.clone(),
            query: options.query,
            buffers: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
            waiting: Notify::new(),
            filling: Notify::new(),
            reopens: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }
    }

    /// The line of a request that begins.
    pub(crate) fn begin(&self, opening: &Opening<'_>) -> Line {
        let Opening { time, trace, asked, version, client } = *opening;
        let mut line = String::with_capacity(768);
        // Writing to a string cannot fail.
        let _ = write!(line, "{{\"time\":\"{time}\",\"trace\":\"{trace:032x}\"");
        let _ = write!(line, ",\"address\":\"{}\"", asked.address);
        if let Some(client) = client {
            text(&mut line, "certificate", Some(cut(client.name())));
        }
        let _ = write!(line, ",\"version\":\"{version:?}\"");
        text(&mut line, "method", Some(asked.method));
        text(&mut line, "host", Some(asked.host));
        text(&mut line, "path", Some(cut(asked.path)));
        if let (Some(query), false) = (asked.query, self.query == QueryShown::Hidden) {
            let shown = shown(query, self.query);
            text(&mut line, "query", Some(cut(&shown)));
        }
        let agent = asked.headers.named("user-agent").next().map(String::from_utf8_lossy);
        text(&mut line, "agent", agent.as_deref().map(cut));
        Line(line)
    }

    /// Completes a line and leaves it to the writer, if there is room.
    pub(crate) fn end(&self, line: Line, ending: &Ending<'_>) {
        let Line(mut line) = line;
        let Ending { route, service, consumer, refused, attempts, outcome } = *ending;
        text(&mut line, "route", route);
        text(&mut line, "service", service);
        text(&mut line, "consumer", consumer);
        text(&mut line, "refused", refused);
        text(&mut line, "endpoint", outcome.address.map(|address| &**address));
        let _ = write!(line, ",\"attempts\":{},\"upstream-us\":", attempts);
        let _ = match outcome.waited {
            Some(waited) => write!(line, "{}", waited.as_micros()),
            None => write!(line, "null"),
        };
        text(&mut line, "failure", outcome.failure.map(Failure::label));
        let _ = writeln!(
            line,
            ",\"status\":{},\"bytes-in\":{},\"bytes\":{},\"duration-us\":{}}}",
            outcome.status,
            outcome.bytes_in,
            outcome.bytes_out,
            outcome.elapsed.as_micros()
        );
        let mut buffer = self.buffer(outcome.worker);
        if buffer.len() + line.len() > BUFFER_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = buffer.len();
        buffer.extend_from_slice(line.as_bytes());
        drop(buffer);
        if before == 0 {
            self.waiting.notify_one();
        }
        if (before..before + line.len()).contains(&(BUFFER_MAX / 2)) {
            self.filling.notify_one();
        }
    }

    /// Lines that were dropped because nobody could write them in time.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Opens the file anew before the next write: it may have been moved away.
    pub(crate) fn reopen(&self) {
        self.reopens.store(true, Ordering::Relaxed);
    }

    fn buffer(&self, worker: usize) -> MutexGuard<'_, Vec<u8>> {
        self.buffers[worker % self.buffers.len()].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) async fn open(&self) -> io::Result<Box<dyn AsyncWrite + Send + Unpin>> {
        if self.to == "stdout" {
            return Ok(Box::new(tokio::io::stdout()));
        }
        let file = tokio::fs::OpenOptions::new().create(true).append(true).open(&self.to).await?;
        Ok(Box::new(file))
    }

    /// Where it writes.
    pub(crate) fn to(&self) -> &str {
        &self.to
    }

    /// Writes until `done`, and then once more.
    pub(crate) async fn run(&self, mut out: Box<dyn AsyncWrite + Send + Unpin>, done: CancellationToken) {
        let mut batch = Vec::new();
        let mut fails = false;
        loop {
            let is_last = tokio::select! {
                () = self.waiting.notified() => {
                    tokio::select! {
                        () = tokio::time::sleep(GATHER) => false,
                        () = self.filling.notified() => false,
                        () = done.cancelled() => true,
                    }
                }
                () = done.cancelled() => true,
            };
            if self.reopens.swap(false, Ordering::Relaxed)
                && let Ok(fresh) = self.open().await
            {
                out = fresh;
            }
            for worker in 0..self.buffers.len() {
                batch.append(&mut self.buffer(worker));
            }
            let written = async {
                out.write_all(&batch).await?;
                out.flush().await
            };
            match written.await {
                Ok(()) => fails = false,
                Err(error) => {
                    let lost = batch.iter().filter(|byte| **byte == b'\n').count();
                    self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
                    if !std::mem::replace(&mut fails, true) {
                        tracing::warn!(to = self.to, %error, "the access log cannot be written; requests go on");
                    }
                }
            }
            batch.clear();
            if is_last {
                return;
            }
        }
    }
}

/// The beginning of what is too long to be written down.
fn cut(text: &str) -> &str {
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Appends a member; what is not there is null.
fn text(line: &mut String, name: &str, value: Option<&str>) {
    let _ = write!(line, ",\"{name}\":");
    match value {
        Some(value)
            if value.bytes().all(|byte| (32..127).contains(&byte) && !matches!(byte, b'"' | b'\\')) =>
        {
            let _ = write!(line, "\"{value}\"");
        }
        Some(value) => {
            let _ = write!(line, "{}", serde_json::Value::from(value));
        }
        None => line.push_str("null"),
    }
}

/// A query without what may be a secret in it.
fn shown(query: &str, how: QueryShown) -> String {
    let parameters = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        match how {
            QueryShown::Values if !SECRETS.iter().any(|secret| lower.contains(secret)) => pair.to_owned(),
            QueryShown::Values => format!("{name}=***"),
            QueryShown::Names | QueryShown::Hidden => name.to_owned(),
        }
    });
    parameters.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests;
