//! One dead letter, to be corrected.

use axum::extract::{Path, State};
use axum::response::Response;
use dozen_core::Message;
use dozen_messaging::Selection;
use maud::{Markup, html};

use crate::console::{Console, Shared};
use crate::done::What;
use crate::form::Filled;
use crate::frame::{self, Page};
use crate::letters::{Act, Letters};
use crate::{Error, format};

/// The longest payload that can be corrected here.
const DATA_MAX: usize = 256 * 1024;

/// `GET /queue/{name}/dead-letters/{position}`
pub(crate) async fn queue_page(
    State(console): Shared,
    Path((name, position)): Path<(String, u64)>,
) -> Response {
    let back = format!("/queue/{}", format::encode(&name));
    let page = page(&console, "/queue", &back, position, console.letters_of_queue(&name).await).await;
    frame::answer(&console, page)
}

/// `POST /queue/{name}/dead-letters/{position}`
pub(crate) async fn queue_save(
    State(console): Shared,
    Path((name, position)): Path<(String, u64)>,
    form: Filled,
) -> Response {
    let back = format!("/queue/{}", format::encode(&name));
    let saved = save(&console, &form, position, async || console.letters_of_queue(&name).await).await;
    answer(&console, &back, saved)
}

/// `GET /topic/{name}/{subscription}/dead-letters/{position}`
pub(crate) async fn subscription_page(
    State(console): Shared,
    Path((topic, name, position)): Path<(String, String, u64)>,
) -> Response {
    let back = format!("/topic/{}", format::encode(&topic));
    let letters = console.letters_of_subscription(&topic, &name).await;
    let page = page(&console, "/topic", &back, position, letters).await;
    frame::answer(&console, page)
}

/// `POST /topic/{name}/{subscription}/dead-letters/{position}`
pub(crate) async fn subscription_save(
    State(console): Shared,
    Path((topic, name, position)): Path<(String, String, u64)>,
    form: Filled,
) -> Response {
    let back = format!("/topic/{}", format::encode(&topic));
    let letters = async || console.letters_of_subscription(&topic, &name).await;
    let saved = save(&console, &form, position, letters).await;
    answer(&console, &back, saved)
}

fn answer(console: &Console, back: &str, saved: Result<What, Error>) -> Response {
    match saved {
        Ok(what) => what.to(back, 1),
        Err(error) => frame::failed(console, &error),
    }
}

/// The dead letter at `position`, as a message that can be read.
async fn letter(letters: &Letters, position: u64) -> Result<Message, Error> {
    let found = letters.list(&Selection::positions([position])).await?;
    found.into_iter().find_map(|letter| letter.message).ok_or_else(|| Error::Unknown {
        kind: "dead letter",
        name: position.to_string(),
        hint: " here; it was redriven or discarded, or cannot be read",
    })
}

async fn page(
    console: &Console,
    path: &'static str,
    back: &str,
    position: u64,
    letters: Result<Letters, Error>,
) -> Result<Page, Error> {
    let letters = letters?;
    let message = letter(&letters, position).await?;
    let text = match std::str::from_utf8(&message.data) {
        Ok(text) if text.len() <= DATA_MAX => text,
        Ok(_) => {
            return Err(Error::Invalid(format!(
                "its payload is longer than {DATA_MAX} bytes; use the command line"
            )));
        }
        Err(_) => return Err(Error::Invalid("its payload is not text; use the command line".into())),
    };
    Ok(Page {
        title: format!("Dead letter {}", message.id),
        path,
        follows: None,
        body: render(console, back, &letters.whose(), &message, text),
    })
}

fn render(console: &Console, back: &str, whose: &str, message: &Message, text: &str) -> Markup {
    html! {
        p.crumb { "A dead letter of " a href=(back) { (whose) } }
        h1.id { (message.id) }
        form.edit method="post" {
            input type="hidden" name="token" value=(console.token);
            label { "Type " input type="text" name="type" value=(message.kind) required; }
            label { "Subject " input type="text" name="subject" value=(message.subject.as_deref().unwrap_or("")); }
            label { "Media type " input type="text" name="content-type" value=(message.content_type.as_deref().unwrap_or("application/json")); }
            label { "Payload" textarea name="data" rows="16" spellcheck="false" { (text) } }
            p.muted.small {
                "Its id and its key stay. The entry in the journal and other subscriptions keep what was sent."
            }
            div.actions {
                button type="submit" name="act" value="edit" { "Save" }
                button type="submit" name="act" value="redrive" { "Save and redrive" }
            }
        }
    }
}

async fn save(
    console: &Console,
    form: &Filled,
    position: u64,
    letters: impl AsyncFnOnce() -> Result<Letters, Error>,
) -> Result<What, Error> {
    form.check(console)?;
    let letters = letters().await?;
    let mut message = letter(&letters, position).await?;
    message.kind =
        form.filled("type").ok_or_else(|| Error::Invalid("a message needs a type".into()))?.to_owned();
    message.subject = form.filled("subject").map(str::to_owned);
    message.content_type = form.filled("content-type").map(str::to_owned);
    // Browsers send a text area's lines with carriage returns.
    let data = form.get("data").unwrap_or_default().replace("\r\n", "\n");
    if message.is_json()
        && let Err(error) = serde_json::from_str::<serde_json::Value>(&data)
    {
        return Err(Error::Invalid(format!("the payload is not JSON, which its media type says: {error}")));
    }
    message.data = data.into();
    let gone = || Error::Unknown { kind: "dead letter", name: position.to_string(), hint: " here any more" };
    if !letters.edit(position, message).await? {
        return Err(gone());
    }
    tracing::info!(whose = letters.whose(), position, "a dead letter was corrected by hand");
    if form.get("act") == Some("redrive") {
        letters.act(Act::Redrive, &Selection::positions([position]), None).await?;
        return Ok(What::Redrive);
    }
    Ok(What::Edit)
}
