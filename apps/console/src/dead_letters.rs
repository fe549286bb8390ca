//! Dead letters of a reader: shown with their history, sent round again or discarded by a person.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use dozen_core::Timestamp;
use dozen_store::{ClaimState, Failure, Revision};
use http::{HeaderMap, Uri};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::console::{Console, Shared};
use crate::frame::{self, ago, message_link};
use crate::queue::WORKERS;
use crate::{Error, format, guard};

/// Dead letters shown, and at most acted on by one press of a button.
const LETTERS_MAX: usize = 100;

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
}

/// The oldest dead letters of a reader.
pub(crate) async fn of(console: &Console, stream: &Arc<str>, reader: &str) -> Result<Vec<Letter>, Error> {
    let claims = console.journal.claims(stream, &reader.into(), ClaimState::Parked, 0, LETTERS_MAX).await?;
    let letter = |(claim, entry): (dozen_store::ClaimStatus, Option<dozen_store::Entry>)| Letter {
        position: claim.position,
        id: entry.as_ref().map(|entry| entry.record.id.clone()),
        kind: entry.map(|entry| entry.record.kind),
        key: claim.key,
        attempts: claim.attempts,
        parked: claim.ended,
        errors: claim.errors,
    };
    Ok(claims.into_iter().map(letter).collect())
}

/// What a form says.
#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    token: String,
    action: Action,
    /// One letter; without it, the oldest hundred.
    position: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Redrive,
    Discard,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }
}

/// What was done a moment ago, carried over the redirect.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Done {
    done: Option<Action>,
    count: u64,
}

impl Done {
    /// Says it.
    pub(crate) fn notice(&self) -> Markup {
        let verb = match self.done {
            None => return html! {},
            Some(Action::Redrive) => "sent round again",
            Some(Action::Discard) => "discarded",
        };
        html! { p.notice role="status" { (format::count(self.count, "dead letter was", "dead letters were")) " " (verb) "." } }
    }
}

/// `POST /queue/{name}/dead-letters`
pub(crate) async fn of_queue(
    State(console): Shared,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Order>, axum::extract::rejection::FormRejection>,
) -> Response {
    let back = format!("/queue/{}", format::encode(&name));
    let stream = format!("queue/{name}").into();
    act(&console, &stream, WORKERS, &back, &uri, &headers, form).await
}

/// `POST /topic/{name}/{subscription}/dead-letters`
pub(crate) async fn of_subscription(
    State(console): Shared,
    Path((name, subscription)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Order>, axum::extract::rejection::FormRejection>,
) -> Response {
    let back = format!("/topic/{}", format::encode(&name));
    let stream = format!("topic/{name}").into();
    act(&console, &stream, &subscription, &back, &uri, &headers, form).await
}

async fn act(
    console: &Console,
    stream: &Arc<str>,
    reader: &str,
    back: &str,
    uri: &Uri,
    headers: &HeaderMap,
    form: Result<Form<Order>, axum::extract::rejection::FormRejection>,
) -> Response {
    let order = match form {
        Ok(Form(order)) => order,
        Err(error) => return frame::failed(console, &Error::Invalid(error.body_text())),
    };
    match revise(console, stream, reader, uri, headers, &order).await {
        Ok(count) => {
            tracing::info!(%stream, reader, count, action = order.action.name(), "dead letters revised by hand");
            Redirect::to(&format!("{back}?done={}&count={count}", order.action.name())).into_response()
        }
        Err(error) => frame::failed(console, &error),
    }
}

async fn revise(
    console: &Console,
    stream: &Arc<str>,
    reader: &str,
    uri: &Uri,
    headers: &HeaderMap,
    order: &Order,
) -> Result<u64, Error> {
    guard::is_own_page(headers, uri, &order.token, &console.token)?;
    let revision = match order.action {
        Action::Redrive => Revision::Redrive,
        Action::Discard => Revision::Discard,
    };
    let positions: Vec<u64> = order.position.into_iter().collect();
    Ok(console.journal.revise(stream, &reader.into(), positions, LETTERS_MAX, revision).await?)
}

/// The dead letters with their buttons. `all` is how many there are, which may be more than are shown.
pub(crate) fn section(
    console: &Console,
    action: &str,
    letters: &[Letter],
    all: u64,
    now: Timestamp,
) -> Markup {
    html! {
        @if !letters.is_empty() {
            section.dead {
                h2 { "Dead letters" }
                @if letters.len() > 1 { div.actions {
                    @if all > letters.len() as u64 { span.muted { "The oldest " (letters.len()) " of " (format::number(all)) ". " } }
                    (button(console, action, Action::Redrive, None, "Redrive these"))
                    details {
                        summary { "Discard…" }
                        (button(console, action, Action::Discard, None, "Forget these for good"))
                    }
                } }
                div.scroll { table {
                    thead { tr { th { "Message" } th { "Key" } th.n { "Attempts" } th { "Set aside" } th { "What went wrong" } th {} } }
                    tbody {
                        @for letter in letters {
                            tr {
                                td {
                                    @match &letter.id { Some(id) => (message_link(id)), None => span.muted { "no longer kept" } }
                                    @if let Some(kind) = &letter.kind { br; span.muted.small { (kind) } }
                                }
                                td.mono { (letter.key.as_deref().unwrap_or("")) }
                                td.n { (letter.attempts) }
                                td { @if let Some(parked) = letter.parked { (ago(parked, now)) } }
                                td.errors { (history(&letter.errors)) }
                                td.actions {
                                    (button(console, action, Action::Redrive, Some(letter.position), "Redrive"))
                                    (button(console, action, Action::Discard, Some(letter.position), "Discard"))
                                }
                            }
                        }
                    }
                } }
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

fn button(console: &Console, to: &str, action: Action, position: Option<u64>, label: &str) -> Markup {
    html! {
        form action=(to) method="post" {
            input type="hidden" name="token" value=(console.token);
            input type="hidden" name="action" value=(action.name());
            @if let Some(position) = position { input type="hidden" name="position" value=(position); }
            button.danger[action == Action::Discard] type="submit" { (label) }
        }
    }
}
