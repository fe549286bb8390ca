//! A translator on a topic or a queue: a message in their model in, one in ours out; or one of ours in, and a call to them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Diagnose, Message, Retry, chain};
use dozen_mapping::Limits;
use dozen_messaging::{Delivery, Handler, Publisher, Verdict};

use crate::translator::Translator;

/// Where results go.
#[derive(Clone)]
pub struct Destination {
    /// Who publishes them.
    pub publisher: Arc<dyn Publisher>,
    /// The topic or queue.
    pub name: String,
    /// The type of the messages.
    pub kind: String,
}

/// Handles messages with a translator.
///
/// The message's data is the input, in the translator's `input-format`. The result is published under the id, the ordering
/// key and the trace of the message that it was made of, so that a message that is handled twice is the same one twice.
/// What can never be translated is a dead letter at once; what failed because a provider is away is tried again.
#[derive(Clone)]
pub struct Handled {
    translator: Translator,
    to: Option<Destination>,
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled").field("translator", &self.translator).finish_non_exhaustive()
    }
}

impl Handled {
    /// Results go to `to`; without it the call itself is what was wanted.
    pub fn new(translator: Translator, to: Option<Destination>) -> Self {
        Self { translator, to }
    }
}

#[async_trait]
impl Handler for Handled {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let message = &delivery.message;
        let kind = message.content_type.as_deref();
        let input = match self.translator.input_format().decode(&message.data, kind, &Limits::default()) {
            Ok(input) => input,
            Err(error) => return Verdict::Poison(format!("the message cannot be read: {error}")),
        };
        let output = match self.translator.call(input).await {
            Ok(output) => output,
            Err(problem) => return verdict(&problem),
        };
        let Some(to) = &self.to else { return Verdict::Done };
        let format = self.translator.output_format();
        let data = match format.encode(&output) {
            Ok(data) => data,
            Err(error) => return Verdict::Poison(format!("the result cannot be written: {error}")),
        };
        let source = format!("/translators/{}", self.translator.name());
        let mut made = Message::new(message.id.clone(), source, to.kind.clone());
        made = made.with_data(Some(&format.content_type()), data);
        if let Some(key) = message.key() {
            made = made.with_key(key);
        }
        if let Some(trace) = message.trace() {
            made = made.with_trace(trace);
        }
        made.subject.clone_from(&message.subject);
        made.time = message.time;
        match to.publisher.publish(&to.name, vec![made]).await {
            Ok(_) => Verdict::Done,
            Err(error) => verdict(&error),
        }
    }
}

fn verdict(error: &impl Diagnose) -> Verdict {
    match error.retry() {
        Retry::Never => Verdict::Poison(chain(error)),
        Retry::Later => Verdict::Failed(chain(error)),
        Retry::After(wait) => Verdict::Later(wait),
    }
}
