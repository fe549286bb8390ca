//! `dozen feature`: how far each move has come, why, and what somebody wants done with it.

mod order;
mod removable;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use dozen_strangler::{Registry, RegistryOptions};

use super::look::{Look, Where, known};
use super::translator::quiet;
use crate::Error;
use crate::up::translators::domain;

const HELP: &str = "\
A feature moves from an old service to a new one by stages:

  off ─ shadow ─ compare ─ 1% … 25% … 50% ─ complete ─ retired
        nobody is served   some are         everybody is served by the new side

The file sets the bounds; the stage stands in the store. The gate takes a feature forward when it has proof, and back when
a threshold is broken. People may do either at any time; who and why is written down.

Examples:
  dozen feature list                                     how far everything has come, and what is stale
  dozen feature show checkout                            stage, verdict of the gate, what is left to do
  dozen feature forward checkout --why 'first customers' one stage up
  dozen feature back checkout --why 'wrong totals'       one stage down; it stays there until `thaw`
  dozen feature to checkout 25% --why 'month end is over'
  dozen feature kill checkout --why 'the till is down'   everything to the old side, at once, on every gateway
  dozen feature revive checkout --why 'fixed'            lifts the kill switch; held where it was
  dozen feature thaw checkout --why 'looked at it'       it may go on by itself again
  dozen feature forget checkout --why 'ids are stable'   what was learnt of the old side's noise
  dozen feature settle checkout order-7 --took           that write has happened: feed it to the other side
  dozen feature diff checkout                            the latest answers that differ
  dozen feature journal checkout                         who changed it, when and why
  dozen feature removable                                which lines of the file can go

Exit codes: 0 done, 1 it failed or is not allowed, 2 wrong arguments.";

/// Works with features that move from an old service to a new one.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Feature {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the features, how far they have come, and the paths that no feature takes
    #[command(visible_alias = "progress")]
    List(Printing),
    /// Show one feature: stage, verdict, volume, what is left
    Show {
        /// The feature
        name: String,
        #[command(flatten)]
        printing: Printing,
    },
    /// Take it one stage up
    Forward(order::Ordering),
    /// Take it one stage down, and hold it there
    Back(order::Ordering),
    /// Take it to a stage
    To(order::To),
    /// The kill switch: everything goes to the old side, whatever the stage
    Kill(order::Ordering),
    /// Lift the kill switch; the feature is held where it was
    #[command(visible_alias = "unkill")]
    Revive(order::Ordering),
    /// Let it not go on by itself; a broken threshold still takes it back
    Freeze(order::Ordering),
    /// Let it neither go on nor back by itself
    Pin(order::Ordering),
    /// Let it go on by itself again
    #[command(visible_alias = "resume")]
    Thaw(order::Ordering),
    /// Forget what was learnt of the old side's noise; it is learnt anew
    Forget(order::Ordering),
    /// Say what became of a write of which nobody knows whether it has happened
    Settle(order::Settle),
    /// List who changed it, when and why
    Journal {
        /// The feature
        name: String,
        /// How many changes
        #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        number: u16,
        #[command(flatten)]
        printing: Printing,
    },
    /// Show the latest answers that differ; personal data is described, not shown
    Diff {
        /// The feature
        name: String,
        /// How many comparisons
        #[arg(short, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
        number: u16,
        #[command(flatten)]
        printing: Printing,
    },
    /// Name what can go from the file: retired features, and services that nothing needs any more
    Removable(Printing),
}

/// How it is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Printing {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Feature {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Self { place, verb } = self;
        place.look(async |look| {
            let registry = open(&look).await?;
            let text = match verb {
                Verb::List(printing) => show::list(&look, &registry, printing.json),
                Verb::Show { name, printing } => show::one(&look, &registry, &name, printing.json).await?,
                Verb::Forward(ordering) => ordering.run(&registry, dozen_strangler::Order::Forward).await?,
                Verb::Back(ordering) => ordering.run(&registry, dozen_strangler::Order::Back).await?,
                Verb::To(to) => to.run(&registry).await?,
                Verb::Kill(ordering) => ordering.run(&registry, dozen_strangler::Order::Kill).await?,
                Verb::Revive(ordering) => ordering.run(&registry, dozen_strangler::Order::Revive).await?,
                Verb::Freeze(ordering) => ordering.run(&registry, dozen_strangler::Order::Freeze).await?,
                Verb::Pin(ordering) => ordering.run(&registry, dozen_strangler::Order::Pin).await?,
                Verb::Thaw(ordering) => ordering.run(&registry, dozen_strangler::Order::Thaw).await?,
                Verb::Forget(ordering) => ordering.forget(&registry).await?,
                Verb::Settle(settle) => settle.run(&look, &registry).await?,
                Verb::Journal { name, number, printing } => {
                    show::journal(&registry, &name, number.into(), printing.json).await?
                }
                Verb::Diff { name, number, printing } => {
                    show::differences(&look, &registry, &name, number.into(), printing.json).await?
                }
                Verb::Removable(printing) => removable::removable(&look, &registry, printing.json),
            };
            super::print(&text)
        })
    }
}

/// The features of the file, as the store knows them. Nothing is counted or decided by looking.
async fn open(look: &Look) -> Result<Arc<Registry>, Error> {
    let options = RegistryOptions::new("command", "");
    let translators = Arc::new(quiet(&look.app)?);
    let translators = domain(Arc::new(move || translators.clone()));
    let registry = Registry::translated(look.store.clone(), &look.app.features, options, Some(translators));
    let registry = registry.map_err(Error::pattern("understand the features"))?;
    registry.observe().await.map_err(Error::pattern("look at the features"))?;
    Ok(registry)
}

fn named(registry: &Registry, name: &str) -> Result<Arc<dozen_strangler::Feature>, Error> {
    let features = registry.features();
    let names: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
    known("feature", name, &names)?;
    registry.feature(name).ok_or_else(|| Error::Usage(format!("there is no feature `{name}`")))
}
