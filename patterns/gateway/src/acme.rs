//! Certificates from an authority that speaks ACME (RFC 8555).
//!
//! ```text
//!            due? ──no──► look again in a second
//!             │ yes
//!  account ─► order ─► for each name: the listener shows an answer (TLS-ALPN-01) ─► certificate.pem, in one step
//!             │                                                                        │
//!             └── failed: told once, counted, and tried again later                    └─► read again like all files
//! ```
//!
//! A certificate is due when there is none for the names, or two thirds of its life and a little chance are over. It is
//! written to the folder, and the watch of all certificates ([`crate::calling`]) takes it up from there: connections
//! that are open keep what they have. Until then the old one goes on, and without an old one handshakes fail; nothing
//! that happens here ever stops the gateway. A process that begins takes what is in the folder and asks nobody.
//!
//! The folder is its owner's alone (0700). In it are `account.json`, the account and its key, and `certificate.pem`,
//! the chain and its key (both 0600).

#[cfg(feature = "acme")]
mod folder;
#[cfg(feature = "acme")]
mod http;
#[cfg(feature = "acme")]
mod keep;
#[cfg(feature = "acme")]
mod order;
#[cfg(feature = "acme")]
mod schedule;

use std::path::PathBuf;
#[cfg(feature = "acme")]
use std::sync::MutexGuard;

use dozen_core::{Mutex, Timestamp};
use dozen_dataplane::{CertificateFiles, Error};
use serde::{Deserialize, Serialize};

#[cfg(feature = "acme")]
pub(crate) use keep::keep;

/// The names of one certificate: what authorities take at most.
const NAMES_MAX: usize = 100;

/// Certificates that an authority gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AcmeOptions {
    /// The hosts that the certificate is for; no wildcards, which cannot be shown by a connection.
    pub names: Vec<String>,
    /// Where the authority's directory is: an `https://` address. To name it is to agree to its terms.
    pub directory: String,
    /// Whom the authority writes to: `mailto:…`.
    #[serde(default)]
    pub contact: Option<String>,
    /// Who vouches for the authority's own server, in PEM; the CAs of the machine without.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Where the account and the certificate are kept.
    pub folder: PathBuf,
}

impl AcmeOptions {
    /// Says what cannot work, without asking anybody.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::Tls { what });
        if !cfg!(feature = "acme") {
            return wrong(
                "this program is built without `acme`; build it with `--features acme`, or name `certificates`"
                    .into(),
            );
        }
        if self.names.is_empty() || self.names.len() > NAMES_MAX {
            return wrong(format!("`acme.names` holds from 1 to {NAMES_MAX} hosts"));
        }
        if let Some(name) = self.names.iter().find(|name| !is_host(name)) {
            return wrong(format!(
                "`{name}` in `acme.names` is no host such as `shop.example`; wildcards and addresses need \
                 `certificates`"
            ));
        }
        if !self.directory.starts_with("https://") {
            return wrong(format!("`acme.directory` is `{}`, and begins with `https://`", self.directory));
        }
        match &self.contact {
            Some(contact) if !contact.starts_with("mailto:") => {
                wrong(format!("`acme.contact` is `{contact}`; write `mailto:you@example.org`"))
            }
            _ => Ok(()),
        }
    }

    /// The chain and its key: one file, so that they change in one step.
    pub(crate) fn certificate(&self) -> CertificateFiles {
        let file = self.folder.join("certificate.pem");
        CertificateFiles { chain: file.clone(), key: file }
    }
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label) && name.parse::<std::net::IpAddr>().is_err()
}

/// How it stands with the certificate from the authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcmeView {
    /// Until when the one in the folder holds; `None` without one.
    pub until: Option<Timestamp>,
    /// Certificates that were obtained by this process.
    pub obtained: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Why the last attempt failed, and what to do; `None` after one that did not.
    pub problem: Option<String>,
}

/// The view while it changes.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<AcmeView>);

impl Standing {
    #[cfg(feature = "acme")]
    fn change(&self) -> MutexGuard<'_, AcmeView> {
        self.0.lock()
    }

    pub(crate) fn view(&self) -> AcmeView {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_what_a_connection_can_be_asked_for() {
        for good in ["localhost", "shop.example", "a-b.c9.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "*.shop.example", "10.0.0.1", "::1", "a..b", "-a.example", "a b", "shop.example."] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
