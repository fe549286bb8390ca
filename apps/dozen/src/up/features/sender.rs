//! The way to the two systems for what no client waits for: over connections of its own, and as the file says that each service
//! is called. A copy takes the places that requests leave, and says nothing of the instances that it finds.

use std::time::Duration;

use async_trait::async_trait;
use dozen_dataplane::{Body, CallError, Caller, Error, Unavailable};
use dozen_strangler::compare::Answer;
use dozen_strangler::{Began, Request, Sender, Side, Unsent};
use tokio::time::Instant;

use super::login::Crossing;

/// How long the head of an answer may take; whoever asks has a shorter patience for all of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends to services as they are registered.
pub(super) struct Direct(Caller);

impl Direct {
    pub(super) fn new(caller: Caller) -> Self {
        Self(caller)
    }
}

#[async_trait]
impl Sender for Direct {
    async fn send(&self, service: &str, mut request: Request, body_max: usize) -> Result<Answer, Unsent> {
        // A copy for the other side shows what that side takes as a proof.
        let side =
            request.headers().get("dozen-shadow").and_then(|side| side.to_str().ok()?.parse::<Side>().ok());
        if let (Some(side), Some(crossing)) = (side, request.extensions_mut().remove::<Crossing>()) {
            let shown = crossing.show(side, request.headers_mut()).await;
            // That a login cannot be found out is no fault of whoever would have been asked with it.
            shown.map_err(|unsent| Unsent::NotAsked(dozen_core::chain(&unsent)))?;
        }
        let asked = Instant::now();
        let answer = self.0.send(service, request.map(Body::from), PATIENCE).await;
        let answer = answer.map_err(unsent)?;
        let (mut head, body) = answer.into_parts();
        head.extensions.insert(Began(asked.elapsed()));
        match body.collect(body_max).await {
            Ok(body) => Ok(Answer::from_parts(head, body)),
            Err(Error::BodyTooLarge { .. }) => Err(Unsent::TooLarge(body_max)),
            Err(error) => Err(Unsent::Away(dozen_core::chain(&error))),
        }
    }
}

fn unsent(error: CallError) -> Unsent {
    match &error {
        // We hold back ourselves; the service has heard of nothing.
        CallError::Unavailable { source: Unavailable::Full | Unavailable::Shed, .. } => {
            Unsent::NotAsked(dozen_core::chain(&error))
        }
        error if error.is_late() => Unsent::TimedOut,
        error => Unsent::Away(dozen_core::chain(error)),
    }
}
