//! Sockets that listen, and how a process passes them on to the one after it.
//!
//! A connection that the kernel has accepted waits in the queue of one socket, and is reset when the last holder of that
//! socket closes it. Two processes that open the same address in turn lose what waits in between; two that hold the
//! *same socket* for a while lose nothing. So a process that may be replaced keeps a second handle to each socket, by the
//! setting that names it ([`Sockets`]), and the process after it takes from there before it opens anything.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 4096;

/// One socket that listens, for somebody else.
#[derive(Debug)]
pub struct Listening {
    /// The setting that asked for it.
    pub setting: String,
    /// The address that was asked for; its port may be 0.
    pub asked: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

/// The sockets that a process listens on, to be passed on. Cheap to clone; all clones are the same.
///
/// It holds a handle to each socket: until [`close`](Self::close), clients that connect wait to be accepted, whoever
/// serves the socket or not.
#[derive(Clone, Debug, Default)]
pub struct Sockets(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    inherited: Mutex<Vec<Listening>>,
    kept: Mutex<Vec<Listening>>,
    is_passed_on: AtomicBool,
}

impl Sockets {
    /// With what the process before this one listened on.
    pub fn inherited(sockets: Vec<Listening>) -> Self {
        Self(Arc::new(Held { inherited: Mutex::new(sockets), ..Held::default() }))
    }

    /// A handle to each socket, for the process after this one.
    pub fn handles(&self) -> io::Result<Vec<Listening>> {
        locked(&self.0.kept).iter().map(Listening::duplicate).collect()
    }

    /// From now on somebody else accepts from them, too. Whoever drains need not hurry its clients: an idle connection
    /// may bring one more request, whose answer says that it is the last.
    pub fn pass_on(&self) {
        self.0.is_passed_on.store(true, Ordering::Relaxed);
    }

    pub(crate) fn are_passed_on(&self) -> bool {
        self.0.is_passed_on.load(Ordering::Relaxed)
    }

    /// Lets go of what was inherited and nobody asked for.
    pub fn close_unused(&self) {
        locked(&self.0.inherited).clear();
    }

    /// Lets go of every handle: sockets are closed when those that serve them are done.
    pub fn close(&self) {
        self.close_unused();
        locked(&self.0.kept).clear();
    }

    fn take(&self, setting: &str, asked: SocketAddr) -> Vec<TcpListener> {
        let mut inherited = locked(&self.0.inherited);
        let (taken, left) = std::mem::take(&mut *inherited)
            .into_iter()
            .partition(|one| one.setting == setting && one.asked == asked);
        *inherited = left;
        Vec::into_iter(taken).map(|one| one.socket).collect()
    }

    fn keep(&self, setting: &str, asked: SocketAddr, socket: &TcpListener) -> io::Result<()> {
        let kept = Listening { setting: setting.to_owned(), asked, socket: socket.try_clone()? };
        locked(&self.0.kept).push(kept);
        Ok(())
    }
}

impl Listening {
    fn duplicate(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { setting: self.setting.clone(), asked: self.asked, socket })
    }
}

fn locked(sockets: &Mutex<Vec<Listening>>) -> MutexGuard<'_, Vec<Listening>> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What asks for a socket: an address, the setting that has it, and where sockets of the process are kept, if they are.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) setting: &'a str,
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Option<&'a Sockets>,
}

impl Wanted<'_> {
    /// One socket that nobody else can share, except those that it is passed on to.
    pub(crate) fn exclusive(self) -> Result<TcpListener, Error> {
        let opened = match self.taken().into_iter().next() {
            Some(inherited) => Ok(inherited),
            None => open(self.address, false),
        };
        let opened = opened.and_then(|socket| self.kept(vec![socket]));
        opened.map(|mut sockets| sockets.remove(0)).map_err(|source| self.explain(source))
    }

    /// One socket for each worker, all on the same address; the kernel spreads connections over them. There may be more,
    /// if more were inherited: what waits in one would be lost with it.
    ///
    /// Such sockets could also be shared with another process of the same user, by accident, so the address is first
    /// claimed alone.
    pub(crate) fn shared(self, workers: usize) -> Result<Vec<TcpListener>, Error> {
        let open_all = || {
            let mut sockets = self.taken();
            if sockets.is_empty() {
                if self.address.port() != 0 {
                    drop(open(self.address, false)?);
                }
                sockets.push(open(self.address, true)?);
            }
            let address = sockets[0].local_addr()?;
            while sockets.len() < workers {
                sockets.push(open(address, true)?);
            }
            self.kept(sockets)
        };
        open_all().map_err(|source| self.explain(source))
    }

    fn taken(self) -> Vec<TcpListener> {
        self.sockets.map(|sockets| sockets.take(self.setting, self.address)).unwrap_or_default()
    }

    fn kept(self, opened: Vec<TcpListener>) -> io::Result<Vec<TcpListener>> {
        if let Some(sockets) = self.sockets {
            for socket in &opened {
                sockets.keep(self.setting, self.address, socket)?;
            }
        }
        Ok(opened)
    }

    fn explain(self, source: io::Error) -> Error {
        let (setting, address) = (self.setting.to_owned(), self.address);
        match source.kind() {
            io::ErrorKind::AddrInUse => Error::AddressInUse { address, setting },
            _ => Error::Listen { address, setting, source },
        }
    }
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
