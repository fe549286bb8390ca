//! Dead letters of a queue or a subscription: shown, handed out again, corrected, forgotten.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use dozen_console::{Act, Letters};
use dozen_core::Timestamp;
use dozen_messaging::{DeadLetter, Selection};

use super::args::{Chosen, Payload, rate};
use super::look::{ago, excerpt};
use crate::Error;

/// Dead letters that are acted on between two words of progress.
const STEP: usize = 500;

/// Which are handed out again, and how fast.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Redrive {
    #[command(flatten)]
    chosen: Chosen,
    /// How many a second, at most
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Only say how many are meant
    #[arg(long)]
    dry_run: bool,
}

/// Which is corrected, and what it becomes.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Edit {
    /// The message's id
    #[arg(value_name = "ID")]
    message: String,
    #[command(flatten)]
    payload: Payload,
}

/// Which are forgotten.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Purge {
    /// The dead letters; nothing else can be purged
    #[arg(long, required = true)]
    dead: bool,
    #[command(flatten)]
    chosen: Chosen,
    /// Only say how many are meant
    #[arg(long)]
    dry_run: bool,
}

/// The verbs on them.
pub(crate) struct Minding<'a>(pub(crate) &'a Letters);

impl Minding<'_> {
    /// Those that are chosen, each once, the oldest first.
    async fn chosen(&self, chosen: &Chosen, now: Timestamp) -> Result<Vec<DeadLetter>, Error> {
        let failed = || Error::pattern(format!("look at the dead letters of {}", self.0.whose()));
        let mut letters: Vec<DeadLetter> = Vec::new();
        for selection in chosen.selections(now) {
            let found = self.0.list(&selection).await.map_err(failed())?;
            if let (Some(id), []) = (&selection.id, found.as_slice()) {
                return Err(Error::Usage(format!(
                    "{} has no message `{id}` among its dead letters",
                    self.0.whose()
                )));
            }
            letters.extend(found);
        }
        letters.sort_by_key(|letter| letter.position);
        letters.dedup_by_key(|letter| letter.position);
        letters.truncate(chosen.limit());
        Ok(letters)
    }

    /// Each with its errors.
    pub(crate) async fn show(&self, chosen: &Chosen, now: Timestamp) -> Result<String, Error> {
        let letters = self.chosen(chosen, now).await?;
        if letters.is_empty() {
            return Ok(format!("{} has no dead letters\n", self.0.whose()));
        }
        Ok(letters.iter().map(|letter| shown(letter, now)).collect())
    }

    pub(crate) async fn redrive(
        &self,
        Redrive { chosen, rate, dry_run }: Redrive,
        now: Timestamp,
    ) -> Result<String, Error> {
        self.revise(Act::Redrive, &chosen, rate, dry_run, now).await
    }

    pub(crate) async fn purge(
        &self,
        Purge { chosen, dry_run, .. }: Purge,
        now: Timestamp,
    ) -> Result<String, Error> {
        self.revise(Act::Discard, &chosen, None, dry_run, now).await
    }

    /// Acts on those that are chosen, in steps; says on stderr how far it is when there are many.
    async fn revise(
        &self,
        act: Act,
        chosen: &Chosen,
        rate: Option<f64>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<String, Error> {
        let letters = self.chosen(chosen, now).await?;
        let done = match act {
            Act::Redrive => "handed out again",
            Act::Discard => "forgotten",
        };
        if dry_run {
            return Ok(format!("{} would be {done}\n", letters.len()));
        }
        let doing = match act {
            Act::Redrive => "redrive",
            Act::Discard => "discard",
        };
        // With a rate, about a second's worth at a time, so that the progress moves.
        let step = rate.map_or(STEP, |rate| (rate.ceil() as usize).clamp(1, STEP));
        let mut count = 0;
        let progress = Progress::new(letters.len());
        for some in letters.chunks(step) {
            let positions: Vec<u64> = some.iter().map(|letter| letter.position).collect();
            let revised = self.0.act(act, &Selection::positions(positions), rate).await;
            count +=
                revised.map_err(Error::pattern(format!("{doing} dead letters of {}", self.0.whose())))?.done;
            progress.say(count);
        }
        progress.end();
        Ok(format!("{count} {done}\n"))
    }

    /// Gives the one that is chosen another content.
    pub(crate) async fn edit(&self, Edit { message: id, payload }: Edit) -> Result<String, Error> {
        let chosen = Selection { id: Some(id.clone()), ..Selection::default() };
        let failed = || Error::pattern(format!("edit a dead letter of {}", self.0.whose()));
        let found = self.0.list(&chosen).await.map_err(failed())?;
        let Some((position, message)) =
            found.into_iter().find_map(|letter| Some((letter.position, letter.message?)))
        else {
            return Err(Error::Usage(format!(
                "{} has no message `{id}` among its dead letters",
                self.0.whose()
            )));
        };
        let message = payload.edited(message)?;
        if !self.0.edit(position, message).await.map_err(failed())? {
            return Err(Error::Usage(format!("`{id}` is no dead letter of {} any more", self.0.whose())));
        }
        Ok(format!("{id} is corrected; it stays a dead letter until it is redriven\n"))
    }
}

fn shown(letter: &DeadLetter, now: Timestamp) -> String {
    let (id, kind, data) = match &letter.message {
        Some(message) => (message.id.as_str(), message.kind.as_str(), excerpt(&message.data)),
        None => ("(unreadable)", "", String::new()),
    };
    let ended = letter.ended.map(|ended| format!(", given up {} ago", ago(ended, now))).unwrap_or_default();
    let edited = if letter.edited { ", corrected" } else { "" };
    let mut text = format!("{id}  {kind}  {} attempts{ended}{edited}\n", letter.attempts);
    if let Some(key) = letter.message.as_ref().and_then(|message| message.key()) {
        text.push_str(&format!("  key    {}\n", excerpt(key.as_bytes())));
    }
    text.push_str(&format!("  data   {data}\n"));
    for failure in &letter.errors {
        text.push_str(&format!("  error  {}  {}\n", failure.at, excerpt(failure.error.as_bytes())));
    }
    text
}

/// How far something long is, on stderr; one line where that is a terminal, and nothing for what is short.
struct Progress {
    all: usize,
    terminal: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self { all, terminal: std::io::stderr().is_terminal() }
    }

    fn say(&self, done: u64) {
        if self.all <= STEP && !self.terminal {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        // Whoever closed stderr does not want to know.
        let _ = match self.terminal {
            true => write!(stderr, "\r{done} of {}", self.all).and_then(|()| stderr.flush()),
            false => writeln!(stderr, "{done} of {}", self.all),
        };
    }

    fn end(&self) {
        if self.terminal && self.all > 0 {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
