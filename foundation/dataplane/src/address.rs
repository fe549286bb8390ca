//! Where somebody is connected to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// `host:port`: what TLS and the `Host` header go by, and the numbers behind it, where those are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) name: Arc<str>,
    /// Without it the name is looked up when a connection is opened.
    pub(crate) socket: Option<SocketAddr>,
}

impl Address {
    /// At `address`, which `host` was looked up to, if it was.
    pub(crate) fn new(address: &str, host: Option<&str>) -> Self {
        Self { name: host.unwrap_or(address).into(), socket: address.parse().ok() }
    }
}

impl From<&str> for Address {
    fn from(address: &str) -> Self {
        Self::new(address, None)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket {
            Some(socket) if self.name.parse() != Ok(socket) => write!(f, "{} ({socket})", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_looked_up_is_told_with_what_it_came_to() {
        assert_eq!(Address::from("10.0.0.1:80").to_string(), "10.0.0.1:80");
        assert_eq!(Address::from("shop.example:80").to_string(), "shop.example:80");
        let looked_up = Address::new("10.0.0.1:80", Some("shop.example:80"));
        assert_eq!(looked_up.to_string(), "shop.example:80 (10.0.0.1:80)");
        assert_eq!(&*looked_up.name, "shop.example:80");
    }
}
