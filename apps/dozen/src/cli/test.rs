//! `dozen test`: the examples of the translators, played without any system.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dozen_anticorruption::{Report, Translator};

use super::translator::{one, quiet, run};
use crate::{Error, config};

const HELP: &str = "\
Examples:
  dozen test                     the examples of all translators of ./dozen.yaml
  dozen test shop.yaml           of another file
  dozen test article             of one translator
  dozen test shop.yaml article

Nothing is asked and nothing has to run: recorded answers stand in for all providers. Each example says what comes in, what
is asked, what the others answer, and what goes out; docs/anticorruption.md shows one.

Exit codes: 0 all examples hold, 1 one does not, 2 the arguments or the file are wrong.";

/// Plays the examples.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP, override_usage = "dozen test [FILE] [NAME]")]
pub(crate) struct Test {
    /// The configuration (dozen.yaml if it is left out), and one translator if not all are meant
    #[arg(num_args = 0..=2, value_names = ["FILE", "NAME"])]
    what: Vec<String>,
}

impl Test {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let is_file =
            |text: &str| text.ends_with(".yaml") || text.ends_with(".yml") || Path::new(text).is_file();
        let (file, name) = match self.what.as_slice() {
            [] => (config::FILE, None),
            [file] if is_file(file) => (file.as_str(), None),
            [name] => (config::FILE, Some(name)),
            [file, name, ..] => (file.as_str(), Some(name)),
        };
        let app = config::load(&PathBuf::from(file))?.app;
        let translators = quiet(&app)?;
        let chosen: Vec<&Translator> = match name {
            Some(name) => vec![one(&translators, name)?],
            None => translators.iter().map(|(_, translator)| translator).collect(),
        };
        if chosen.is_empty() {
            return super::print(&format!("{file} has no translators, and so no examples\n"));
        }
        let reports = run(async { Ok(played(&chosen).await) })?;
        super::print(&told(&reports))?;
        let holds = reports.iter().all(Report::holds);
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn played(translators: &[&Translator]) -> Vec<Report> {
    let mut reports = Vec::with_capacity(translators.len());
    for translator in translators {
        reports.push(translator.run_examples().await);
    }
    reports
}

fn told(reports: &[Report]) -> String {
    let mut text: String = reports.iter().map(|report| format!("{report}\n")).collect();
    if reports.len() > 1 {
        let cases = || reports.iter().flat_map(|report| &report.cases);
        let failed = cases().filter(|case| !case.mistakes.is_empty()).count();
        text.push_str(&match failed {
            0 => format!("all {} examples hold\n", cases().count()),
            failed => format!("{failed} of {} examples fail\n", cases().count()),
        });
    }
    text
}
