//! The command line: one verb for the whole application, one noun for each thing that can be looked at.
//!
//! A noun is a file or a folder here under its own name. Errors are printed once, here, with their whole chain.

mod args;
mod check;
mod child;
mod completion;
mod diff;
mod explain;
mod feature;
mod key;
mod letters;
mod look;
mod outbox;
mod queue;
mod service;
mod test;
mod topic;
mod translator;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dozen_core::{Diagnose as _, chain};

use crate::Error;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  dozen up                         run ./dozen.yaml: its services, and all that they need
  dozen check shop.yaml            name every mistake in the file
  dozen check --expanded           the file with every default written out
  dozen explain GET /orders/7      which route takes it, and where it goes
  dozen diff dozen.yaml new.yaml   what would change, and which streams would end
  dozen feature list               how far each feature has moved, and why
  dozen key new                    an API key, and its hash for the file
  dozen service list               which services answer
  dozen queue list                 what waits, what failed
  dozen queue send mails '{}'      put a message into a queue
  dozen topic follow orders        what is published, as it comes
  dozen test                       play the examples of the translators
  dozen completion bash            completion for your shell

Exit codes: 0 all is well, 1 it failed, 2 the arguments or the file are wrong.
`dozen diff` ends with 1 when something changes.
`dozen up` ends with 0 after SIGINT or SIGTERM, with 130 if a second signal cut it short.
docs/configuration.md describes every key of the file.";

/// The patterns of distributed systems as one program: gateway, registry, sidecars, queues, topics.
#[derive(Debug, Parser)]
#[command(name = "dozen", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything of a file on this machine, until Ctrl-C
    #[command(after_help = UP_HELP)]
    Up(up::Up),
    /// Say what is wrong with a file, without starting anything
    Check(check::Check),
    /// Say what the gateway would do with a request, without sending it
    Explain(explain::Explain),
    /// Say what another file would change, and which streams would end
    Diff(diff::Diff),
    /// Move features from an old service to a new one, and back
    Feature(feature::Feature),
    /// Make API keys for the gateway's consumers
    Key(key::Key),
    /// Look at services
    Service(service::Service),
    /// Send to queues, look at them, and give what failed another try
    Queue(queue::Queue),
    /// Publish on topics, follow them, and mind their subscriptions
    Topic(topic::Topic),
    /// Look at the events that transactions left behind, and send them again
    Outbox(outbox::Outbox),
    /// Ask other systems through translators, and see how these have changed
    Translator(translator::Translator),
    /// Play the examples of the translators, without any system
    Test(test::Test),
    /// Print a completion script for a shell
    Completion(completion::Completion),
    #[command(hide = true)]
    Child(child::Child),
    /// Not for people: kills what is left when `dozen up` was killed
    #[command(hide = true)]
    Guard,
}

const UP_HELP: &str = "\
Starts the services of the file as child processes, restarts those that crash, and stops them all
with itself. SIGINT or SIGTERM drains and exits 0; a second signal cuts at once and exits 130.
Routes and translators are taken over when the file changes, on SIGHUP, and on POST
/dozen/v1/reload of the API.
On SIGUSR2 the program on disk takes over, without a lost request; the services run on.

Examples:
  dozen up
  dozen up shop/dozen.yaml
  RUST_LOG=debug dozen up          say more";

/// The file that a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct File {
    /// The configuration
    #[arg(value_name = "FILE", default_value = config::FILE)]
    path: PathBuf,
}

/// Reads the arguments, does what they say, and prints what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // where it cannot be printed, the exit code still tells
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match cli.command {
        Command::Up(up) => up.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Diff(diff) => diff.run(),
        Command::Feature(feature) => feature.run(),
        Command::Key(key) => key.run(),
        Command::Service(service) => service.run(),
        Command::Queue(queue) => queue.run(),
        Command::Topic(topic) => topic.run(),
        Command::Outbox(outbox) => outbox.run(),
        Command::Translator(translator) => translator.run(),
        Command::Test(test) => test.run(),
        Command::Completion(completion) => completion.run(),
        Command::Child(child) => return child.run(),
        Command::Guard => {
            crate::up::children::guard::stand();
            return ExitCode::SUCCESS;
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("{}", told(&error));
        error.exit_code()
    })
}

/// An error with its causes, and where to read more. Mistakes in a file are a report of their own.
fn told(error: &Error) -> String {
    match error {
        Error::Config(config::Error::Wrong(mistakes)) => mistakes.to_string(),
        error => format!("error: {}\nsee docs/errors/{}.md", chain(error), error.page()),
    }
}

/// Prints to stdout; a reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<ExitCode, Error> {
    use std::io::Write as _;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::System { doing: "write to stdout".into(), source: error })
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
