//! How a database is reached.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Clock, SystemClock};
use dozen_store::Error;

use crate::tls;

/// How a database is opened.
#[derive(Clone)]
pub struct Options {
    /// Where the server is, and who we are.
    pub(crate) server: tokio_postgres::Config,
    /// The address without its password, for errors.
    pub(crate) location: String,
    /// Whether the way there is secured, and how.
    pub(crate) tls: tls::Settings,
    /// The schema that holds the tables.
    pub(crate) schema: String,
    /// Whether a connection is kept that hears of other processes' commits. Without it this process looks for itself, often
    /// while there is traffic.
    pub(crate) listen: bool,
    /// Connections for queries and transactions, at most.
    pub(crate) pool: usize,
    /// How many positions a segment of a new store holds.
    pub(crate) segment: u64,
    /// Stamps what strangers' transactions have left in the outbox.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Positions in a segment, unless the address says otherwise when the store is made.
const SEGMENT: u64 = 1 << 20;

impl Options {
    /// Reads an address: `postgres://user:password@host:port/database`, with the options of libpq that the driver knows, with
    /// those for TLS (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`), and with `schema=dozen`, `listen=on|off`, `pool=8`, and,
    /// when the store is made, `segment=1048576`. Opens nothing.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Address { url: without_password(address), problem };
        let (base, query) = address.split_once('?').unwrap_or((address, ""));
        let mut options = Self {
            server: tokio_postgres::Config::new(),
            location: without_password(base),
            tls: tls::Settings::default(),
            schema: "dozen".into(),
            listen: true,
            pool: 8,
            segment: SEGMENT,
            clock: Arc::new(SystemClock),
        };
        let mut rest = Vec::new();
        let mut written = tls::Written::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = |least: u64, most: u64| {
                let number = value.parse().ok().filter(|number| (least..=most).contains(number));
                number.ok_or_else(|| {
                    refuse(format!("`{name}` is a number from {least} to {most}, not `{value}`"))
                })
            };
            match (name, value) {
                ("schema", name) if is_plain(name) => options.schema = name.to_owned(),
                ("schema", _) => {
                    let problem = "`schema` has lower-case letters, digits and `_`, and at most 40 of them";
                    return Err(refuse(problem.into()));
                }
                ("listen", "on") => options.listen = true,
                ("listen", "off") => options.listen = false,
                ("listen", _) => return Err(refuse("`listen` is `on` or `off`".into())),
                ("pool", _) => options.pool = usize::try_from(number(2, 1_000)?).unwrap_or(8),
                ("segment", _) => options.segment = number(16, 1 << 30)?,
                _ if written.take(name, value).map_err(refuse)? => {}
                _ => rest.push(pair),
            }
        }
        let server = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        // The driver's words may quote the address, and with it the password.
        options.server = server.parse().map_err(|_| {
            refuse(
                "write it as `postgres://user:password@host:port/database?schema=dozen&listen=on&pool=8`"
                    .into(),
            )
        })?;
        options.tls = written.settle(&mut options.server).map_err(refuse)?;
        options.server.application_name("dozen").connect_timeout(Duration::from_secs(5));
        Ok(options)
    }

    /// With this clock for what strangers' transactions have left in the outbox.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

fn is_plain(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
        && name.len() <= 40
}

/// The address, with nothing of what stands between `//` and `@` but the user, and without its options.
fn without_password(address: &str) -> String {
    let base = address.split('?').next().unwrap_or(address);
    let Some((scheme, rest)) = base.split_once("//") else { return "postgres:…".into() };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}//{user}@{host}")
        }
        None => base.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_everything_and_errors_keep_its_password() {
        let options =
            Options::parse("postgres://me:secret@db:5433/shop?listen=off&schema=s1&pool=3&connect_timeout=2")
                .unwrap();
        assert_eq!((options.schema.as_str(), options.listen, options.pool), ("s1", false, 3));
        assert_eq!(options.location, "postgres://me@db:5433/shop");
        assert_eq!(options.server.get_password(), Some(b"secret".as_slice()));
        for wrong in ["listen=maybe", "schema=A-b", "pool=0", "nonsense=1", "sslmode=allow", "sslcert=secret"]
        {
            let address = format!("postgres://me:secret@db/shop?{wrong}&password=secret");
            let error = Options::parse(&address).map(drop).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
