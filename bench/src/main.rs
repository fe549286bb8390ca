//! Side by side with real peers: `cargo run --release -p dozen-bench -- SUITE [--only NAME] [--rounds N]`.
//!
//! A suite is a list of measurements; a measurement runs us and a peer in alternating rounds on the same cores, and
//! returns figures whose value is the median of the ratios within each round. Machines are noisy: the ratio says
//! something where an absolute does not. `docs/benchmarks.md` is written when every measurement of a suite ran.

mod bar;
mod edge;
mod idle;
mod journal;
mod messages;
mod open;
mod process;
mod redis;

use std::process::ExitCode;
use std::time::Duration;

use bar::{Measured, Suite};
use clap::{Args, Parser, Subcommand};

/// What a measurement needs to know.
pub(crate) struct Context {
    /// Alternating rounds.
    pub(crate) rounds: usize,
    /// How long one sample lasts, where a suite says that it can be chosen.
    pub(crate) length: Duration,
    only: Option<String>,
    peers: Vec<String>,
}

impl Context {
    /// Whether figures whose names begin with `name` are asked for.
    pub(crate) fn is_wanted(&self, name: &str) -> bool {
        // What is asked for may be longer; then `name` must be whole words of it, as 1 caller is not the beginning of 16.
        let is_within =
            |only: &str| only.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        self.only.as_deref().is_none_or(|only| name.starts_with(only) || is_within(only))
    }

    /// Whether this one is to take part.
    pub(crate) fn is_peer_wanted(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|peer| peer == name)
    }

    /// Whether all of a suite is asked for, as its users get it.
    fn is_whole(&self) -> bool {
        self.only.is_none() && self.peers.is_empty()
    }
}

/// How a measurement fails.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
type Measurement = (&'static str, fn(&Context) -> Result<Measured, Failure>);

/// The measurements of the suite `foundation`, each under the beginning of its figures' names.
const FOUNDATION: &[Measurement] =
    &[("foundation.journal", journal::measure), ("foundation.idle", idle::measure)];

/// Those of the suite `messages`.
const MESSAGES: &[Measurement] = &[
    ("messages.fan-out", messages::measure_fanout),
    ("messages.catch-up", messages::measure_catch_up),
    ("messages.on-postgres", messages::measure_on_postgres),
    ("messages.outbox", messages::measure_outbox),
    ("messages", messages::measure),
];

#[derive(Parser)]
#[command(about = "Measures dozen against real peers")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// What to measure, and how thoroughly.
#[derive(Args)]
struct Scope {
    /// Only the figures whose name begins with this.
    #[arg(long)]
    only: Option<String>,
    /// Alternating rounds.
    #[arg(long)]
    rounds: Option<usize>,
}

impl Scope {
    fn context(self, rounds: usize) -> Context {
        let rounds = self.rounds.unwrap_or(rounds).max(1);
        Context { rounds, length: Duration::ZERO, only: self.only, peers: Vec::new() }
    }
}

#[derive(Subcommand)]
enum What {
    /// Journal and queue against SQLite's ceiling and Redis, and what an idle application costs.
    Foundation {
        #[command(flatten)]
        scope: Scope,
    },
    /// Durable messages against Redis Streams, RabbitMQ and NATS JetStream, and the fan-out of one event.
    Messages {
        #[command(flatten)]
        scope: Scope,
        /// How long each sample lasts.
        #[arg(long, default_value_t = 0.8)]
        seconds: f64,
        /// Only this peer; may be given several times.
        #[arg(long)]
        peer: Vec<String>,
    },
    /// The gateway against nginx, HAProxy and Envoy, and what is done at the edge beside forwarding.
    Edge {
        #[command(flatten)]
        scope: Scope,
        /// Only this peer beside ours; may be given several times.
        #[arg(long)]
        peer: Vec<String>,
    },
    /// A part of the suite `edge`, as a measurement starts it.
    #[command(hide = true)]
    Part {
        #[command(subcommand)]
        part: edge::Part,
    },
    /// The fan-out alone, as a measurement starts it.
    #[command(hide = true)]
    FanOutUnderTest {
        /// The store's address.
        address: String,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Foundation { scope } => run("foundation", FOUNDATION, &scope.context(6)),
        What::Messages { scope, seconds, peer } => {
            let length = Duration::from_secs_f64(seconds.clamp(0.1, 60.0));
            run("messages", MESSAGES, &Context { length, peers: peer, ..scope.context(5) })
        }
        What::Edge { scope, peer } => {
            run("edge", edge::MEASUREMENTS, &Context { peers: peer, ..scope.context(5) })
        }
        What::Part { part } => part.run(),
        What::FanOutUnderTest { address } => messages::fanout_under_test(&address),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {}", dozen_core::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, measurements: &[Measurement], context: &Context) -> Result<(), Failure> {
    let mut suite = Suite::new(name, context.rounds);
    for (name, measure) in measurements {
        if context.is_wanted(name) {
            eprintln!("measuring {name}, {} rounds", context.rounds);
            let measured = measure(context)?;
            for figure in measured.figures {
                if context.only.as_ref().is_none_or(|only| figure.name.starts_with(only)) {
                    suite.print(figure);
                }
            }
            suite.add_tables(&measured.tables);
        }
    }
    if context.is_whole() {
        suite.write()?;
    }
    Ok(())
}
