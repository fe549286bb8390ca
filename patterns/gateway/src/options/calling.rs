//! TLS towards clients, and how services are called, as they are written.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dozen_dataplane::{
    CertificateFiles, ClientCa, Error, Protocol, Roots, ServicePolicy, Tls, Transport, TransportTls,
};
use serde::{Deserialize, Serialize};

use crate::AcmeOptions;

/// TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsOptions {
    /// At least one, or `acme`; the names in them say for which hosts they are shown, and the first is shown to all
    /// others.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// An authority that gives another one.
    #[serde(default)]
    pub acme: Option<AcmeOptions>,
    /// An address where plain HTTP is answered with the way to here; nowhere without it.
    #[serde(default)]
    pub redirect_from: Option<SocketAddr>,
    /// Who may vouch for clients; without it nobody is asked for a certificate.
    #[serde(default)]
    pub client_ca: Option<ClientCaOptions>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Certificate {
    /// The certificate, and those that lead from it to its CA.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Who may vouch for clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientCaOptions {
    /// The certificates of the CA, in PEM.
    pub file: PathBuf,
    /// Whether a client without a certificate is let in all the same.
    #[serde(default)]
    pub optional: bool,
}

/// How one service is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceOptions {
    /// What is tried, refused, repeated and asked.
    pub policy: ServicePolicy,
    /// Which HTTP it speaks.
    pub protocol: Protocol,
    /// TLS; plain TCP without.
    pub tls: Option<ServiceTls>,
}

/// TLS towards a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceTls {
    /// The CAs that are trusted, in PEM; those of the machine without.
    pub ca: Option<PathBuf>,
    /// What is shown to a service that asks who calls.
    pub certificate: Option<Certificate>,
    /// The name that must be in the service's certificate; the host of its address without.
    pub server_name: Option<String>,
}

impl Certificate {
    fn files(&self) -> CertificateFiles {
        CertificateFiles { chain: self.cert.clone(), key: self.key.clone() }
    }

    fn paths(&self) -> [&Path; 2] {
        [&self.cert, &self.key]
    }
}

impl TlsOptions {
    pub(crate) fn compiled(&self) -> dozen_dataplane::TlsOptions {
        let client_ca = self.client_ca.as_ref();
        let obtained = self.acme.iter().map(AcmeOptions::certificate);
        // One that cannot be used is as good as none: another is asked for.
        let obtained = obtained.filter(|files| files.facts().is_ok());
        dozen_dataplane::TlsOptions {
            certificates: self.certificates.iter().map(Certificate::files).chain(obtained).collect(),
            acme: self.acme.is_some(),
            client_ca: client_ca.map(|ca| ClientCa { file: ca.file.clone(), required: !ca.optional }),
            ..dozen_dataplane::TlsOptions::default()
        }
    }

    /// Reads the files, and says which one cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        self.acme.as_ref().map_or(Ok(()), AcmeOptions::check)?;
        Tls::load(&self.compiled()).map(drop)
    }

    /// The files that it is read from.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let ca = self.client_ca.iter().map(|ca| &*ca.file);
        let named = self.certificates.iter().flat_map(Certificate::paths).chain(ca).map(Path::to_owned);
        named.chain(self.acme.iter().map(|acme| acme.certificate().chain))
    }
}

impl ServiceOptions {
    /// Whether it is called in plain HTTP/1.1, which needs nothing.
    pub(crate) fn is_plain(&self) -> bool {
        self.protocol == Protocol::Http1 && self.tls.is_none()
    }

    /// Reads the files of its TLS, and says which one cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        Transport::new(self.protocol, self.compiled_tls().as_ref()).map(drop)
    }

    pub(crate) fn compiled_tls(&self) -> Option<TransportTls> {
        let tls = self.tls.as_ref()?;
        Some(TransportTls {
            roots: tls.ca.clone().map_or(Roots::Native, Roots::File),
            server_name: tls.server_name.clone(),
            certificate: tls.certificate.as_ref().map(Certificate::files),
        })
    }

    /// The files that its TLS is read from.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let (ca, shown) = self.tls.as_ref().map(|tls| (&tls.ca, &tls.certificate)).unzip();
        let shown = shown.into_iter().flatten().flat_map(Certificate::paths);
        ca.into_iter().flatten().map(PathBuf::as_path).chain(shown)
    }
}
