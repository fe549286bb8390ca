//! How services are called, and what their certificates are read from.
//!
//! ```text
//!  Options ──► policies ──────────► Upstreams: the next pick, the next probe
//!         └──► files ──read──► Tls, Transport: the next handshake        files change ──► read again
//! ```
//!
//! Everything is read and judged before anything is taken over, so a bad file leaves in force what was there. What is
//! open stays open: a connection, and so a stream on it, keeps the certificates and the policy that it began with. A
//! service whose options stay the same keeps its `Transport`, and with it its connections.

mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use async_trait::async_trait;
use dozen_core::Mutex;
use dozen_dataplane::{Resolve, ServicePolicy, Tls, Transport, Upstreams};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};

#[cfg(feature = "acme")]
use crate::AcmeOptions;
use crate::acme::Standing;
use crate::options::{ServiceOptions, TlsOptions};
use crate::{Error, Options};

/// How the services of a file are called, and what the gateway's own listener shows. One for each process: whoever calls a
/// service asks its [`Upstreams`], and a gateway that takes over another file changes them for all.
///
/// As a [`Service`] it reads the files of certificates again when they change. A gateway does that itself.
pub struct Calling {
    upstreams: Arc<Upstreams>,
    inner: Mutex<Inner>,
    standing: Standing,
}

#[derive(Default)]
struct Inner {
    tls: Option<(TlsOptions, Arc<Tls>)>,
    services: BTreeMap<String, ServiceOptions>,
    transports: Transports,
}

type Transports = BTreeMap<String, Arc<Transport>>;

/// What was read and can be taken over.
pub(crate) struct Prepared {
    tls: Option<TlsOptions>,
    transports: Transports,
}

impl std::fmt::Debug for Calling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calling").field("upstreams", &self.upstreams).finish_non_exhaustive()
    }
}

#[async_trait]
impl Service for Calling {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        tokio::select! {
            () = stop.soft.cancelled() => Ok(()),
            () = self.watch() => Ok(()),
        }
    }
}

impl Calling {
    /// Services that `resolve` finds: those in `services` are called as it says, and all others by `usual` in plain
    /// HTTP/1.1. Reads the files of their TLS.
    pub fn new(
        resolve: Resolve,
        services: BTreeMap<String, ServiceOptions>,
        usual: ServicePolicy,
    ) -> Result<Arc<Self>, Error> {
        let upstreams = Arc::new(Upstreams::new(resolve, usual.clone()));
        let calling = Self { upstreams, inner: Mutex::default(), standing: Standing::default() };
        let options = Options { services, usual, ..Options::default() };
        calling.adopt(calling.prepare(&options)?, &options, &[], || ())?;
        Ok(Arc::new(calling))
    }

    /// The services, and how they fare.
    pub fn upstreams(&self) -> &Arc<Upstreams> {
        &self.upstreams
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// What the listener speaks, if that is TLS.
    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.inner().tls.as_ref().map(|(_, tls)| tls.clone())
    }

    /// What an authority is asked for, and where it is answered.
    #[cfg(feature = "acme")]
    pub(crate) fn acme(&self) -> Option<(AcmeOptions, Arc<Tls>)> {
        let inner = self.inner();
        let (options, tls) = inner.tls.as_ref()?;
        Some((options.acme.clone()?, tls.clone()))
    }

    /// How it stands with an authority.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether an authority is asked for certificates.
    pub(crate) fn asks(&self) -> bool {
        self.inner().tls.as_ref().is_some_and(|(options, _)| options.acme.is_some())
    }

    /// Reads what `options` name, and says what is wrong with it. Nothing is taken over.
    pub(crate) fn prepare(&self, options: &Options) -> Result<Prepared, Error> {
        let policies = options.services.iter().map(|(name, service)| (name.as_str(), &service.policy));
        for (service, policy) in policies.chain([("", &options.usual)]) {
            policy.check().map_err(|source| Error::Policy { service: service.to_owned(), source })?;
        }
        let inner = self.inner();
        if let Some(tls) = &options.tls {
            tls.check().map_err(|source| Error::Tls { what: "gateway.tls".into(), source })?;
        }
        let mut transports = Transports::new();
        for (name, service) in options.services.iter().filter(|(_, service)| !service.is_plain()) {
            let same =
                |known: &&ServiceOptions| (known.protocol, &known.tls) == (service.protocol, &service.tls);
            let known = inner.services.get(name).filter(same).and_then(|_| inner.transports.get(name));
            let transport = match known {
                Some(transport) => transport.clone(),
                None => transport(name, service)?,
            };
            transports.insert(name.clone(), transport);
        }
        Ok(Prepared { tls: options.tls.clone(), transports })
    }

    /// Takes over what was prepared from `options`; parts with those services of which others take the place, and does
    /// `meanwhile` in the same moment. An error leaves everything as it was.
    pub(crate) fn adopt(
        &self,
        prepared: Prepared,
        options: &Options,
        parted: &[String],
        meanwhile: impl FnOnce(),
    ) -> Result<(), Error> {
        let mut inner = self.inner();
        if let Some(wanted) = prepared.tls {
            let wrong = |source| Error::Tls { what: "gateway.tls".into(), source };
            let tls = match &inner.tls {
                Some((known, tls)) => {
                    if *known != wanted {
                        tls.reload(&wanted.compiled()).map_err(wrong)?;
                    }
                    tls.clone()
                }
                None => Arc::new(Tls::load(&wanted.compiled()).map_err(wrong)?),
            };
            inner.tls = Some((wanted, tls));
        }
        inner.services.clone_from(&options.services);
        inner.transports = prepared.transports;
        let own = options.services.iter().map(|(name, service)| (name.clone(), service.policy.clone()));
        let policies = (options.usual.clone(), own.collect());
        self.upstreams.exchange(policies, inner.transports.clone(), parted, meanwhile);
        // Those that are probed are known from now on, not from their first request on.
        let probed = options.services.iter().filter(|(_, service)| service.policy.health.is_some());
        probed.for_each(|(name, _)| drop(self.upstreams.get(name)));
        Ok(())
    }
}

fn transport(name: &str, service: &ServiceOptions) -> Result<Arc<Transport>, Error> {
    let made = Transport::new(service.protocol, service.compiled_tls().as_ref());
    let what = || format!("services.{name}.tls");
    made.map(Arc::new).map_err(|source| Error::Tls { what: what(), source })
}
