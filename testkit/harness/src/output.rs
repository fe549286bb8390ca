//! The last lines that a program wrote.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Lines kept; older ones are forgotten, so that a chatty program cannot fill the test's memory.
const LINES_MAX: usize = 4000;
/// Bytes read as one line; a longer one is cut into several.
const LINE_BYTES_MAX: u64 = 16 * 1024;

#[derive(Default)]
struct Ring {
    lines: VecDeque<String>,
    /// How many lines were forgotten; the number of the first one that is kept.
    forgotten: usize,
    /// Lines before this number have been heard.
    heard: usize,
    /// Streams still open. At 0 no further line will come.
    open: usize,
}

/// A bounded ring of lines, with a wake-up for each new one.
#[derive(Default)]
pub(crate) struct Output {
    ring: Mutex<Ring>,
    grown: Condvar,
}

impl Output {
    /// Reads `stream` to its end on a thread of its own, which ends when the last holder of the pipe is gone.
    pub(crate) fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        self.ring().open += 1;
        let output = self.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .by_ref()
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
                .is_ok_and(|bytes| bytes > 0)
            {
                output.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            output.ring().open -= 1;
            output.grown.notify_all();
        });
    }

    fn push(&self, line: String) {
        let mut ring = self.ring();
        if ring.lines.len() == LINES_MAX {
            ring.lines.pop_front();
            ring.forgotten += 1;
        }
        ring.lines.push_back(line);
        self.grown.notify_all();
    }

    /// The first kept line that contains `part`, waiting for it for `timeout` at most.
    pub(crate) fn wait_for(&self, part: &str, timeout: Duration) -> Option<String> {
        self.wait_behind(0, part, timeout).map(|(_, line)| line)
    }

    /// The first line behind the last one heard that contains `part`, which is heard now.
    pub(crate) fn hear(&self, part: &str, timeout: Duration) -> Option<String> {
        let heard = self.ring().heard;
        let (number, line) = self.wait_behind(heard, part, timeout)?;
        self.ring().heard = number + 1;
        Some(line)
    }

    /// Returns when no line will come any more.
    pub(crate) fn wait_for_end(&self, timeout: Duration) -> bool {
        let waited = self.grown.wait_timeout_while(self.ring(), timeout, |ring| ring.open > 0);
        !waited.unwrap_or_else(|poisoned| poisoned.into_inner()).1.timed_out()
    }

    /// The first line with its number, among those from number `seen` on.
    fn wait_behind(&self, mut seen: usize, part: &str, timeout: Duration) -> Option<(usize, String)> {
        let deadline = Instant::now() + timeout;
        let mut ring = self.ring();
        loop {
            let first = seen.max(ring.forgotten);
            let mut lines = ring.lines.iter().zip(ring.forgotten..).skip(first - ring.forgotten);
            if let Some((line, number)) = lines.find(|(line, _)| line.contains(part)) {
                return Some((number, line.clone()));
            }
            seen = ring.forgotten + ring.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || ring.open == 0 {
                return None;
            }
            ring = self.grown.wait_timeout(ring, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Everything that is kept.
    pub(crate) fn text(&self) -> String {
        self.ring().lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
