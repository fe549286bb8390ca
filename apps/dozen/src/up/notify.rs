//! Tells systemd which process is the application, and that it is ready (`sd_notify`).
//!
//! Without `NOTIFY_SOCKET` in the environment there is nobody to tell. After a hand-over the message comes from a
//! process that systemd did not start, so the unit needs `NotifyAccess=all`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that this process is the application now, and is ready.
pub(super) fn ready() {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let message = format!("MAINPID={}\nREADY=1\n", std::process::id());
    if let Err(error) = send(&address, &message) {
        tracing::warn!("cannot tell the service manager at `{}`: {error}", address.display());
    }
}

fn send(address: &OsStr, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.send_to_addr(message.as_bytes(), &abstracted(name)?)?,
        None => socket.send_to(message.as_bytes(), address)?,
    };
    Ok(())
}

#[cfg(target_os = "linux")]
fn abstracted(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstracted(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::other("only Linux has sockets without a file"))
}
