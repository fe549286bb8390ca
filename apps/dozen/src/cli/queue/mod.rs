//! `dozen queue`: send to it, see what waits and what failed, and give that another try.

mod send;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use dozen_console::Letters;

use super::args::Chosen;
use super::letters::{Edit, Minding, Purge, Redrive};
use super::look::{Look, Where};
use crate::Error;

const HELP: &str = "\
Examples:
  dozen queue list
  dozen queue send invoices '{\"order\": 17}' --type invoice.due --key customer-4
  dozen queue send invoices @order.json --at 10m --unique order-17
  dozen queue send invoices - --wait 30s < order.json     prints the handler's reply
  dozen queue status 0197… --wait 1m                      what became of a message
  dozen queue peek invoices                               what is next
  dozen queue peek invoices --dead --error timeout        what was given up, and why
  dozen queue redrive invoices --type invoice.due --dry-run
  dozen queue redrive invoices --before 2h --rate 20      hand old ones out again, 20 a second
  dozen queue edit invoices 0197… '{\"order\": 18}'         correct a dead letter
  dozen queue purge invoices --dead --key customer-4      forget some; what they held back goes on
  dozen queue pause invoices                              its workers rest; `resume` lets them go on

Exit codes: 0 done, 1 it failed (with --wait: also when the message was not handled), 2 wrong arguments.";

/// Works with queues.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Queue {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the queues with what is in them
    List,
    /// Send a message; prints its id
    Send(send::Send),
    /// Say what became of a message
    Status(send::Status),
    /// Show messages without taking them
    Peek {
        /// The queue
        name: String,
        /// Show what was given up, with its errors
        #[arg(long)]
        dead: bool,
        /// How many of those that wait
        #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        number: u16,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Hand dead letters out again, with their attempts counted anew
    Redrive {
        /// The queue
        name: String,
        #[command(flatten)]
        redrive: Redrive,
    },
    /// Correct a dead letter; it stays one until it is redriven
    Edit {
        /// The queue
        name: String,
        #[command(flatten)]
        edit: Edit,
    },
    /// Forget dead letters for good
    Purge {
        /// The queue
        name: String,
        #[command(flatten)]
        purge: Purge,
    },
    /// Let its workers rest, all of them, wherever they run
    Pause {
        /// The queue
        name: String,
    },
    /// Let its workers go on
    Resume {
        /// The queue
        name: String,
    },
}

impl Queue {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let verb = self.verb;
        self.place.look(async |look| verb.run(&look).await)
    }
}

impl Verb {
    async fn run(self, look: &Look) -> Result<ExitCode, Error> {
        let now = look.now();
        let letters = async |name: &str| Ok::<_, Error>(Letters::Queue(look.queue(name).await?));
        let text = match self {
            Self::Send(send) => return send.run(look).await,
            Self::Status(status) => return status.run(look).await,
            Self::List => show::list(look).await?,
            Self::Peek { name, dead: true, number, chosen } => {
                Minding(&letters(&name).await?).show(&chosen.at_most(number.into()), now).await?
            }
            Self::Peek { name, dead: false, number, .. } => show::peek(look, &name, number.into()).await?,
            Self::Redrive { name, redrive } => Minding(&letters(&name).await?).redrive(redrive, now).await?,
            Self::Edit { name, edit } => Minding(&letters(&name).await?).edit(edit).await?,
            Self::Purge { name, purge } => Minding(&letters(&name).await?).purge(purge, now).await?,
            Self::Pause { name } => pause(look, &name, true).await?,
            Self::Resume { name } => pause(look, &name, false).await?,
        };
        super::print(&text)
    }
}

async fn pause(look: &Look, name: &str, paused: bool) -> Result<String, Error> {
    let doing = if paused { "pause" } else { "resume" };
    let queue = look.queue(name).await?;
    queue.pause(paused).await.map_err(Error::pattern(format!("{doing} queue `{name}`")))?;
    Ok(format!(
        "the workers of {name} {}\n",
        if paused { "rest; what they hold they finish" } else { "go on" }
    ))
}
