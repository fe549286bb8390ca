//! A translator on a topic or a queue: a message in their model in, one in ours out; or one of ours in, and a call to them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Diagnose, Message, Retry, chain};
use dozen_mapping::{Limits, Value};
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
        let handled = async {
            let output = self.translator.take(&delivery.message).await?;
            let Some(to) = &self.to else { return Ok(()) };
            let made = self.translator.message(&delivery.message, &output, &to.kind)?;
            let published = to.publisher.publish(&to.name, vec![made]).await;
            published.map(drop).map_err(|error| verdict(&error))
        };
        handled.await.err().unwrap_or(Verdict::Done)
    }
}

impl Translator {
    /// What a message is in our model, its data being the input; or what becomes of it.
    pub async fn take(&self, message: &Message) -> Result<Value, Verdict> {
        let kind = message.content_type.as_deref();
        let input = self.input_format().decode(&message.data, kind, &Limits::default());
        let input = input.map_err(|error| Verdict::Poison(format!("the message cannot be read: {error}")))?;
        self.call(input).await.map_err(|problem| verdict(&problem))
    }

    /// A message of the type `kind` with this result, under the id, the ordering key and the trace of the one that it was made
    /// of.
    pub fn message(&self, of: &Message, output: &Value, kind: &str) -> Result<Message, Verdict> {
        let data = self.written(output)?;
        let source = format!("/translators/{}", self.name());
        let mut made = Message::new(of.id.clone(), source, kind);
        made = made.with_data(Some(&self.output_format().content_type()), data);
        if let Some(key) = of.key() {
            made = made.with_key(key);
        }
        if let Some(trace) = of.trace() {
            made = made.with_trace(trace);
        }
        made.subject.clone_from(&of.subject);
        made.time = of.time;
        Ok(made)
    }

    /// A result in the output format.
    pub fn written(&self, output: &Value) -> Result<Vec<u8>, Verdict> {
        let written = self.output_format().encode(output);
        written.map_err(|error| Verdict::Poison(format!("the result cannot be written: {error}")))
    }
}

fn verdict(error: &impl Diagnose) -> Verdict {
    match error.retry() {
        Retry::Never => Verdict::Poison(chain(error)),
        Retry::Later => Verdict::Failed(chain(error)),
        Retry::After(wait) => Verdict::Later(wait),
    }
}
