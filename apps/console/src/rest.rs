//! Pausing, resuming and moving readers.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::console::{Console, Shared};
use crate::done::What;
use crate::form::{Filled, place};
use crate::{Error, format, frame};

/// `POST /queue/{name}/rest`
pub(crate) async fn queue(State(console): Shared, Path(name): Path<String>, form: Filled) -> Response {
    let back = format!("/queue/{}", format::encode(&name));
    let done = async {
        let paused = asked(&console, &form)?;
        console.queue(&name).await?.pause(paused).await?;
        Ok(paused)
    };
    answer(&console, &back, done.await)
}

/// `POST /topic/{name}/{subscription}/rest`
pub(crate) async fn subscription(
    State(console): Shared,
    Path((topic, name)): Path<(String, String)>,
    form: Filled,
) -> Response {
    let back = format!("/topic/{}", format::encode(&topic));
    let done = async {
        let paused = asked(&console, &form)?;
        let pattern = console.pattern_of(&topic, &name).await?;
        console.sources.broker.pause(&pattern, &name, paused).await?;
        Ok(paused)
    };
    answer(&console, &back, done.await)
}

/// `POST /topic/{name}/{subscription}/move`
pub(crate) async fn seek(
    State(console): Shared,
    Path((topic, name)): Path<(String, String)>,
    form: Filled,
) -> Response {
    let moved = async {
        form.check(&console)?;
        let nowhere = || {
            Error::Invalid("say where to: `earliest`, `latest`, a moment, how long ago, or a position".into())
        };
        let start = place(form.filled("place").ok_or_else(nowhere)?, console.now())?;
        let pattern = console.pattern_of(&topic, &name).await?;
        console.sources.broker.seek(&pattern, &name, start).await?;
        tracing::info!(topic, subscription = name, ?start, "a subscription was moved by hand");
        Ok::<_, Error>(())
    };
    match moved.await {
        Ok(()) => What::Move.to(&format!("/topic/{}", format::encode(&topic)), 1),
        Err(error) => frame::failed(&console, &error),
    }
}

/// Whether the form asks to pause.
fn asked(console: &Console, form: &Filled) -> Result<bool, Error> {
    form.check(console)?;
    match form.get("act") {
        Some("pause") => Ok(true),
        Some("resume") => Ok(false),
        _ => Err(Error::Invalid("the form says neither `pause` nor `resume`".into())),
    }
}

fn answer(console: &Console, back: &str, done: Result<bool, Error>) -> Response {
    match done {
        Ok(true) => What::Pause.to(back, 1),
        Ok(false) => What::Resume.to(back, 1),
        Err(error) => frame::failed(console, &error),
    }
}

/// The button that pauses, or lets go on.
pub(crate) fn button(console: &Console, path: &str, paused: bool) -> Markup {
    let (act, label) = if paused { ("resume", "Resume") } else { ("pause", "Pause") };
    html! {
        form action={ (path) "/rest" } method="post" {
            input type="hidden" name="token" value=(console.token);
            button type="submit" name="act" value=(act) { (label) }
        }
    }
}

/// The form that moves a subscription.
pub(crate) fn mover(console: &Console, path: &str) -> Markup {
    html! {
        details {
            summary { "Replay…" }
            form.line action={ (path) "/move" } method="post" {
                input type="hidden" name="token" value=(console.token);
                input type="text" name="place" placeholder="earliest, 2h, 2026-01-31T12:00:00Z, position" aria-label="Where it goes on" required;
                button type="submit" { "Go on from there" }
            }
        }
    }
}
