//! `dozen child`: not for people. Becomes a program that dies with `dozen up`.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

/// Starts a program so that it ends with its parent.
#[derive(Debug, clap::Args)]
pub(crate) struct Child {
    /// The process that must still be there.
    #[arg(long)]
    parent: u32,
    /// The program and its arguments.
    #[arg(last = true, required = true, num_args = 1..)]
    command: Vec<std::ffi::OsString>,
}

/// What a shell says of a program that cannot be run.
const CANNOT_RUN: u8 = 126;

impl Child {
    /// Returns only if the program cannot be run.
    pub(crate) fn run(self) -> ExitCode {
        #[cfg(target_os = "linux")]
        {
            let kill = Some(rustix::process::Signal::KILL);
            if let Err(error) = rustix::process::set_parent_process_death_signal(kill) {
                eprintln!("dozen: cannot tie this process to its parent: {error}");
                return ExitCode::from(CANNOT_RUN);
            }
        }
        // The parent may have died before the signal was asked for: then somebody else is the parent by now.
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
        if parent != Some(self.parent) {
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
