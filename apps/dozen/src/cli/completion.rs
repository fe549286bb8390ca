//! `dozen completion`: so that the shell knows the verbs.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::Error;

const HELP: &str = "\
Examples:
  dozen completion bash > /etc/bash_completion.d/dozen
  dozen completion zsh > ~/.zfunc/_dozen
  dozen completion fish > ~/.config/fish/completions/dozen.fish";

/// Prints a completion script.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Completion {
    /// For which shell
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "dozen", &mut script);
        super::print(&String::from_utf8_lossy(&script))
    }
}
