//! Pipes of the kernel, through which a large body passes from one socket to the next without coming into this process.
//!
//! ```text
//!    endpoint's socket ──splice──► pipe ──splice──► client's socket        pages change hands, no byte is copied
//! ```
//! Reading a body and writing it again copies it twice, and the second copy goes to memory that no cache holds: with
//! answers of 64 KiB that is a third of a proxy's time. Only a body of known length between two plain sockets can pass:
//! chunks have to be read, and TLS has to be worked.
//!
//! A worker has few pipes, because Linux counts their pages against the user (`pipe-user-pages-soft`, 64 MiB unless
//! changed). Whoever finds none copies. On other systems there are none.

use std::io;

use dozen_core::Mutex;
use tokio::net::TcpStream;

/// Pipes of one worker, at most.
const PIPES_MAX: usize = 32;
/// What is left of a body has to be this large: below, two calls more cost as much as the copy.
pub(crate) const PASSED_MIN: u64 = 16 * 1024;
/// What is read for a head where the body behind it is likely to pass.
pub(crate) const HEAD: usize = 4 * 1024;

/// The pipes of one worker.
#[derive(Default)]
pub(crate) struct Pipes(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    idle: Vec<system::Pipe>,
    /// How many there are, those that are lent included.
    open: usize,
}

impl Pipes {
    /// An empty pipe, if one is free or may be made.
    pub(crate) fn lend(&self) -> Option<Lent<'_>> {
        let mut kept = self.0.lock();
        let pipe = match kept.idle.pop() {
            Some(pipe) => pipe,
            None if kept.open < PIPES_MAX => {
                let pipe = system::Pipe::open().ok()?;
                kept.open += 1;
                pipe
            }
            None => return None,
        };
        Some(Lent { pipes: self, pipe: Some(pipe), held: 0 })
    }
}

/// A pipe, until it is dropped. One with bytes in it is of no use to anybody else, and closes.
pub(crate) struct Lent<'p> {
    pipes: &'p Pipes,
    pipe: Option<system::Pipe>,
    held: usize,
}

impl Lent<'_> {
    /// Takes up to `most` bytes from a socket that it has at this moment, which may be none.
    pub(crate) fn fill_now(&mut self, from: &TcpStream, most: u64) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Ok(0) };
        match pipe.try_fill(from, bounded(most)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            // The next wait finds the end, and takes it for what it is.
            filled => filled.inspect(|count| self.held += count),
        }
    }

    /// Takes up to `most` bytes from a socket, as soon as it has some; none at its end.
    pub(crate) async fn fill(&mut self, from: &TcpStream, most: u64) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Ok(0) };
        let count = pipe.fill(from, bounded(most)).await?;
        self.held += count;
        Ok(count)
    }

    /// Gives a socket `head`, and behind it all that was taken. Both leave together.
    pub(crate) async fn drain(&mut self, head: &[u8], to: &TcpStream) -> io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let mut at = 0;
        while at < head.len() {
            at += some(pipe.send(to, &head[at..], self.held > 0).await?)?;
        }
        while self.held > 0 {
            self.held = self.held.saturating_sub(some(pipe.drain(to, self.held).await?)?);
        }
        Ok(())
    }
}

fn bounded(most: u64) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}

fn some(count: usize) -> io::Result<usize> {
    if count > 0 { Ok(count) } else { Err(io::ErrorKind::WriteZero.into()) }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut kept = self.pipes.0.lock();
        match self.pipe.take() {
            Some(pipe) if self.held == 0 => kept.idle.push(pipe),
            _ => kept.open -= 1,
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::net::{SendFlags, send};
    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    /// What a pipe may hold: bounds how far an endpoint runs ahead of a slow client.
    const SIZE: usize = 256 * 1024;

    pub(super) struct Pipe {
        inlet: OwnedFd,
        outlet: OwnedFd,
    }

    impl Pipe {
        pub(super) fn open() -> io::Result<Self> {
            let (outlet, inlet) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
            // A user who has many keeps the size that it was made with.
            let _ = fcntl_setpipe_size(&inlet, SIZE);
            Ok(Self { inlet, outlet })
        }

        /// Only for an empty pipe: one that is full could not be told from a socket that has nothing.
        pub(super) fn try_fill(&self, from: &TcpStream, most: usize) -> io::Result<usize> {
            from.try_io(Interest::READABLE, || moved(from, &self.inlet, most))
        }

        pub(super) async fn fill(&self, from: &TcpStream, most: usize) -> io::Result<usize> {
            from.async_io(Interest::READABLE, || moved(from, &self.inlet, most)).await
        }

        /// Sends bytes; they wait for those of the pipe if `more` follow at once.
        pub(super) async fn send(&self, to: &TcpStream, bytes: &[u8], more: bool) -> io::Result<usize> {
            let flags = if more { SendFlags::MORE } else { SendFlags::empty() };
            to.async_io(Interest::WRITABLE, || Ok(send(to, bytes, flags | SendFlags::NOSIGNAL)?)).await
        }

        pub(super) async fn drain(&self, to: &TcpStream, most: usize) -> io::Result<usize> {
            to.async_io(Interest::WRITABLE, || moved(&self.outlet, to, most)).await
        }
    }

    fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
        Ok(splice(from, None, to, None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use tokio::net::TcpStream;

    pub(super) enum Pipe {}

    impl Pipe {
        pub(super) fn open() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn try_fill(&self, _: &TcpStream, _: usize) -> io::Result<usize> {
            match *self {}
        }

        pub(super) async fn send(&self, _: &TcpStream, _: &[u8], _: bool) -> io::Result<usize> {
            match *self {}
        }

        pub(super) async fn fill(&self, _: &TcpStream, _: usize) -> io::Result<usize> {
            match *self {}
        }

        pub(super) async fn drain(&self, _: &TcpStream, _: usize) -> io::Result<usize> {
            match *self {}
        }
    }
}
