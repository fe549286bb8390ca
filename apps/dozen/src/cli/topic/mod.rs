//! `dozen topic`: publish, follow, and mind those who subscribe.

mod show;
mod subscriptions;

use std::process::ExitCode;

use clap::Subcommand;
use dozen_messaging::Publisher as _;

use super::args::Payload;
use super::look::{Look, Where};
use crate::Error;

const HELP: &str = "\
Examples:
  dozen topic list
  dozen topic publish orders '{\"id\": 17}' --type order.placed --key 17
  dozen topic follow orders               what is published, as it comes, one JSON object a line
  dozen topic follow orders -n 100 | jq .data
  dozen topic subscribe 'orders.>' audit --start earliest --filter 'data.total > 100'
  dozen topic replay orders mail --from 2h        mail hears again of the last two hours
  dozen topic pause orders mail                   its receivers rest; `resume` lets them go on
  dozen topic dead orders mail                    what mail could not handle, and why
  dozen topic redrive orders mail --error timeout --rate 10
  dozen topic unsubscribe orders mail
  dozen topic journey 0197…               where a message went, and what became of it

TOPIC may be a pattern where a subscription is named: `*` is one segment between dots, `>` at the end
one or more. A subscription of the file is made again by `dozen up`.";

/// Works with topics and their subscriptions.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Topic {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the topics and their subscriptions
    List,
    /// Publish a message; prints its id
    Publish {
        /// The topic
        name: String,
        #[command(flatten)]
        payload: Payload,
    },
    /// Print messages as they are published, until Ctrl-C
    Follow {
        /// The topic
        name: String,
        /// Begin with so many of the last ones
        #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
        number: u16,
    },
    /// Tell the way of one message: topics, queues, deliveries
    Journey {
        /// The message's id
        id: String,
    },
    #[command(flatten)]
    Subscription(subscriptions::Verb),
}

impl Topic {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let verb = self.verb;
        self.place.look(async |look| match verb {
            Verb::List => super::print(&show::list(&look).await?),
            Verb::Publish { name, payload } => publish(&look, &name, &payload).await,
            Verb::Follow { name, number } => show::follow(&look, &name, number.into()).await,
            Verb::Journey { id } => super::print(&show::journey(&look.store, &id).await?),
            Verb::Subscription(verb) => verb.run(&look).await,
        })
    }
}

async fn publish(look: &Look, name: &str, payload: &Payload) -> Result<ExitCode, Error> {
    let message = payload.message(&format!("/topic/{name}"), "message", &look.ids)?;
    let id = message.id.clone();
    let published = look.topics().publish(name, vec![message]).await;
    published.map_err(Error::pattern(format!("publish on topic `{name}`")))?;
    super::print(&format!("{id}\n"))
}
