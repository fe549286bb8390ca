//! `dozen translator record`: an example of what a real system answers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dozen_anticorruption::Example;

use super::bench;
use crate::Error;
use crate::config::App;

/// Makes an example.
#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// The translator
    name: String,
    /// The input in the translator's format, `@file`, or `-` for the standard input
    input: String,
    /// What the example shows
    #[arg(long = "as", value_name = "TEXT")]
    shows: Option<String>,
    /// Add it to this file, which is made if it is not there; without it the example is printed
    #[arg(long, value_name = "FILE")]
    add: Option<PathBuf>,
}

impl Record {
    pub(super) async fn run(self, app: &App) -> Result<ExitCode, Error> {
        let translators = bench::live(app).await?;
        let translator = bench::one(&translators, &self.name)?;
        let input = super::input(translator, &self.input)?;
        let shows = self.shows.unwrap_or_else(|| format!("{} as it was answered", self.name));
        let recording = translator.record(&shows, input).await;
        for note in &recording.notes {
            eprintln!("note: {note}");
        }
        let Some(path) = self.add else {
            return super::super::print(&Example::write(&[recording.example]));
        };
        let count = add(&path, recording.example)?;
        let path = path.display();
        let named = app.translators.files.get(&self.name).is_some_and(|files| !files.is_empty());
        let hint = if named { "" } else { "; name the file under `examples:` of the translator" };
        super::super::print(&format!("{path} has {count} examples now; read it before you keep it{hint}\n"))
    }
}

/// Adds `example` to the file at `path`, in one step; how many there are then. Of two with one name the new one stays.
fn add(path: &Path, example: Example) -> Result<usize, Error> {
    let shown = path.display();
    let mut all = match std::fs::read_to_string(path) {
        Ok(text) => Example::read(&text).map_err(|error| Error::Usage(format!("{shown}: {error}")))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::system(format!("read {shown}"))(error)),
    };
    all.retain(|known| known.name != example.name);
    all.push(example);
    let beside = path.with_extension("json.new");
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(Example::write(&all).as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(Error::system(format!("write {shown}")))?;
    Ok(all.len())
}
