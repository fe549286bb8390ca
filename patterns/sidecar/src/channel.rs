//! Calls to the sidecar's own app, and whether it is there.
//!
//! ```text
//!            it answered                       a connection failed
//!   away ───────────────────► here ────────────────────────────────► away
//!    └─ asked again with back-off, and at once when somebody says that it started
//! ```

use std::time::Duration;

use bytes::Bytes;
use dozen_core::chain;
use dozen_dataplane::{Body, Caller, Client, Error};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use tokio::sync::{Notify, watch};

use crate::{Options, Secret};

/// What is read of an app's answer; the rest would say no more.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The way to the app.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) address: String,
    app_id: String,
    caller: Caller,
    token: Option<Secret>,
    here: watch::Sender<bool>,
    /// What the app subscribes to should be read, again.
    pub(crate) nudge: Notify,
}

/// Why the app gave no answer.
pub(crate) enum Silence {
    /// It does not listen: it has not started, or it restarts.
    Away(String),
    /// Anything else; the app may have seen the call.
    Failed(String),
}

impl Silence {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Away(why) | Self::Failed(why) => why,
        }
    }
}

impl Channel {
    pub(crate) fn new(address: String, caller: Caller, options: &Options) -> Self {
        let (here, app_id, token) =
            (watch::Sender::new(false), options.app_id.clone(), options.app_token.clone());
        Self { address, app_id, caller, token, here, nudge: Notify::new() }
    }

    /// What speaks to the app as it wants to be spoken to.
    pub(crate) fn client(&self) -> Client {
        self.caller.client(&self.app_id)
    }

    /// One call, its answer read whole.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &Uri,
        headers: HeaderMap,
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<(StatusCode, Bytes), Silence> {
        let mut request = Request::new(if body.is_empty() { Body::empty() } else { Body::from(body) });
        *request.method_mut() = method;
        *request.uri_mut() = path.clone();
        *request.headers_mut() = headers;
        let token = self.token.as_ref().and_then(|token| HeaderValue::from_str(token.reveal()).ok());
        if let Some(mut token) = token {
            token.set_sensitive(true);
            request.headers_mut().insert("dapr-api-token", token);
        }
        let exchange = async {
            let response = self.client().send(&self.address, request, deadline).await?;
            let status = response.status();
            Ok((status, response.into_body().collect(ANSWER_BYTES_MAX).await?))
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error @ Error::Connect { .. })) => Err(Silence::Away(chain(&error))),
            Ok(Err(error)) => Err(Silence::Failed(chain(&error))),
            Err(_) => Err(Silence::Failed(format!("the app did not answer within {deadline:?}"))),
        }
    }

    /// Whether the app has answered and not been missed since.
    pub(crate) fn is_here(&self) -> bool {
        *self.here.borrow()
    }

    pub(crate) fn found(&self) {
        self.here.send_replace(true);
    }

    /// A connection failed: the app is asked again what it wants when it is back.
    pub(crate) fn lost(&self) {
        if self.here.send_replace(false) {
            tracing::info!(app = self.address, "the app is away; its events wait for it");
        }
        self.nudge.notify_one();
    }

    pub(crate) async fn until_here(&self) {
        // The sender stands beside us, so it cannot be gone.
        let _ = self.here.subscribe().wait_for(|here| *here).await;
    }
}
