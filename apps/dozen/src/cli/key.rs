//! `dozen key`: API keys, of which the file has only the hash.

use std::process::ExitCode;

use clap::Subcommand;
use dozen_gateway::auth::ApiKey;

use super::print;
use crate::Error;

/// The noun `key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print a new key, which is for the consumer alone, and its hash for the file
    #[command(after_help = NEW_HELP)]
    New,
}

const NEW_HELP: &str = "\
The key is 256 random bits, and is kept nowhere: what is lost is made anew. Its hash belongs into the file:

  gateway:
    consumers:
      mobile: { key: \"sha256:…\" }";

impl Key {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Verb::New = self.verb;
        let made = ApiKey::generate().map_err(|error| std::io::Error::other(error.to_string()));
        let made = made.map_err(Error::system("ask the system for randomness"))?;
        print(&format!("key   {}\nhash  {}\n", made.key, made.hash))
    }
}
