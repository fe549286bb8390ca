//! `dozen diff`: what another file would change in the gateway, and which streams would end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dozen_gateway::{Diff as Difference, Options, RouteTable, diff};

use crate::Error;
use crate::config::{self, App};
use crate::up::{self, Told};

const HELP: &str = "\
Examples:
  dozen diff dozen.yaml new.yaml
  dozen diff old.yaml new.yaml --json

Only names are printed, no values. Exit codes: 0 nothing changes, 1 something does, 2 one of the files is wrong.";

/// Says what changes when one file takes the place of another, and which streams end.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Diff {
    /// The configuration as it is
    old: PathBuf,
    /// The configuration as it would be
    new: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let mut fixed = old.sections.differing(&new.sections);
        if old.app.gateway.is_some() != new.app.gateway.is_some() {
            fixed.push("gateway".to_owned());
        }
        let mut taken = Vec::new();
        if up::translators::can_change(&old.app, &new.app) {
            let is_taken = |section: &String| ["providers", "translators"].contains(&section.as_str());
            (taken, fixed) = fixed.into_iter().partition(is_taken);
        }
        let difference = diff(&options(&old.app)?, &options(&new.app)?);
        taken.extend((old.app.features != new.app.features).then(|| "features".to_owned()));
        taken.extend((old.app.traces != new.app.traces).then(|| "traces".to_owned()));
        let services = up::moved(&old.app, &new.app);
        let same = difference.is_empty() && services.is_empty() && fixed.is_empty() && taken.is_empty();
        if self.json {
            let mut json = serde_json::to_value(&difference).unwrap_or_default();
            json["services"] = serde_json::to_value(&services).unwrap_or_default();
            json["sections"] = fixed.into();
            json["taken-over"] = taken.into();
            super::print(&format!("{json:#}\n"))?;
        } else {
            super::print(&told(&difference, &services, &fixed, &taken))?;
        }
        Ok(ExitCode::from(u8::from(!same)))
    }
}

fn read(path: &Path) -> Result<config::Loaded, Error> {
    Ok(config::load(path)?)
}

/// What the gateway of a file would be; one without routes where it has none.
fn options(app: &App) -> Result<Options, Error> {
    let options = up::gateway_options(app).unwrap_or_default();
    match RouteTable::compile(&options.routes) {
        Ok(_) => Ok(options),
        Err(error) => Err(Error::Usage(format!("the routes cannot be used: {error}"))),
    }
}

fn told(difference: &Difference, services: &Told, fixed: &[String], taken: &[String]) -> String {
    let mut text = String::new();
    let mut line = |sign: &str, what: &str| text.push_str(&format!("{sign} {what}\n"));
    for section in fixed {
        line("!", &format!("`{section}` differs: dozen has to be restarted"));
    }
    services.removed.iter().for_each(|service| line("-", &format!("service `{service}`")));
    services.added.iter().for_each(|service| line("+", &format!("service `{service}`")));
    services.moved.iter().for_each(|service| line("~", &format!("service `{service}`: at")));
    for section in taken {
        line("~", &format!("`{section}`"));
    }
    for setting in &difference.restart {
        line("!", &format!("`gateway.{setting}` differs: dozen has to be restarted"));
    }
    for setting in &difference.settings {
        line("~", &format!("`gateway.{setting}`"));
    }
    difference.removed.iter().for_each(|route| line("-", route));
    difference.added.iter().for_each(|route| line("+", route));
    for changed in &difference.changed {
        let was = changed.was.as_ref().map(|was| format!(" (was {was})")).unwrap_or_default();
        line("~", &format!("{}{was}: {}", changed.route, changed.keys.join(", ")));
    }
    for closes in &difference.closes {
        let seconds = std::time::Duration::from_millis(closes.grace_ms).as_secs_f64();
        line("x", &format!("streams of {} to `{}` end within {seconds}s", closes.route, closes.service));
    }
    for changed in &difference.services_changed {
        line("~", &format!("service `{}`: {}", changed.service, changed.keys.join(", ")));
    }
    difference
        .services_gained
        .iter()
        .for_each(|service| line("+", &format!("service `{service}` gets requests")));
    difference
        .services_lost
        .iter()
        .for_each(|service| line("-", &format!("service `{service}` gets none any more")));
    if text.is_empty() {
        text.push_str("nothing changes\n");
    }
    text
}
