//! One try to reach a server, and what its failure means.

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::sync::Arc;

use dozen_core::Mutex;
use rustls::{CertificateError, Error};
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Mode, Settings};

type Inner = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// A connection under TLS.
pub(crate) type Secured = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// How far an attempt came. The driver's errors do not say, and their text is nobody's to read but people's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Calling,
    /// There is a connection, and no word about TLS.
    Reached,
    /// The server has said that it has TLS.
    Agreed,
}

/// One try to reach a server. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Attempt {
    tls: MakeRustlsConnect,
    stage: Arc<Mutex<Stage>>,
}

impl Attempt {
    pub(crate) fn new(tls: &MakeRustlsConnect) -> Self {
        Self { tls: tls.clone(), stage: Arc::new(Mutex::new(Stage::Calling)) }
    }

    fn enter(&self, stage: Stage) {
        *self.stage.lock() = stage;
    }

    fn is_at(&self, stage: Stage) -> bool {
        *self.stage.lock() == stage
    }

    /// Whether it may work without TLS: the handshake failed, or the server does not let us in that way. Not where it knows
    /// us and refuses what we say.
    pub(crate) fn may_do_without(&self, error: &tokio_postgres::Error) -> bool {
        let refused = error.as_db_error().map(|server| server.code().code());
        self.is_at(Stage::Agreed) && refused.is_none_or(|code| code == "28000")
    }

    /// What is wrong with the server's TLS, or with ours, and what to do; `None` where the failure is about something else.
    pub(crate) fn problem(&self, settings: &Settings, error: &tokio_postgres::Error) -> Option<String> {
        let broken = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        if self.is_at(Stage::Reached)
            && settings.mode >= Mode::Require
            && broken.is_none()
            && error.as_db_error().is_none()
        {
            return Some(format!(
                "the server has no TLS, and `sslmode={}` insists on it; turn it on there (`ssl = on`, with a \
                 certificate), or say `sslmode=disable` where nobody else is on the way",
                settings.mode.name()
            ));
        }
        let failure = broken?.get_ref()?.downcast_ref::<Error>()?;
        Some(match failure {
            Error::InvalidCertificate(refused) => refusal(settings, refused),
            Error::AlertReceived(alert) => format!(
                "the server broke off the TLS handshake ({alert:?}); if it asks for a certificate of ours, set `sslcert` \
                 and `sslkey` to one that it trusts"
            ),
            other => format!("the TLS handshake failed: {other}"),
        })
    }
}

/// Why a certificate is refused, and what to do.
fn refusal(settings: &Settings, refused: &CertificateError) -> String {
    use CertificateError as Refused;
    let do_this = match refused {
        Refused::NotValidForName | Refused::NotValidForNameContext { .. } => {
            "reach the server by a name in its certificate, or say `sslmode=verify-ca` if any that this authority \
             signed will do"
        }
        // Two authorities of one name look like one whose signature is wrong.
        Refused::UnknownIssuer | Refused::BadSignature if settings.roots.is_some() => {
            "it was not signed by an authority in `sslrootcert`; set that to the file of the one that signed it"
        }
        Refused::UnknownIssuer | Refused::BadSignature => {
            "no authority that this system trusts has signed it; set `sslrootcert` to the file of the one that did"
        }
        Refused::Expired | Refused::ExpiredContext { .. } => {
            "the server needs a new one; is the clock right?"
        }
        Refused::NotValidYet | Refused::NotValidYetContext { .. } => "is the clock right?",
        _ => "the server needs another one",
    };
    format!("the server's certificate is refused ({refused}): {do_this}")
}

impl MakeTlsConnect<Socket> for Attempt {
    type Stream = Secured;
    type TlsConnect = Handshake;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Infallible> {
        self.enter(Stage::Reached);
        let inner = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, host)?;
        Ok(Handshake { attempt: self.clone(), inner })
    }
}

/// A handshake that begins when the server has said that it has TLS.
pub(crate) struct Handshake {
    attempt: Attempt,
    inner: Inner,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Secured;
    type Error = io::Error;
    type Future = <Inner as TlsConnect<Socket>>::Future;

    fn connect(self, socket: Socket) -> Self::Future {
        self.attempt.enter(Stage::Agreed);
        self.inner.connect(socket)
    }
}
