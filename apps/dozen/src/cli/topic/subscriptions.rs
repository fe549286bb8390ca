//! Subscriptions: made, moved, paused, ended, and what they could not handle.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use dozen_console::Letters;
use dozen_messaging::{Broker as _, SubscriptionOptions};

use super::super::args::{Chosen, From, span};
use super::super::letters::{Edit, Minding, Purge, Redrive};
use super::super::look::Look;
use crate::Error;

/// Which subscription.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The topic, or the pattern that stands for its topics
    topic: String,
    /// The subscription
    name: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a durable subscription, or change one
    Subscribe {
        #[command(flatten)]
        which: Which,
        /// Where a new one begins: `latest`, `earliest`, a moment, a span ago, or after a position
        #[arg(long, value_name = "PLACE", default_value = "latest")]
        start: From,
        /// Which messages it wants, in CEL; an empty text is all
        #[arg(long, value_name = "CEL")]
        filter: Option<String>,
        /// How long a receiver may hold a message
        #[arg(long, value_name = "SPAN", value_parser = span)]
        lease: Option<Duration>,
        /// How many messages of one key may be out at a time
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
        per_key: Option<u32>,
    },
    /// End a subscription: its place and its dead letters are forgotten
    Unsubscribe(Which),
    /// Let a subscription hear again of what was published, or skip to another place; no other is touched
    #[command(visible_alias = "seek")]
    Replay {
        #[command(flatten)]
        which: Which,
        /// Where it goes on: `earliest`, `latest`, a moment, a span ago, or after a position
        #[arg(long, value_name = "PLACE")]
        from: From,
    },
    /// Let all receivers of a subscription rest, wherever they run
    Pause(Which),
    /// Let the receivers of a subscription go on
    Resume(Which),
    /// Show what a subscription could not handle, and why
    Dead {
        #[command(flatten)]
        which: Which,
        /// How many
        #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        number: u16,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Hand dead letters of a subscription out again, with their attempts counted anew
    Redrive {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        redrive: Redrive,
    },
    /// Correct a dead letter for this subscription alone; it stays one until it is redriven
    Edit {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        edit: Edit,
    },
    /// Forget dead letters of a subscription for good
    Purge {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        purge: Purge,
    },
}

impl Verb {
    pub(super) async fn run(self, look: &Look) -> Result<ExitCode, Error> {
        let (topics, now) = (look.topics(), look.now());
        let letters = |Which { topic: pattern, name }: Which| Letters::Subscription {
            topics: look.topics(),
            pattern,
            name,
        };
        let failed = |doing: &str, name: &str| Error::pattern(format!("{doing} subscription `{name}`"));
        let text = match self {
            Self::Subscribe { which: Which { topic, name }, start, filter, lease, per_key } => {
                let options = SubscriptionOptions { start: start.start(now), lease, filter, per_key };
                let made = topics.subscription(&topic, &name, options).await;
                made.map_err(failed("make", &name))?;
                format!("{name} is subscribed to {topic}\n")
            }
            Self::Unsubscribe(Which { topic, name }) => {
                let was_there = topics.unsubscribe(&topic, &name).await.map_err(failed("end", &name))?;
                if !was_there {
                    return Err(Error::Usage(format!("there is no subscription `{name}` of `{topic}`")));
                }
                format!("{name} is no longer subscribed to {topic}\n")
            }
            Self::Replay { which: Which { topic, name }, from } => {
                topics.seek(&topic, &name, from.start(now)).await.map_err(failed("move", &name))?;
                format!("{name} goes on from there\n")
            }
            Self::Pause(Which { topic, name }) => {
                topics.pause(&topic, &name, true).await.map_err(failed("pause", &name))?;
                format!("the receivers of {name} rest; what they hold they finish\n")
            }
            Self::Resume(Which { topic, name }) => {
                topics.pause(&topic, &name, false).await.map_err(failed("resume", &name))?;
                format!("the receivers of {name} go on\n")
            }
            Self::Dead { which, number, chosen } => {
                Minding(&letters(which)).show(&chosen.at_most(number.into()), now).await?
            }
            Self::Redrive { which, redrive } => Minding(&letters(which)).redrive(redrive, now).await?,
            Self::Edit { which, edit } => Minding(&letters(which)).edit(edit).await?,
            Self::Purge { which, purge } => Minding(&letters(which)).purge(purge, now).await?,
        };
        super::super::print(&text)
    }
}
