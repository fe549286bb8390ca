//! What an address says of TLS.

use std::path::PathBuf;

use tokio_postgres::config::{Host, SslMode, SslNegotiation};

/// What is asked of a connection, each more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Disable,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Their names in an address.
const MODES: [(&str, Mode); 5] = [
    ("disable", Mode::Disable),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl Mode {
    /// Its name in an address.
    pub(crate) fn name(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| *name)
    }
}

/// What an address says of TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// The file of the authorities that are trusted; without it the system's are.
    pub(super) roots: Option<PathBuf>,
    /// The files of our own certificate and its key.
    pub(super) own: Option<(PathBuf, PathBuf)>,
    /// Whether TLS begins without a question.
    pub(super) direct: bool,
}

/// The options of an address that are about TLS, as they were written.
#[derive(Default)]
pub(crate) struct Written {
    mode: Option<Mode>,
    roots: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Written {
    /// Takes one option. Whether it was one of these, or what is wrong with it, without its value.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let place = match name {
            "sslmode" => {
                let mode = MODES.iter().find(|(known, _)| *known == value).map(|(_, mode)| *mode);
                let known = "`sslmode` is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`";
                self.mode = Some(mode.ok_or(known)?);
                return Ok(true);
            }
            "sslrootcert" => &mut self.roots,
            "sslcert" => &mut self.cert,
            "sslkey" => &mut self.key,
            // The driver's.
            "sslnegotiation" => return Ok(false),
            _ if name.starts_with("ssl") => {
                let known = "`sslmode`, `sslrootcert`, `sslcert`, `sslkey` and `sslnegotiation`";
                return Err(format!("`{name}` cannot be kept here; of TLS there are {known}"));
            }
            _ => return Ok(false),
        };
        let path = decoded(value).filter(|path| !path.is_empty() && !path.contains('\0'));
        *place = Some(path.ok_or_else(|| format!("`{name}` is the path of a file in PEM"))?.into());
        Ok(true)
    }

    /// What they say together, and the server's address with it.
    pub(crate) fn settle(self, server: &mut tokio_postgres::Config) -> Result<Settings, String> {
        let direct = server.get_ssl_negotiation() == SslNegotiation::Direct;
        let sockets = server.get_hosts().iter().filter(|host| !matches!(host, Host::Tcp(_))).count();
        let mode = self.mode.unwrap_or_default();
        if mode >= Mode::Require && sockets > 0 {
            return Err(format!(
                "`sslmode={}` cannot be kept on a unix socket, where there is no TLS; leave it out, as such a socket \
                 does not leave the machine",
                mode.name()
            ));
        }
        if mode < Mode::Require {
            let idle = [("sslrootcert", self.roots.is_some()), ("sslnegotiation=direct", direct)];
            if let Some((name, _)) = idle.iter().find(|(_, is_set)| *is_set) {
                return Err(format!(
                    "`{name}` protects nothing with `sslmode={}`; say `sslmode=verify-full` as well",
                    mode.name()
                ));
            }
        }
        let own = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err("`sslcert` and `sslkey` go together; they may be one file".into()),
        };
        // A host that is known by its number alone is also known by it to TLS.
        if server.get_hosts().is_empty() {
            for number in server.get_hostaddrs().to_vec() {
                server.host(number.to_string());
            }
        }
        server.ssl_mode(match mode {
            Mode::Prefer if sockets == server.get_hosts().len() => SslMode::Disable,
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        Ok(Settings { mode, roots: self.roots, own, direct })
    }
}

/// A value of an address as it was meant; `None` where its percent signs are wrong.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            // A sign would be taken for a number, too.
            let digits = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(server: &str, options: &[(&str, &str)]) -> Result<Settings, String> {
        let mut written = Written::default();
        for (name, value) in options {
            assert!(written.take(name, value)?, "{name} is about TLS");
        }
        written.settle(&mut server.parse().unwrap())
    }

    #[test]
    fn what_an_address_asks_for_is_kept_or_refused() {
        let tcp = "host=db";
        assert_eq!(settle(tcp, &[]).unwrap().mode, Mode::Prefer);
        let settings = settle(tcp, &[("sslmode", "require"), ("sslrootcert", "/a%20b.crt")]).unwrap();
        assert_eq!(settings.mode, Mode::Require);
        assert_eq!(settings.roots, Some("/a b.crt".into()));
        for (server, options, says) in [
            (tcp, &[("sslmode", "allow")] as &[_], "`sslmode` is"),
            (tcp, &[("sslcrl", "/x")], "`sslcrl` cannot be kept"),
            (tcp, &[("sslrootcert", "/x")], "protects nothing with `sslmode=prefer`"),
            (tcp, &[("sslmode", "require"), ("sslkey", "/x")], "go together"),
            (tcp, &[("sslmode", "require"), ("sslkey", "%zz")], "`sslkey` is the path"),
            ("host=/run", &[("sslmode", "require")], "unix socket"),
            ("host=db sslnegotiation=direct", &[], "protects nothing"),
        ] {
            let problem = settle(server, options).map(drop).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn a_unix_socket_is_not_asked_for_tls_and_a_number_is_a_name() {
        let mode = |server: &str| {
            let mut server = server.parse().unwrap();
            Written::default().settle(&mut server).unwrap();
            (server.get_ssl_mode(), server.get_hosts().to_vec())
        };
        assert_eq!(mode("host=/run").0, SslMode::Disable);
        assert_eq!(mode("host=/run,db").0, SslMode::Prefer);
        assert_eq!(mode("hostaddr=10.0.0.1"), (SslMode::Prefer, vec![Host::Tcp("10.0.0.1".into())]));
    }
}
