//! Connections to endpoints, kept by one worker.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::upstream::EndpointState;

struct Kept {
    stream: TcpStream,
    since: u64,
}

/// By endpoint. The lock is the worker's own and never contended; it makes the worker's futures movable.
pub(super) struct Pool {
    kept: Mutex<HashMap<u64, Vec<Kept>>>,
    kept_max: usize,
}

impl Pool {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept: Mutex::default(), kept_max }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The connection used last, if one is kept on which nothing has happened since.
    pub(super) fn take(&self, endpoint: u64) -> Option<TcpStream> {
        let mut kept = self.kept();
        let of_endpoint = kept.get_mut(&endpoint)?;
        while let Some(Kept { stream, .. }) = of_endpoint.pop() {
            if is_quiet(&stream) {
                return Some(stream);
            }
        }
        None
    }

    pub(super) fn put(&self, endpoint: u64, stream: TcpStream, now: u64) {
        let mut kept = self.kept();
        let of_endpoint = kept.entry(endpoint).or_default();
        if of_endpoint.len() < self.kept_max {
            of_endpoint.push(Kept { stream, since: now });
        }
    }

    /// Drops all connections to an endpoint: one of them was dead, so the others are likely to be.
    pub(super) fn forget(&self, endpoint: u64) {
        self.kept().remove(&endpoint);
    }

    /// Drops what was kept since before `oldest`.
    pub(super) fn sweep(&self, oldest: u64) {
        self.kept().retain(|_, of_endpoint| {
            of_endpoint.retain(|kept| kept.since >= oldest);
            !of_endpoint.is_empty()
        });
    }
}

/// Whether the endpoint has neither closed the connection nor sent anything unasked. Costs no system call while that
/// is so: the runtime's poller would have marked the socket.
fn is_quiet(stream: &TcpStream) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    match stream.poll_read_ready(&mut cx) {
        Poll::Pending => true,
        // The mark may be left over from the last answer; only the socket knows.
        Poll::Ready(_) => {
            let looked = stream.try_io(Interest::READABLE, || {
                let mut byte = [std::mem::MaybeUninit::uninit(); 1];
                socket2::SockRef::from(stream).peek(&mut byte).map(drop)
            });
            matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        }
    }
}

/// Opens a connection.
pub(super) async fn connect(endpoint: &EndpointState) -> io::Result<TcpStream> {
    let stream = match endpoint.socket {
        Some(address) => connect_to(address).await?,
        None => TcpStream::connect(&*endpoint.address).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    // A connection to a port of this machine that nobody listens on can connect to itself; it is of no use.
    let stream = TcpStream::connect(address).await?;
    match stream.local_addr() {
        Ok(local) if local == address => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        _ => Ok(stream),
    }
}

/// Waits until there is something to read.
pub(super) async fn readable(stream: &TcpStream) -> io::Result<()> {
    poll_fn(|cx| stream.poll_read_ready(cx)).await
}
