//! `dozen queue send` and `status`: a message on its way, and what became of it.

use std::process::ExitCode;
use std::time::Duration;

use dozen_queue::{Completion, Sending, Sent, Step, name_of};

use super::super::args::{Moment, Payload, span};
use super::super::look::{Look, excerpt};
use crate::Error;

/// Sends one message.
#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// The queue
    name: String,
    #[command(flatten)]
    payload: Payload,
    /// Hand it out at this moment, or so long from now: `2026-01-31T12:00:00Z`, `10m`
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,
    /// Before all of lower priority; 0 is the lowest
    #[arg(long, default_value_t = 0)]
    priority: u8,
    /// Drop it when nobody has been handed it by this moment, or so long from now
    #[arg(long, value_name = "MOMENT")]
    expires: Option<Moment>,
    /// Send it only if nothing was sent under this name lately
    #[arg(long, value_name = "NAME")]
    unique: Option<String>,
    /// How long the name stays taken
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span, requires = "unique")]
    unique_for: Duration,
    /// Wait until it is handled, so long at most, and print the handler's reply
    #[arg(long, value_name = "SPAN", value_parser = span)]
    wait: Option<Duration>,
}

impl Send {
    pub(super) async fn run(self, look: &Look) -> Result<ExitCode, Error> {
        let queue = look.queue(&self.name).await?;
        let now = look.now();
        let message = self.payload.message(&format!("/queue/{}", self.name), "message", &look.ids)?;
        let id = message.id.clone();
        let sending = Sending {
            due: self.at.map(|at| at.future(now)),
            priority: self.priority,
            expires: self.expires.map(|expires| expires.future(now)),
            unique: self.unique.map(|name| (name, self.unique_for)),
        };
        let sent = queue.send_with(vec![message], sending).await;
        let id = match sent.map_err(Error::pattern(format!("send to queue `{}`", self.name)))? {
            Sent::New(_) => id,
            Sent::Duplicate { of } => {
                eprintln!("nothing was sent: that name is taken by this message");
                of
            }
        };
        let Some(wait) = self.wait else { return super::super::print(&format!("{id}\n")) };
        eprintln!("{id}");
        told(look, &id, wait, false).await
    }
}

/// Says what became of a message.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// The message's id
    id: String,
    /// Wait until it is handled, dropped or given up, so long at most
    #[arg(long, value_name = "SPAN", value_parser = span)]
    wait: Option<Duration>,
}

impl Status {
    pub(super) async fn run(self, look: &Look) -> Result<ExitCode, Error> {
        told(look, &self.id, self.wait.unwrap_or_default(), true).await
    }
}

/// Prints how the message ended, and its reply. The exit code is 0 when it was handled, or when it was only to be looked at.
async fn told(look: &Look, id: &str, wait: Duration, in_full: bool) -> Result<ExitCode, Error> {
    let unknown = || {
        Error::Usage(format!("no queue knows the message `{id}`; it was never sent, or is kept no longer"))
    };
    let found = look.store.journal().find(id).await.map_err(Error::pattern("look for the message"))?;
    let name = found.iter().find_map(|sighting| name_of(&sighting.stream)).ok_or_else(unknown)?;
    let queue = look.queue(name).await?;
    let completion =
        queue.completion(id, wait).await.map_err(Error::pattern(format!("look into queue `{name}`")))?;
    let Completion { status, reply } = completion.ok_or_else(unknown)?;
    let step = match status.step {
        Step::Queued => "not handed out yet",
        Step::Working => "in a worker's hands",
        Step::Waiting => "waiting for its moment or its next attempt",
        Step::Held => "held behind another message of its key",
        Step::Done => "done",
        Step::Dead => "given up: a dead letter",
        Step::Dropped => "dropped on purpose",
    };
    let mut text = String::new();
    if in_full {
        text.push_str(&format!(
            "queue     {name}\nstate     {step}\nsent      {}\nattempts  {}\n",
            status.sent, status.attempts
        ));
        let moments = [("handed", status.handed_out), ("ended", status.ended)];
        for (what, moment) in moments {
            text.extend(moment.map(|moment| format!("{what:9} {moment}\n")));
        }
        for failure in &status.errors {
            text.push_str(&format!("error     {}  {}\n", failure.at, excerpt(failure.error.as_bytes())));
        }
        text.extend(reply.map(|reply| format!("reply     {}\n", excerpt(&reply))));
    } else {
        match reply {
            Some(reply) => text.push_str(&format!("{}\n", String::from_utf8_lossy(&reply))),
            None => text.push_str(&format!("{step}\n")),
        }
    }
    super::super::print(&text)?;
    let waited = wait > Duration::ZERO;
    Ok(if waited && status.step != Step::Done { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
