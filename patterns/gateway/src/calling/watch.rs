//! Certificates that change on disk while they are in use.
//!
//! The listener and each service are parts of their own: what is wrong with the files of one keeps no other from being
//! renewed. A part whose files have changed is read again as soon as they stay as they are; one that cannot be read keeps
//! what it had, says so, and is tried again after a while, because what is wrong may lie outside of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::{Calling, transport};
use crate::Error;
use crate::options::ServiceOptions;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long until a part that could not be read is tried again, if its files stay the same.
const RETRY: Duration = Duration::from_secs(30);

/// What is renewed by itself: the listener (`None`), or a service.
type Part = Option<String>;

/// What distinguishes two states of some files without reading them.
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// The files of one part, from look to look.
struct Watched {
    /// As they were when they were read last.
    known: Stamps,
    /// As they were at the last look.
    seen: Stamps,
    /// When they are read again although they stay the same.
    retry: Option<Instant>,
}

impl Watched {
    fn new(stamps: &Stamps) -> Self {
        Self { known: stamps.clone(), seen: stamps.clone(), retry: None }
    }

    /// Whether the part is to be read again.
    fn is_due(&mut self, stamps: Stamps, now: Instant) -> bool {
        let is_same_files = stamps.iter().map(|(path, _)| path).eq(self.known.iter().map(|(path, _)| path));
        if !is_same_files {
            // Other files than before: they were read when they were named.
            *self = Self::new(&stamps);
            return false;
        }
        // Twice the same: whoever writes them has finished.
        let is_settled = stamps == self.seen;
        let is_due = is_settled && (stamps != self.known || self.retry.is_some_and(|retry| retry <= now));
        if is_due {
            self.known.clone_from(&stamps);
        }
        self.seen = stamps;
        is_due
    }
}

impl Calling {
    fn stamps(&self) -> BTreeMap<Part, Stamps> {
        let inner = self.inner();
        let own = inner.tls.iter().map(|(tls, _)| (None, tls.files().collect::<Vec<_>>()));
        let of_service = |(name, service): (&String, &ServiceOptions)| {
            (Some(name.clone()), service.files().map(Path::to_owned).collect::<Vec<_>>())
        };
        let parts = own.chain(inner.services.iter().map(of_service)).filter(|(_, files)| !files.is_empty());
        let stamp = |path: PathBuf| {
            let metadata = std::fs::metadata(&path).ok();
            (path, metadata.and_then(|of| Some((of.modified().ok()?, of.len()))))
        };
        parts.map(|(part, files)| (part, files.into_iter().map(stamp).collect())).collect()
    }

    /// Reads the files of one part again. On an error nothing changes.
    fn renew(&self, part: &Part) -> Result<(), Error> {
        let mut inner = self.inner();
        let Some(name) = part else {
            let wrong = |source| Error::Tls { what: "gateway.tls".into(), source };
            return inner
                .tls
                .as_ref()
                .map_or(Ok(()), |(options, tls)| tls.reload(&options.compiled()).map_err(wrong));
        };
        let Some(service) = inner.services.get(name).filter(|service| !service.is_plain()) else {
            return Ok(());
        };
        let renewed = transport(name, service)?;
        inner.transports.insert(name.clone(), renewed);
        self.upstreams.speak(inner.transports.clone());
        Ok(())
    }

    /// Watches the files for ever, and reads those of a part again when they have changed.
    pub(crate) async fn watch(&self) {
        let mut watched: BTreeMap<Part, Watched> =
            self.stamps().iter().map(|(part, stamps)| (part.clone(), Watched::new(stamps))).collect();
        loop {
            sleep(LOOK).await;
            let stamps = self.stamps();
            watched.retain(|part, _| stamps.contains_key(part));
            for (part, stamps) in stamps {
                let of_part = watched.entry(part.clone()).or_insert_with(|| Watched::new(&stamps));
                if !of_part.is_due(stamps, Instant::now()) {
                    continue;
                }
                let renewed = self.renew(&part);
                of_part.retry = renewed.is_err().then(|| Instant::now() + RETRY);
                let what = part.as_deref().unwrap_or("the gateway");
                match renewed {
                    Ok(()) => tracing::info!(of = what, "certificates were read again"),
                    Err(error) => tracing::error!(
                        of = what,
                        "certificates cannot be read again, and those from before stay: {}",
                        dozen_core::chain(&error)
                    ),
                }
            }
        }
    }
}
