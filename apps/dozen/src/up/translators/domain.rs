//! A translator as one side of a comparison: what a system has answered, in our words.
//!
//! The strangler holds two answers against each other, the anti-corruption layer knows what each of them says; they meet here.

use std::sync::Arc;

use dozen_anticorruption::{Cause, Translators};
use dozen_mapping::{Value, json};
use dozen_strangler::compare::{Answer, Translator};
use http::{HeaderValue, StatusCode, header};

/// The translators of a file, as they are when it is called.
type Now = Arc<dyn Fn() -> Arc<Translators> + Send + Sync>;

/// Finds translators by their names. A reload changes what they do; that the file has them is for its check to say.
pub(crate) fn domain(now: Now) -> dozen_strangler::Translators {
    Arc::new(move |name: &str| {
        let side = Side { name: name.to_owned(), now: now.clone() };
        Some(Arc::new(side) as Arc<dyn Translator>)
    })
}

/// One side of a comparison.
struct Side {
    name: String,
    now: Now,
}

impl Translator for Side {
    /// A problem that the file's rules know is an answer, too: the one that our callers would get.
    fn translate(&self, answer: &Answer) -> Result<Answer, String> {
        let now = (self.now)();
        let translator = now.get(&self.name).ok_or_else(|| format!("`{}` is not there now", self.name))?;
        match translator.read(answer) {
            Ok(value) => Ok(said(answer, StatusCode::OK, &value)),
            Err(problem) if problem.cause == Cause::Known => {
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
                Ok(said(answer, status, &problem.to_value()))
            }
            Err(problem) => Err(problem.to_string()),
        }
    }
}

/// With all headers but the one that says what the body was.
fn said(answer: &Answer, status: StatusCode, value: &Value) -> Answer {
    let mut said = Answer::new(json::write(value).into());
    *said.status_mut() = status;
    said.headers_mut().clone_from(answer.headers());
    said.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    said
}
