//! What a registry takes on, and what it accepts as a name, an address and a time to live.

use std::collections::BTreeMap;
use std::time::Duration;

use dozen_core::Endpoint;

use crate::Error;

/// How much a registry holds. Whatever would pass a limit is refused, and what is there stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Services with at least one instance or one watcher.
    pub services_max: usize,
    /// Instances of one service.
    pub instances_max: usize,
    /// Bytes of one instance's metadata, names and values together.
    pub metadata_bytes_max: usize,
    /// HTTP requests that wait for changes at the same time.
    pub watchers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { services_max: 1024, instances_max: 1024, metadata_bytes_max: 8 * 1024, watchers_max: 4096 }
    }
}

/// Shorter would make the registry busy with heartbeats.
const TTL_MIN: Duration = Duration::from_secs(1);
/// Longer would keep the dead among the living.
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes in a service's name, which is a DNS-like label.
const SERVICE_BYTES_MAX: usize = 128;
/// Bytes in an instance's id.
const ID_BYTES_MAX: usize = 256;
/// Bytes in an address: a DNS name and a port.
const ADDRESS_BYTES_MAX: usize = 260;
/// More would starve every other instance.
const WEIGHT_MAX: u32 = 65_535;

fn invalid(what: &str, problem: impl Into<String>) -> Error {
    Error::Invalid { what: what.to_owned(), problem: problem.into() }
}

/// Letters, digits and `.`, `_`, `-`.
pub(crate) fn check_service(name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > SERVICE_BYTES_MAX || !name.bytes().all(fits) {
        return Err(invalid("service", "must be 1 to 128 letters, digits, `.`, `_` or `-`"));
    }
    Ok(())
}

/// Anything printable without spaces: ids are often `host:port` or a UUID.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid("id", "must be 1 to 256 printable ASCII characters without spaces"));
    }
    Ok(())
}

pub(crate) fn check_ttl(ttl: Duration) -> Result<(), Error> {
    if (TTL_MIN..=TTL_MAX).contains(&ttl) {
        return Ok(());
    }
    Err(invalid("ttl", "must be between 1s and 24h"))
}

pub(crate) fn check_endpoint(endpoint: &Endpoint, limits: &Limits) -> Result<(), Error> {
    check_id(&endpoint.id)?;
    check_address(&endpoint.address)?;
    if endpoint.weight > WEIGHT_MAX {
        return Err(invalid("weight", format!("must be {WEIGHT_MAX} at most")));
    }
    if endpoint.zone.as_ref().is_some_and(|zone| zone.len() > SERVICE_BYTES_MAX) {
        return Err(invalid("zone", format!("must be {SERVICE_BYTES_MAX} bytes at most")));
    }
    let bytes = metadata_bytes(&endpoint.metadata);
    if bytes > limits.metadata_bytes_max {
        let most = limits.metadata_bytes_max;
        return Err(invalid(
            "metadata",
            format!("is {bytes} bytes; names and values may be {most} together"),
        ));
    }
    Ok(())
}

/// `host:port`, `[v6]:port`: something that a client can connect to without guessing.
fn check_address(address: &str) -> Result<(), Error> {
    let problem = "must be `host:port`, for example `10.0.0.7:8080`, without a scheme or a path";
    let parts = address.rsplit_once(':').filter(|_| address.len() <= ADDRESS_BYTES_MAX);
    let (host, port) = parts.ok_or_else(|| invalid("address", problem))?;
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match literal {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        }
    };
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_host && is_port { Ok(()) } else { Err(invalid("address", problem)) }
}

fn metadata_bytes(metadata: &BTreeMap<String, String>) -> usize {
    metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for fine in ["127.0.0.1:80", "[::1]:443", "orders.internal:65535", "my_host:1"] {
            assert!(check_address(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            ":80",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+8",
            "http://host:80",
            "h/x:80",
            "::1:80",
            "a b:1",
            "[::1:80",
        ] {
            let error = check_address(wrong).unwrap_err().to_string();
            assert!(error.contains("host:port"), "{wrong}: {error}");
        }
    }
}
