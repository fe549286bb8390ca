//! Dead letters on a page: with their history, to be sent round again, corrected or discarded by a person.
//!
//! The rows and the buttons belong to one form, so that several can be chosen without a script. What a button says is
//! its `act`: a verb, and `selected`, `all` or a position.

use axum::extract::{Path, State};
use axum::response::Response;
use dozen_core::Timestamp;
use dozen_messaging::{DeadLetter, Selection};
use dozen_store::Failure;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, Shared};
use crate::done::What;
use crate::form::Filled;
use crate::frame::{self, ago, message_link};
use crate::letters::{Act, Letters};
use crate::{Error, format};

/// Dead letters shown.
const LETTERS_MAX: usize = 100;
/// At most acted on by one press of a button.
const ALL_MAX: usize = 10_000;

/// One dead letter.
#[derive(Debug, Serialize)]
pub(crate) struct Letter {
    position: u64,
    id: Option<String>,
    kind: Option<String>,
    key: Option<String>,
    attempts: u32,
    parked: Option<Timestamp>,
    errors: Vec<Failure>,
    /// Whether its content was corrected by hand.
    edited: bool,
}

impl Letter {
    fn of(letter: DeadLetter) -> Self {
        let message = letter.message.as_ref();
        Self {
            position: letter.position,
            id: message.map(|message| message.id.clone()),
            kind: message.map(|message| message.kind.clone()),
            key: message.and_then(|message| message.key().map(str::to_owned)),
            attempts: letter.attempts,
            parked: letter.ended,
            errors: letter.errors,
            edited: letter.edited,
        }
    }
}

/// The oldest dead letters of a queue or a subscription; of one stream where that is named.
pub(crate) async fn of(letters: &Letters, stream: Option<&str>) -> Result<Vec<Letter>, Error> {
    let found = letters.list(&Selection::oldest(LETTERS_MAX)).await?;
    let found = found.into_iter().filter(|letter| stream.is_none_or(|stream| *letter.stream == *stream));
    Ok(found.map(Letter::of).collect())
}

/// `POST /queue/{name}/dead-letters`
pub(crate) async fn of_queue(State(console): Shared, Path(name): Path<String>, form: Filled) -> Response {
    let back = format!("/queue/{}", format::encode(&name));
    let done = act(&console, &form, async || console.letters_of_queue(&name).await).await;
    answer(&console, &back, done)
}

/// `POST /topic/{name}/{subscription}/dead-letters`
pub(crate) async fn of_subscription(
    State(console): Shared,
    Path((topic, name)): Path<(String, String)>,
    form: Filled,
) -> Response {
    let back = format!("/topic/{}", format::encode(&topic));
    let done = act(&console, &form, async || console.letters_of_subscription(&topic, &name).await).await;
    answer(&console, &back, done)
}

fn answer(console: &Console, back: &str, done: Result<(What, u64), Error>) -> Response {
    match done {
        Ok((what, count)) => what.to(back, count),
        Err(error) => frame::failed(console, &error),
    }
}

/// Does what the pressed button says. Whose letters they are is looked up only for a form of our own.
async fn act(
    console: &Console,
    form: &Filled,
    letters: impl AsyncFnOnce() -> Result<Letters, Error>,
) -> Result<(What, u64), Error> {
    form.check(console)?;
    let wrong = || Error::Invalid("the form does not say what to do, or to which dead letters".into());
    let (verb, object) = form.get("act").and_then(|act| act.split_once(' ')).ok_or_else(wrong)?;
    let (act, what) = match verb {
        "redrive" => (Act::Redrive, What::Redrive),
        "discard" => (Act::Discard, What::Discard),
        _ => return Err(wrong()),
    };
    let selection = match object {
        "all" => Selection::oldest(ALL_MAX),
        "selected" => {
            let positions: Result<Vec<u64>, _> = form.all("position").map(str::parse).collect();
            let positions = positions.map_err(|_| wrong())?;
            if positions.is_empty() {
                return Err(Error::Invalid("no dead letter is selected".into()));
            }
            Selection::positions(positions)
        }
        position => Selection::positions([position.parse().map_err(|_| wrong())?]),
    };
    let letters = letters().await?;
    let count = letters.act(act, &selection, None).await?.done;
    tracing::info!(whose = letters.whose(), count, act = what.name(), "dead letters revised by hand");
    Ok((what, count))
}

/// The dead letters with their buttons. `all` is how many there are, which may be more than are shown; `path` is the one
/// of their queue or subscription.
pub(crate) fn section(console: &Console, path: &str, letters: &[Letter], all: u64, now: Timestamp) -> Markup {
    let action = format!("{path}/dead-letters");
    // Several lists may stand on one page.
    let form = format!("letters-{}", format::encode(path).replace('%', "_"));
    html! {
        @if !letters.is_empty() {
            section.dead {
                h2 { "Dead letters" }
                form #(form) action=(action) method="post" {
                    input type="hidden" name="token" value=(console.token);
                }
                div.actions {
                    @if all > letters.len() as u64 { span.muted { "The oldest " (letters.len()) " of " (format::number(all)) ". " } }
                    button form=(form) type="submit" name="act" value="redrive selected" { "Redrive selected" }
                    button form=(form) type="submit" name="act" value="redrive all" { "Redrive all" }
                    details {
                        summary { "Discard…" }
                        button.danger form=(form) type="submit" name="act" value="discard selected" { "Forget those selected" }
                        button.danger form=(form) type="submit" name="act" value="discard all" { "Forget all for good" }
                    }
                }
                div.scroll { table {
                    thead { tr { th {} th { "Message" } th { "Key" } th.n { "Attempts" } th { "Set aside" } th { "What went wrong" } th {} } }
                    tbody {
                        @for letter in letters { (row(letter, &form, &action, now)) }
                    }
                } }
            }
        }
    }
}

fn row(letter: &Letter, form: &str, action: &str, now: Timestamp) -> Markup {
    html! {
        tr {
            td { input type="checkbox" form=(form) name="position" value=(letter.position) aria-label="Select"; }
            td {
                @match &letter.id { Some(id) => (message_link(id)), None => span.muted { "no longer kept" } }
                @if let Some(kind) = &letter.kind { br; span.muted.small { (kind) } }
                @if letter.edited { " " span.tag { "corrected" } }
            }
            td.mono { (letter.key.as_deref().unwrap_or("")) }
            td.n { (letter.attempts) }
            td { @if let Some(parked) = letter.parked { (ago(parked, now)) } }
            td.errors { (history(&letter.errors)) }
            td.actions {
                button form=(form) type="submit" name="act" value={ "redrive " (letter.position) } { "Redrive" }
                " " a.button href={ (action) "/" (letter.position) } { "Edit" }
                " " button.danger form=(form) type="submit" name="act" value={ "discard " (letter.position) } { "Discard" }
            }
        }
    }
}

fn history(errors: &[Failure]) -> Markup {
    html! {
        @match errors.split_last() {
            None => {}
            Some((last, [])) => (last.error),
            Some((last, earlier)) => {
                (last.error)
                details {
                    summary { (format::count(earlier.len() as u64, "earlier error", "earlier errors")) }
                    ol { @for error in earlier { li { (error.error) } } }
                }
            }
        }
    }
}
