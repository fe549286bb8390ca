//! `dozen child`: not for people. Becomes a program that does not outlive `dozen up`.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use crate::up::children::guard;

/// Starts a program that the guard behind the standard input knows of.
#[derive(Debug, clap::Args)]
pub(crate) struct Child {
    /// The program and its arguments.
    #[arg(last = true, required = true, num_args = 1..)]
    command: Vec<std::ffi::OsString>,
}

/// What a shell says of a program that cannot be run.
const CANNOT_RUN: u8 = 126;

impl Child {
    /// Returns only if the program cannot be run.
    pub(crate) fn run(self) -> ExitCode {
        guard::enlist();
        // The program must not hold the pipe: the guard waits for its end.
        let closed = File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(null)?));
        if let Err(error) = closed {
            eprintln!("dozen: cannot give the program an empty input: {error}");
            return ExitCode::from(CANNOT_RUN);
        }
        let Some((program, arguments)) = self.command.split_first() else {
            return ExitCode::from(CANNOT_RUN);
        };
        let error = std::process::Command::new(program).args(arguments).exec();
        eprintln!("dozen: cannot run `{}`: {error}", program.display());
        ExitCode::from(CANNOT_RUN)
    }
}
