//! The way to the two systems for what no client waits for: connections of its own, and endpoints of its own, so that what goes
//! wrong here ejects nobody from the service of users. What is spoken on them is what the gateway speaks: the protocol and the
//! TLS of each service, and certificates as they are now.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Ids;
use dozen_dataplane::{Body, Client, Error, ServicePolicy, Upstreams, Want};
use dozen_gateway::Gateway;
use dozen_strangler::compare::Answer;
use dozen_strangler::{Request, Sender, Side, Unsent};

use super::login::Crossing;
use crate::up::registry::Resolve;

/// How long the head of an answer may take; whoever asks has a shorter patience for all of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends to services as they are registered.
pub(super) struct Direct {
    upstreams: Upstreams,
    client: Client,
    ids: Ids,
    /// Knows how services are spoken to. It asks features itself, and so is not kept by them.
    gateway: OnceLock<Weak<Gateway>>,
}

impl Direct {
    pub(super) fn new(resolve: &Resolve, ids: &Ids) -> Self {
        let upstreams = Upstreams::new(resolve.clone(), ServicePolicy::default());
        Self { upstreams, client: Client::new(), ids: ids.clone(), gateway: OnceLock::new() }
    }

    /// Speaks to services as `gateway` does. Once.
    pub(super) fn speak_as(&self, gateway: &Arc<Gateway>) {
        let _ = self.gateway.set(Arc::downgrade(gateway));
    }

    fn client(&self, service: &str) -> Client {
        let gateway = self.gateway.get().and_then(Weak::upgrade);
        self.client.over(gateway.and_then(|gateway| gateway.transport(service)))
    }
}

#[async_trait]
impl Sender for Direct {
    async fn send(&self, service: &str, mut request: Request, body_max: usize) -> Result<Answer, Unsent> {
        // A copy for the other side shows what that side takes as a proof.
        let side =
            request.headers().get("dozen-shadow").and_then(|side| side.to_str().ok()?.parse::<Side>().ok());
        if let (Some(side), Some(crossing)) = (side, request.extensions_mut().remove::<Crossing>()) {
            crossing.show(side, request.headers_mut()).await?;
        }
        let away = |why: String| Unsent::Away(why);
        let upstream = self.upstreams.get(service).ok_or_else(|| away("there is no such service".into()))?;
        let lease = upstream
            .pick(&Want::new(self.ids.random()))
            .map_err(|unavailable| away(unavailable.to_string()))?;
        let answer = self.client(service).send(lease.address(), request.map(Body::from), PATIENCE).await;
        let answer = answer.map_err(|error| {
            upstream.failed(&lease);
            match error {
                Error::TimedOut { .. } => Unsent::TimedOut,
                error => Unsent::Away(dozen_core::chain(&error)),
            }
        })?;
        upstream.heard(&lease);
        let (head, body) = answer.into_parts();
        let body = body.collect(body_max).await;
        match &body {
            Ok(_) | Err(Error::BodyTooLarge { .. }) => upstream.succeeded(&lease),
            Err(_) => upstream.failed(&lease),
        }
        match body {
            Ok(body) => Ok(Answer::from_parts(head, body)),
            Err(Error::BodyTooLarge { .. }) => Err(Unsent::TooLarge(body_max)),
            Err(error) => Err(away(dozen_core::chain(&error))),
        }
    }
}
