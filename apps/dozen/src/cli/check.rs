//! `dozen check`: what is wrong with this file.

use std::path::PathBuf;
use std::process::ExitCode;

use dozen_gateway::RouteTable;

use crate::{Error, config, up};

const HELP: &str = "\
Examples:
  dozen check                                  every mistake, with line, column and what to do
  dozen check shop.yaml --expanded             short forms and defaults written out, secrets masked
  dozen check --schema > dozen.schema.json     for your editor";

/// Says what is wrong with a file.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Check {
    /// The configuration
    #[arg(value_name = "FILE", default_value = config::FILE)]
    path: PathBuf,
    /// Print the file with every short form and default written out; secrets are masked
    #[arg(long)]
    expanded: bool,
    /// Print the JSON Schema of the file, for editors; no file is read
    #[arg(long, conflicts_with_all = ["expanded", "path"])]
    schema: bool,
    /// Print docs/configuration.md; no file is read
    #[arg(long, hide = true, conflicts_with_all = ["expanded", "schema", "path"])]
    markdown: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        if self.schema {
            return super::print(&format!("{:#}\n", config::schema()));
        }
        if self.markdown {
            return super::print(&config::markdown());
        }
        let loaded = config::load(&self.path)?;
        if self.expanded {
            return super::print(&loaded.expanded);
        }
        let app = &loaded.app;
        // The gateway has the last word on its routes.
        RouteTable::compile(&up::routes(app)).map_err(Error::pattern("understand the routes"))?;
        let counted = [
            (app.services.len(), "service", "services"),
            (app.gateway.as_ref().map_or(0, |gateway| gateway.routes.len()), "route", "routes"),
            (app.translators.options.providers.len(), "provider", "providers"),
            (app.translators.options.translators.len(), "translator", "translators"),
            (app.queues.len(), "queue", "queues"),
            (app.topics.len(), "topic", "topics"),
            (app.subscriptions.len(), "subscription", "subscriptions"),
            (app.relays.len(), "relay", "relays"),
        ];
        let some = counted.iter().filter(|(count, ..)| *count > 0);
        let parts: Vec<String> = some
            .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
            .collect();
        let parts = if parts.is_empty() { "nothing in it yet".to_owned() } else { parts.join(", ") };
        super::print(&format!("{} is correct: {parts}\n", self.path.display()))
    }
}
