//! Dead letters: looked at page by page, handed out again, forgotten, corrected.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use dozen_messaging::{DeadLetter, DeadLetters, Selection};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Moment, Problem, view};

/// Dead letters in one answer.
const LIMIT_MAX: usize = 1_000;
/// How long one request hands out again at the rate that it asks for.
const REDRIVE_MAX: Duration = Duration::from_secs(300);

/// The query of a look at dead letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookAtDead {
    limit: Option<usize>,
    #[serde(default)]
    after: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
    key: Option<String>,
    error: Option<String>,
}

impl LookAtDead {
    /// Answers with a page of `dead`, by position whatever reader they are of.
    pub async fn answer(self, dead: &DeadLetters) -> Result<Response, Problem> {
        let limit = self.limit.unwrap_or(100);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let why = format!("`limit` is {limit}; it must be 1 to {LIMIT_MAX}");
            return Err(Problem::invalid("query limit", why));
        }
        let selection = Selection {
            after: self.after,
            kind: self.kind,
            key: self.key,
            error: self.error,
            limit: Some(limit + 1),
            ..Selection::default()
        };
        let mut letters = Vec::new();
        for dead in dead.each() {
            letters.extend(dead.list(&selection).await?);
        }
        letters.sort_by_key(|letter| letter.position);
        let more = letters.len() > limit;
        letters.truncate(limit);
        let next = letters.last().filter(|_| more).map(|letter| letter.position);
        let dead: Vec<Value> = letters.iter().map(letter).collect();
        Ok(Json(json!({ "dead": dead, "next": next })).into_response())
    }
}

fn letter(letter: &DeadLetter) -> Value {
    json!({
        "position": letter.position,
        "attempts": letter.attempts,
        "ended": letter.ended.map(|moment| moment.to_string()),
        "errors": view::failures(&letter.errors),
        "edited": letter.edited,
        "message": letter.message.as_ref().map(view::message),
    })
}

/// A body that says which dead letters are meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SelectDead {
    #[serde(default)]
    positions: Vec<u64>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    key: Option<String>,
    error: Option<String>,
    before: Option<Moment>,
    limit: Option<usize>,
    per_second: Option<f64>,
    #[serde(default)]
    dry_run: bool,
}

impl SelectDead {
    fn selection(&self) -> Result<Selection, Problem> {
        if self.limit == Some(0) {
            return Err(Problem::invalid("limit", "`limit` must be 1 or more"));
        }
        if self.positions.len() > LIMIT_MAX {
            return Err(Problem::invalid(
                "positions",
                format!("at most {LIMIT_MAX} positions in one request"),
            ));
        }
        Ok(Selection {
            positions: self.positions.clone(),
            id: self.id.clone(),
            kind: self.kind.clone(),
            key: self.key.clone(),
            error: self.error.clone(),
            before: self.before.map(|Moment(moment)| moment),
            limit: self.limit,
            ..Selection::default()
        })
    }

    /// Hands them out again, as many as the rate allows in five minutes.
    pub async fn redrive(self, dead: &DeadLetters) -> Result<Response, Problem> {
        let mut selection = self.selection()?;
        let Some(per_second) = self.per_second else {
            let done = if self.dry_run {
                dead.dry_run(&selection).await
            } else {
                dead.redrive(&selection, None).await
            }?;
            return Ok(told(done.matched, done.done));
        };
        if !(per_second > 0.0 && per_second.is_finite()) {
            return Err(Problem::invalid("per-second", "`per-second` must be more than 0"));
        }
        let matched = dead.dry_run(&selection).await?.matched;
        if self.dry_run {
            return Ok(told(matched, 0));
        }
        let fits = (per_second * REDRIVE_MAX.as_secs_f64()).ceil();
        // Beyond what is there anyway, the number does not matter.
        let fits = if fits < matched as f64 { fits as usize } else { usize::MAX };
        selection.limit = Some(selection.limit.unwrap_or(usize::MAX).min(fits));
        Ok(told(matched, dead.redrive(&selection, Some(per_second)).await?.done))
    }

    /// Forgets them.
    pub async fn purge(self, dead: &DeadLetters) -> Result<Response, Problem> {
        let selection = self.selection()?;
        if self.per_second.is_some() {
            return Err(Problem::invalid("per-second", "forgetting has no rate"));
        }
        let done =
            if self.dry_run { dead.dry_run(&selection).await } else { dead.discard(&selection).await }?;
        Ok(told(done.matched, done.done))
    }
}

fn told(matched: u64, done: u64) -> Response {
    Json(json!({ "matched": matched, "done": done })).into_response()
}

/// Answers a correction of the dead letter at `position`, which was there or not.
pub fn edited(position: u64, was_there: bool) -> Result<Response, Problem> {
    match was_there {
        true => Ok(Json(json!({ "position": position, "edited": true })).into_response()),
        false => Err(Problem {
            help: "look up the positions with GET …/dead; it may have been redriven or purged".into(),
            ..Problem::unknown("dead letter", &position.to_string(), &[])
        }),
    }
}
