//! The systems of others, and what keeps a slow or broken one from taking its callers with it.
//!
//! Each provider has a bulkhead (requests in flight, and a bounded row of those that wait) and a circuit. They are the data
//! plane's own, [`Upstreams`], kept by the provider's name: all translators share them. Where it is asked, and what a service
//! that it is adds of its own, is known to whoever asks it ([`Foreign`]).

use std::fmt;
use std::sync::Arc;

use dozen_core::{Endpoint, EndpointSet, Ids};
use dozen_dataplane::{Resolve, ServicePolicy, ServiceView, Upstreams};
use serde::Serialize;
use tokio::sync::watch;

use crate::foreign::Foreign;
use crate::options::{Options, ProviderOptions};

/// The instance that a guard sees behind which examples answer, and behind which a provider does.
const RECORDED: &str = "recorded:0";
const PROVIDER: &str = "provider:0";

/// One of them.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: Arc<str>,
    /// The service that it is, if it is one.
    pub(crate) service: Arc<str>,
    pub(crate) options: ProviderOptions,
}

/// How a provider stands.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// How it is asked, and within which bounds.
    #[serde(flatten)]
    pub options: ProviderOptions,
    /// Its circuit, its bulkhead, and what they have refused; nothing before it is asked for the first time.
    pub now: Option<ServiceView>,
}

/// All of them.
pub(crate) struct Providers {
    pub(crate) all: Vec<Arc<Provider>>,
    pub(crate) upstreams: Upstreams,
    pub(crate) live: Arc<dyn Foreign>,
    pub(crate) recorded: Arc<dyn Foreign>,
    pub(crate) ids: Ids,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").field("upstreams", &self.upstreams).finish_non_exhaustive()
    }
}

impl Providers {
    pub(crate) fn statuses(&self) -> Vec<ProviderStatus> {
        let known = self.upstreams.all();
        let status = |provider: &Arc<Provider>| ProviderStatus {
            name: provider.name.to_string(),
            options: provider.options.clone(),
            now: known.iter().find(|one| **one.service() == *provider.name).map(|one| one.view()),
        };
        self.all.iter().map(status).collect()
    }

    /// Who answers for this provider.
    pub(crate) fn foreign(&self, provider: &Provider) -> &Arc<dyn Foreign> {
        if provider.options.mock { &self.recorded } else { &self.live }
    }
}

/// The guards of all providers.
pub(crate) fn upstreams(options: &Options) -> Upstreams {
    let providers = options.providers.clone();
    let policies = providers.iter().map(|(name, provider)| (name.clone(), policy(provider))).collect();
    let find: Resolve = Arc::new(move |name: &str| {
        let provider = providers.get(name)?;
        let endpoints = vec![Endpoint::at(if provider.mock { RECORDED } else { PROVIDER })];
        let set = EndpointSet { service: name.to_owned(), version: 1, endpoints };
        // Without its sender the set stays as it is, which is what is wanted.
        Some(watch::channel(Arc::new(set)).1)
    });
    let upstreams = Upstreams::new(find, ServicePolicy::default());
    upstreams.configure_all(ServicePolicy::default(), policies);
    upstreams
}

/// How a provider is called.
pub(crate) fn policy(options: &ProviderOptions) -> ServicePolicy {
    ServicePolicy {
        in_flight_max: Some(options.in_flight_max),
        pending_max: options.pending_max,
        breaker: Some(options.circuit),
        ..ServicePolicy::default()
    }
}
