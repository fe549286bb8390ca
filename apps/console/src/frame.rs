//! What stands around every page: head, navigation, search box, style, script.

use axum::response::{Html, IntoResponse, Response};
use dozen_core::Timestamp;
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::console::{Console, random};
use crate::serve::Problem;
use crate::{Error, format};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");

/// The pages in the navigation: path and name.
const PAGES: [(&str, &str); 8] = [
    ("/", "Overview"),
    ("/service", "Services"),
    ("/gateway", "Gateway"),
    ("/feature", "Features"),
    ("/translator", "Translators"),
    ("/queue", "Queues"),
    ("/topic", "Topics"),
    ("/outbox", "Outbox"),
];

/// A page, before it is framed.
pub(crate) struct Page {
    /// What the browser's tab says.
    pub(crate) title: String,
    /// Which page of the navigation it belongs to.
    pub(crate) path: &'static str,
    /// The streams whose numbers it follows: a beginning of their names. `None` follows nothing.
    pub(crate) follows: Option<String>,
    /// Everything below the navigation.
    pub(crate) body: Markup,
}

/// The whole answer.
pub(crate) fn framed(console: &Console, page: Page) -> Response {
    let nonce = match random() {
        Ok(nonce) => nonce,
        Err(error) => return Problem(error).into_response(),
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let app = &console.sources.app;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · " (app) }
                link rel="icon" href="data:,";
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body data-follows=[page.follows.as_deref()] {
                header {
                    a.brand href="/" { strong { (app) } span { "dozen" } }
                    nav {
                        @for (path, name) in PAGES {
                            a href=(path) aria-current=[(path == page.path).then_some("page")] { (name) }
                        }
                    }
                    form.search action="/message" method="get" role="search" {
                        input type="search" name="id" placeholder="Message or trace id" aria-label="Message or trace id"
                            autocomplete="off" spellcheck="false" maxlength="256";
                    }
                }
                main { (page.body) }
                footer {
                    span #live .live { }
                    span { "Times are UTC" }
                }
                @if page.follows.is_some() {
                    script nonce=(nonce) { (PreEscaped(SCRIPT)) }
                }
            }
        }
    };
    let mut response = Html(markup.into_string()).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A page that says what went wrong.
pub(crate) fn failed(console: &Console, error: &Error) -> Response {
    let status = error.status();
    let body = html! {
        h1 { (status.canonical_reason().unwrap_or("Error")) }
        p.lead { (sentence(&error.text())) }
        p { a href="/" { "To the overview" } }
    };
    let page = Page { title: "Error".into(), path: "", follows: None, body };
    let mut response = framed(console, page);
    *response.status_mut() = status;
    response
}

/// A page, or the one that says why not.
pub(crate) fn answer(console: &Console, page: Result<Page, Error>) -> Response {
    match page {
        Ok(page) => framed(console, page),
        Err(error) => failed(console, &error),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A number that the script keeps fresh.
pub(crate) fn live(key: &str, value: u64) -> Markup {
    html! { span data-live=(key) .zero[value == 0] { (format::number(value)) } }
}

/// A part of the page that the script fetches again when something has changed.
pub(crate) fn fresh(name: &str, content: Markup) -> Markup {
    html! { div #(name) data-fresh { (content) } }
}

/// A moment, with how long ago it was.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(format::moment(at)) { (format::age(at, now)) } }
}

/// A moment in full.
pub(crate) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (format::moment(at)) } }
}

/// A link to a message's journey.
pub(crate) fn message_link(id: &str) -> Markup {
    html! { a.id href=(message_href(id)) { (id) } }
}

/// Where a message's journey stands. Ids that a path cannot carry faithfully go as a query.
pub(crate) fn message_href(id: &str) -> String {
    if is_segment(id) { format!("/message/{id}") } else { format!("/message?id={}", format::encode(id)) }
}

/// Whether `text` can stand in a path as it is.
pub(crate) fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && format::encode(text) == text
}

/// What a list without an entry says.
pub(crate) fn nothing(text: &str) -> Markup {
    html! { p.nothing { (text) } }
}

/// What the file says of a queue or topic.
pub(crate) fn settings(settings: &[(String, String)]) -> Markup {
    html! {
        @if !settings.is_empty() {
            p.small { @for (name, value) in settings { span.pair { (name) ": " (value) } " " } }
        }
    }
}
