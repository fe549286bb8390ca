//! Sockets that listen.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 4096;

/// One socket that nobody else can share.
pub(crate) fn exclusive(address: SocketAddr) -> Result<TcpListener, Error> {
    open(address, false).map_err(|source| explain(address, source))
}

/// One socket for each worker, all on the same address; the kernel spreads connections over them.
///
/// Such sockets could also be shared with another process of the same user, by accident, so the address is first
/// claimed alone.
pub(crate) fn shared(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, Error> {
    if address.port() != 0 {
        drop(exclusive(address)?);
    }
    let open_all = || {
        let first = open(address, true)?;
        let address = first.local_addr()?;
        let mut sockets = vec![first];
        for _ in 1..workers {
            sockets.push(open(address, true)?);
        }
        Ok(sockets)
    };
    open_all().map_err(|source| explain(address, source))
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it to be forgotten by the kernel.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Out of file descriptors is no reason to spin: the connections that hold them need the processor to end.
pub(crate) async fn pause_after(error: &io::Error) {
    let is_of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !is_of_one_connection {
        tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn explain(address: SocketAddr, source: io::Error) -> Error {
    let setting = "listen".to_owned();
    match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse { address, setting },
        _ => Error::Listen { address, setting, source },
    }
}
