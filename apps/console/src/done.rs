//! What was done a moment ago, carried over a redirect and said on the next page.

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::format;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    Redrive,
    Discard,
    Edit,
    Pause,
    Resume,
    Move,
    Replay,
    Order,
}

/// What was done, and to how many.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Done {
    done: Option<What>,
    count: u64,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Edit => "edit",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Move => "move",
            Self::Replay => "replay",
            Self::Order => "order",
        }
    }

    /// Back to the page at `path`, which will say it.
    pub(crate) fn to(self, path: &str, count: u64) -> Response {
        Redirect::to(&format!("{path}?done={}&count={count}", self.name())).into_response()
    }
}

impl Done {
    /// Says it.
    pub(crate) fn notice(&self) -> Markup {
        let letters = || format::count(self.count, "dead letter was", "dead letters were");
        let text = match self.done {
            None => return html! {},
            Some(What::Redrive) => format!("{} sent round again.", letters()),
            Some(What::Discard) => format!("{} discarded.", letters()),
            Some(What::Edit) => "The dead letter was corrected. It stays one until it is redriven.".into(),
            Some(What::Pause) => {
                "Paused: what is in hand is finished, and nothing else is handed out.".into()
            }
            Some(What::Resume) => "It goes on.".into(),
            Some(What::Move) => "The subscription goes on from there.".into(),
            Some(What::Order) => "Done, and written down. Every gateway follows within a second.".into(),
            Some(What::Replay) => {
                format!("{} published again.", format::count(self.count, "message was", "messages were"))
            }
        };
        html! { p.notice role="status" { (text) } }
    }
}
