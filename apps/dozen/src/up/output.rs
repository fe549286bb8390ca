//! One output for many programs: whole lines, each behind the name of who said it.
//!
//! ```text
//!  orders stdout ─┐
//!  stock stderr  ─┼─► bounded channel ─► one thread ─► stdout
//!  dozen's log   ─┘
//! ```
//!
//! A thread of its own writes, because a terminal that is scrolled back or a pipe that nobody reads blocks its writer.
//! A child that floods a blocked output waits; dozen's own lines are dropped and counted, for a log must never stop
//! what it tells of.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Lines that wait to be written.
const WAITING_MAX: usize = 1024;
/// The colours of the names: those that are readable on dark and on light.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// A handle to the output. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Printer {
    lines: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
    width: usize,
    colour: bool,
}

#[derive(Debug)]
enum Order {
    Line(String),
    Flush(oneshot::Sender<()>),
}

/// Whether to use colours: on a terminal, unless the user objects (<https://no-color.org>).
pub fn colours_wanted() -> bool {
    let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !objection
}

impl Printer {
    /// Starts the writer. Names are padded to `width`. The thread ends with the last handle.
    pub fn start(width: usize, colour: bool) -> io::Result<Self> {
        let (lines, mut orders) = mpsc::channel(WAITING_MAX);
        std::thread::Builder::new().name("output".into()).stack_size(128 * 1024).spawn(move || {
            let mut out = io::stdout().lock();
            while let Some(order) = orders.blocking_recv() {
                // A closed output is no reason to stop: the application is what matters.
                match order {
                    Order::Line(line) => drop(out.write_all(line.as_bytes())),
                    Order::Flush(done) => drop((out.flush(), done.send(()))),
                }
            }
        })?;
        Ok(Self { lines, dropped: Arc::default(), width, colour })
    }

    /// Whether names have colours.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Writes a line of a child; waits while the output is blocked. `number` chooses the colour.
    pub(crate) async fn child(&self, number: usize, name: &str, line: &str) {
        let order = Order::Line(self.prefixed(Some(COLOURS[number % COLOURS.len()]), name, line));
        let _ = self.lines.send(order).await;
    }

    /// Writes lines of dozen itself; never waits.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            self.offer(self.prefixed(None, "dozen", line));
        }
    }

    /// Writes text as it is; never waits.
    pub fn plain(&self, text: &str) {
        self.offer(format!("{text}\n"));
    }

    fn offer(&self, line: String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let line = match dropped {
            0 => line,
            count => format!("{line}(the output was blocked: {count} lines are missing here)\n"),
        };
        if self.lines.try_send(Order::Line(line)).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    fn prefixed(&self, colour: Option<u8>, name: &str, line: &str) -> String {
        let width = self.width;
        match colour.filter(|_| self.colour) {
            Some(colour) => format!("\x1b[{colour}m{name:width$} │\x1b[0m {line}\n"),
            None => format!("{name:width$} │ {line}\n"),
        }
    }

    /// Returns when everything said so far is written, or after a second if the output is blocked.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        let flushed = async {
            if self.lines.send(Order::Flush(done)).await.is_ok() {
                let _ = written.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), flushed).await;
    }
}

/// Lets `tracing_subscriber` write through the printer.
impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Printer {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { printer: self.clone(), text: Vec::new() }
    }
}

/// One event of the log on its way to the printer.
#[derive(Debug)]
pub struct LogLine {
    printer: Printer,
    text: Vec<u8>,
}

impl io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        self.printer.say(&String::from_utf8_lossy(&self.text));
    }
}
