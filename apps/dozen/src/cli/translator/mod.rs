//! `dozen translator`: what there is, what is asked, and how the others have changed.

mod bench;
mod drift;
mod record;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use dozen_anticorruption::Translator as Operation;
use dozen_mapping::{Limits, Value};

use super::args::read;
use super::look::Where;
use crate::Error;
use crate::config::App;

pub(crate) use bench::{one, quiet, run};

const HELP: &str = "\
Examples:
  dozen translator list                                   operations, and who answers them
  dozen translator show article                           how each provider is asked, and how it is guarded
  dozen translator ask article '{\"sku\": \"lamp\"}'          calls it once, live
  dozen translator ask prices @order.xml                  an input in the translator's own format
  dozen translator record article '{\"sku\": \"lamp\"}'       makes an example of a real answer, masked
  dozen translator record article '{\"sku\": \"lamp\"}' --as 'a lamp' --add examples/article.json
  dozen translator drift                                  fields of live answers that differ from the examples
  dozen test                                              plays the examples

`ask` and `record` ask the services at the addresses of the file, its databases and its queues: `dozen up` need not run, but
what is asked has to. `drift` asks the console of a running `dozen up`.

Exit codes: 0 done, 1 it failed, has a problem for a result, or something has drifted, 2 wrong arguments or a wrong file.";

/// Works with translators.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Translator {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the translators, and the providers that they ask
    List,
    /// Say how a translator asks, and how its providers are guarded
    Show {
        /// The translator
        name: String,
    },
    /// Call it once, live, and print the result or the problem
    Ask {
        /// The translator
        name: String,
        /// The input in the translator's format, `@file`, or `-` for the standard input
        input: String,
    },
    /// Call it once, live, and make an example of what was asked and answered; personal data is masked
    Record(record::Record),
    /// List the fields of live answers that are new, missing or of another type
    Drift {
        /// One translator; all without it
        name: Option<String>,
    },
}

impl Translator {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let app = self.place.load()?;
        match self.verb {
            Verb::List => super::print(&show::list(&app)?),
            Verb::Show { name } => super::print(&show::one(&app, &name)?),
            Verb::Ask { name, input } => run(ask(&app, &name, &input)),
            Verb::Record(record) => run(record.run(&app)),
            Verb::Drift { name } => run(drift::told(&app, name.as_deref())),
        }
    }
}

async fn ask(app: &App, name: &str, input: &str) -> Result<ExitCode, Error> {
    let translators = bench::live(app).await?;
    let translator = one(&translators, name)?;
    match translator.call(self::input(translator, input)?).await {
        Ok(output) => {
            let written = translator.output_format().encode(&output);
            let written =
                written.map_err(|error| Error::Usage(format!("the result cannot be written: {error}")))?;
            super::print(&format!("{}\n", String::from_utf8_lossy(&written)))
        }
        Err(problem) => {
            super::print(&format!("{}\n", problem.to_json()))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The input that a user has written.
fn input(translator: &Operation, text: &str) -> Result<Value, Error> {
    let read = translator.input_format().decode(&read(text)?, None, &Limits::default());
    read.map_err(|error| {
        Error::Usage(format!("the input is no {}: {error}", translator.input_format().name()))
    })
}
