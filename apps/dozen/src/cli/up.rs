//! `dozen up`: runs a file.

use std::process::ExitCode;
use std::sync::Arc;

use dozen_core::chain;

use super::File;
use crate::up::handover::Predecessor;
use crate::{Error, up};

/// Runs everything of a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    file: File,
    /// Not for people: takes over from the process at the other end of the standard input
    #[arg(long, hide = true)]
    take_over: bool,
}

impl Up {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let predecessor = self.take_over.then(Predecessor::on_stdin).transpose()?.map(Arc::new);
        let ended = up::run(&self.file.path, predecessor.as_ref());
        if let (Err(error), Some(old)) = (&ended, &predecessor) {
            old.failed(&chain(error));
        }
        ended
    }
}
