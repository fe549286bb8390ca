//! `dozen service`: which services there are, and whether they answer.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{Error, up};

/// Looks at services.
#[derive(Debug, clap::Args)]
pub(crate) struct Service {
    #[command(flatten)]
    place: super::look::Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the services of a file, and ask each instance whether it is well
    List,
}

impl Service {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Verb::List = self.verb;
        let app = self.place.load()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::system("start the runtime"))?;
        let rows = runtime.block_on(up::table::asked(&app));
        super::print(&format!("{}\n", up::table::render(&rows)))
    }
}
