//! Room in the write-ahead log, made before it is needed.
//!
//! A commit that makes a file longer has the file system write down where the new blocks are, and a sync waits for that, too: it
//! can take twice as long as the same bytes written into a file that is long enough. SQLite makes its log longer with each commit
//! until the first checkpoint, thousands of commits later, and from then on writes over what is there. So whenever SQLite has
//! made the log longer, it is filled up with zeros to the next full step (PostgreSQL does the same: `wal_init_zero`).
//!
//! To SQLite they are what is left of an earlier round: a frame counts only with the right salt and checksum. Whoever holds
//! the write lock is the only one to change the log's length, in whatever process.

use std::fs::File;
use std::io::{Result, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// The log's length is a multiple of this. Filling up a step takes about a millisecond, once in hundreds of commits.
const STEP: u64 = 1024 * 1024;
/// A log that is shorter than one step grows in such ones: many a file is only opened for a few commits.
const FIRST_STEPS: u64 = 64 * 1024;

/// The log of one file.
pub(crate) struct Room {
    log: PathBuf,
    file: Option<File>,
    has_failed: bool,
}

impl Room {
    pub(crate) fn new(log: PathBuf) -> Self {
        Self { log, file: None, has_failed: false }
    }

    /// Fills up the last step. For who holds the write lock. Where it cannot be done, commits take longer, and that is all.
    pub(crate) fn keep(&mut self) {
        if self.has_failed {
            return;
        }
        if let Err(error) = self.fill() {
            self.has_failed = true;
            tracing::debug!(%error, log = %self.log.display(), "no room is made in the write-ahead log any more");
        }
    }

    fn fill(&mut self) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options().write(true).open(&self.log)?,
        };
        let mut file = &*self.file.insert(file);
        let length = file.metadata()?.len();
        let missing = missing(length);
        if missing > 0 {
            file.seek(SeekFrom::Start(length))?;
            if let Err(error) = file.write_all(&vec![0; usize::try_from(missing).unwrap_or(0)]) {
                // What is left of the disk is for those who have something to say.
                file.set_len(length)?;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// How much a log of this length lacks. Nothing where SQLite has not begun one; and never so little that it is gone at once.
fn missing(length: u64) -> u64 {
    if length.is_multiple_of(if length < STEP { FIRST_STEPS } else { STEP }) {
        return 0;
    }
    let short = (length + FIRST_STEPS / 2).next_multiple_of(FIRST_STEPS);
    let filled = if short <= STEP { short } else { (length + STEP / 2).next_multiple_of(STEP) };
    filled - length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_has_begun_ends_with_a_step_and_stays_so() {
        assert_eq!(missing(0), 0, "SQLite writes the beginning itself");
        let lengths =
            (1..200).map(|frames| 32 + frames * 4_120).chain([1, STEP - 1, STEP, STEP + 1, 9 * STEP - 1]);
        for length in lengths {
            let filled = length + missing(length);
            assert!(missing(length) >= FIRST_STEPS / 2 || length.is_multiple_of(FIRST_STEPS), "{length}");
            assert_eq!(missing(filled), 0, "{length}: several processes do not add to each other's room");
        }
    }
}
