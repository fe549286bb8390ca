//! Side by side with real peers: `cargo run --release -p dozen-bench -- foundation [--only NAME] [--rounds N]`.
//!
//! A suite is a list of measurements; a measurement runs us and a peer in alternating rounds on the same cores, and
//! returns figures whose value is the median of the ratios within each round. Machines are noisy: the ratio says
//! something where an absolute does not. `docs/benchmarks.md` is written when every measurement of a suite ran.

mod bar;
mod gateway;
mod idle;
mod journal;
mod redis;

use std::process::ExitCode;

use bar::{Figure, Suite};
use clap::{Parser, Subcommand};

/// What a measurement needs to know, and how it can fail.
pub(crate) struct Context {
    pub(crate) rounds: usize,
}

pub(crate) type Failure = Box<dyn std::error::Error>;
type Measurement = (&'static str, fn(&Context) -> Result<Vec<Figure>, Failure>);

/// The measurements of the suite `foundation`, each under the beginning of its figures' names.
const FOUNDATION: &[Measurement] = &[
    ("foundation.journal", journal::measure),
    ("foundation.gateway", gateway::measure),
    ("foundation.idle", idle::measure),
];

#[derive(Parser)]
#[command(about = "Measures dozen against real peers")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Journal, queue and gateway against SQLite's ceiling, Redis and nginx.
    Foundation {
        /// Only the measurements whose name begins with this, or is the beginning of it.
        #[arg(long)]
        only: Option<String>,
        /// Alternating rounds.
        #[arg(long, default_value_t = 6)]
        rounds: usize,
    },
    /// The gateway alone, as a measurement starts it.
    #[command(hide = true)]
    GatewayUnderTest {
        /// Where it listens.
        listen: std::net::SocketAddr,
        /// The service behind it.
        upstream: std::net::SocketAddr,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Foundation { only, rounds } => {
            run("foundation", FOUNDATION, only.as_deref(), &Context { rounds: rounds.max(1) })
        }
        What::GatewayUnderTest { listen, upstream } => gateway::under_test(listen, upstream),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {}", dozen_core::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(
    name: &str,
    measurements: &[Measurement],
    only: Option<&str>,
    context: &Context,
) -> Result<(), Failure> {
    let mut suite = Suite::new(name, context.rounds);
    let wanted = |name: &str| only.is_none_or(|only| name.starts_with(only) || only.starts_with(name));
    for (name, measure) in measurements {
        if wanted(name) {
            eprintln!("measuring {name}, {} rounds", context.rounds);
            for figure in measure(context)? {
                if only.is_none_or(|only| figure.name.starts_with(only)) {
                    suite.print(figure);
                }
            }
        }
    }
    if only.is_none() {
        suite.write()?;
    }
    Ok(())
}
