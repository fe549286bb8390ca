//! Addresses that belong together.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One address, or all that begin alike: `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Reads one; or says what is wrong, in words that go on behind the text itself.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let wrong = "is neither an address such as `10.0.0.7` nor a network such as `10.0.0.0/8`";
        let network: IpNet = text.parse().map_err(|_| wrong.to_owned())?;
        if network.trunc() != network {
            return Err(format!("names one address and a network; write `{}`", network.trunc()));
        }
        Ok(Self(network))
    }

    /// Whether the address is one of them. An address of version 4 is the same however it is written.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Whether one of them contains the address.
pub(crate) fn any(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|reason| format!("`{text}` {reason}"))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_network_are_read_and_written_alike() {
        let check = |text: &str, inside: &str, outside: &str| {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), text);
            let has = |address: &str| network.contains(address.parse().unwrap());
            assert!(has(inside) && !has(outside), "{text}");
        };
        check("10.0.0.7", "10.0.0.7", "10.0.0.8");
        check("10.0.0.0/8", "10.255.0.1", "11.0.0.1");
        check("10.0.0.0/8", "::ffff:10.1.2.3", "::1");
        check("2001:db8::/32", "2001:db8:9::1", "2001:db9::1");
        check("0.0.0.0/0", "192.0.2.1", "::1");
        let wrong = |text: &str| text.parse::<Network>().unwrap_err();
        assert_eq!(wrong("10.1.2.3/8"), "`10.1.2.3/8` names one address and a network; write `10.0.0.0/8`");
        for text in ["", "10.0.0.0/33", "10.0.0/8", "shop.example"] {
            assert!(wrong(text).contains("is neither an address"), "{text}");
        }
    }
}
