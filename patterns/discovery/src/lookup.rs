//! From a host's name to its addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use async_trait::async_trait;

/// Looks names up.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The addresses of `host`, which is `name:port`, in any order. One that has none may be an error, or nothing.
    async fn look(&self, host: &str) -> io::Result<Vec<SocketAddr>>;
}

/// What this machine looks names up by: its files, DNS, and whatever else it was told. An answer takes as long as the machine
/// lets it, which is seconds where no server answers.
///
/// Addresses that this machine has no way to, such as those of IPv6 where there is none, are left out while it has one to others.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn look(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let all: Vec<SocketAddr> = tokio::net::lookup_host(host).await?.collect();
        let reached: Vec<SocketAddr> = all.iter().copied().filter(has_way).collect();
        Ok(if reached.is_empty() { all } else { reached })
    }
}

/// Whether there is a way to `address`. Nothing is sent.
fn has_way(address: &SocketAddr) -> bool {
    let from: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(from).and_then(|socket| socket.connect(address)).is_ok()
}
