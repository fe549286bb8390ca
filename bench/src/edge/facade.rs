//! A door in front of an old and a new system, made of the library: what the old one says goes to the client, and the new
//! one is sent the same and compared.
//!
//! It stands in for a gateway with a section `features`, which has the same parts: who answers is decided by [`Feature`],
//! who watches is asked by [`Shadow`], on a thread and with connections of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clap::Args;
use dozen_core::{Ids, SystemClock};
use dozen_dataplane::{Body, Client, Limits, Server};
use dozen_lifecycle::{Ready, Service as _, Stop};
use dozen_strangler::compare::Answer;
use dozen_strangler::{
    Asked, Feature, FeatureOptions, Job, Primary, Request, Sender, Shadow, ShadowOptions, Share, Stage,
    Unsent,
};
use tokio::time::Instant;

use super::comparison;
use crate::Failure;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const BODY_MAX: usize = 1024 * 1024;

/// Where it listens, and what stands behind it.
#[derive(Args)]
pub(crate) struct Facade {
    /// Where it listens.
    listen: SocketAddr,
    /// The old system.
    old: SocketAddr,
    /// The new one.
    new: SocketAddr,
    /// Whether the new one is sent what the old one is.
    #[arg(long)]
    shadows: bool,
}

/// What a request is answered with.
#[derive(Clone)]
struct Door {
    feature: Arc<Feature>,
    shadow: Arc<Shadow>,
    way: Arc<Way>,
    ids: Ids,
}

/// The way to both systems.
struct Way {
    client: Client,
    old: String,
    new: String,
}

impl Facade {
    /// Serves until it is killed.
    pub(super) fn serve(self) -> Result<(), Failure> {
        let Self { listen, old, new, shadows } = self;
        let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
        let way = || Arc::new(Way { client: Client::new(), old: old.to_string(), new: new.to_string() });
        let mut options =
            FeatureOptions { stages: vec![Stage::Compare], ..FeatureOptions::new("old", "new") };
        options.compare = comparison::rules();
        options.compare.sample = if shadows { Share::ALL } else { Share::NONE };
        let feature = Arc::new(Feature::new("orders", options, ids.clock().now())?);
        let shadow = Arc::new(Shadow::new(ShadowOptions::default(), way(), ids.clone()));
        let door = Door { feature, shadow: shadow.clone(), way: way(), ids };
        let limits = Limits { setting: "the facade's address".into(), ..Limits::default() };
        let server = Server::bind(listen, limits)?.serving(tower::service_fn(move |request| {
            let door = door.clone();
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        }));
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (watching, serving) = (runtime()?, runtime()?);
        let watcher =
            std::thread::spawn(move || watching.block_on(shadow.run(Stop::new(), Ready::channel().0)));
        serving.block_on(server.run(Stop::new(), Ready::channel().0))?;
        drop(watcher);
        Ok(())
    }
}

impl Door {
    async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let (head, _) = request.into_parts();
        let (method, uri) = (head.method, head.uri);
        let asked = Asked { key: None, forced: None, method: method.as_str(), random: self.ids.random() };
        let decision = self.feature.decide(&asked);
        let mut request = Request::new(Bytes::new());
        (*request.method_mut(), *request.uri_mut()) = (method, uri);
        let began = Instant::now();
        let answered = self.way.send("old", request.clone(), BODY_MAX).await;
        let Ok(answer) = answered else {
            let mut failed = http::Response::new(Body::empty());
            *failed.status_mut() = http::StatusCode::BAD_GATEWAY;
            return failed;
        };
        if decision.shadow.is_some()
            && let Some(reserved) = self.shadow.reserve(answer.body().len())
        {
            let (feature, took) = (self.feature.clone(), began.elapsed());
            let primary = Primary::Whole(answer.clone());
            self.shadow.offer(Job { feature, decision, request, primary, took, reserved });
        }
        answer.map(Body::from)
    }
}

#[async_trait]
impl Sender for Way {
    async fn send(&self, service: &str, request: Request, body_max: usize) -> Result<Answer, Unsent> {
        let address = if service == "old" { &self.old } else { &self.new };
        let sent = self.client.send(address, request.map(Body::from), PATIENCE).await;
        let (head, body) = sent.map_err(|error| Unsent::Away(error.to_string()))?.into_parts();
        let body = body.collect(body_max).await.map_err(|_| Unsent::TooLarge(body_max))?;
        Ok(Answer::from_parts(head, body))
    }
}
