//! A connection, with TLS or without.
//!
//! Everything above reads and writes a [`Stream`] and does not ask which it is, so there is one path for both. A plain
//! connection pays one comparison for that.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::{TcpStream, tcp};
use tokio_rustls::TlsStream;

/// A connection that is open.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    /// Both directions of TLS share one state. They are worked by one task, so its lock is never waited for.
    Tls(Box<Mutex<TlsStream<TcpStream>>>),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Mutex::new(stream)))
    }
}

fn lock(stream: &Mutex<TlsStream<TcpStream>>) -> MutexGuard<'_, TlsStream<TcpStream>> {
    stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Stream {
    fn tls(stream: &mut Mutex<TlsStream<TcpStream>>) -> Pin<&mut TlsStream<TcpStream>> {
        Pin::new(stream.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The two directions, to be worked by one task.
    pub(crate) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match self {
            Self::Plain(stream) => {
                let (read, write) = stream.split();
                (ReadHalf::Plain(read), WriteHalf::Plain(write))
            }
            Self::Tls(stream) => (ReadHalf::Tls(stream), WriteHalf::Tls(stream)),
        }
    }

    /// Ready once there is something to read, which stays where it is, or the end.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => Self::tls(stream).poll_fill_buf(cx).map_ok(drop),
        }
    }

    /// Whether the other side has neither closed the connection nor sent anything unasked. On a plain connection this
    /// costs no system call while that is so: the runtime's poller would have marked the socket.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self {
            Self::Plain(stream) => match stream.poll_read_ready(&mut cx) {
                Poll::Pending => true,
                // The mark may be left over from the last answer; only the socket knows.
                Poll::Ready(_) => {
                    let looked = stream.try_io(Interest::READABLE, || {
                        let mut byte = [std::mem::MaybeUninit::uninit(); 1];
                        socket2::SockRef::from(&*stream).peek(&mut byte).map(drop)
                    });
                    matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
                }
            },
            // What TLS says about itself, such as a new session ticket, is taken in and is no noise.
            Self::Tls(stream) => Self::tls(stream).poll_fill_buf(&mut cx).is_pending(),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        AsyncWriteExt::shutdown(self).await
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, room),
            Self::Tls(stream) => Self::tls(stream).poll_read(cx, room),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Self::tls(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Self::tls(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Self::tls(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Self::tls(stream).poll_shutdown(cx),
        }
    }
}

/// The direction in which a connection is read.
#[derive(Debug)]
pub(crate) enum ReadHalf<'s> {
    Plain(tcp::ReadHalf<'s>),
    Tls(&'s Mutex<TlsStream<TcpStream>>),
}

impl ReadHalf<'_> {
    /// The socket, if nothing is between it and what is read.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(half) => Some(half.as_ref()),
            Self::Tls(_) => None,
        }
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_read(cx, room),
            Self::Tls(stream) => Pin::new(&mut *lock(stream)).poll_read(cx, room),
        }
    }
}

/// The direction in which a connection is written.
#[derive(Debug)]
pub(crate) enum WriteHalf<'s> {
    Plain(tcp::WriteHalf<'s>),
    Tls(&'s Mutex<TlsStream<TcpStream>>),
}

impl WriteHalf<'_> {
    /// The socket, if nothing is between it and what is written.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(half) => Some(half.as_ref()),
            Self::Tls(_) => None,
        }
    }

    /// Writes all of `bytes`, and sees to it that they leave: TLS may keep the end of them back.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    /// Writes `head` and then `body`, together as far as the connection takes them.
    pub(crate) async fn send_both(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut at = 0;
        while at < head.len() {
            let slices = [IoSlice::new(&head[at..]), IoSlice::new(body)];
            let written = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_write_vectored(cx, &slices));
            let count = written.await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            at += count;
        }
        self.send(&body[at - head.len()..]).await
    }

    /// Says that nothing more will be written.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        AsyncWriteExt::shutdown(self).await
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut *lock(stream)).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(&mut *lock(stream)).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut *lock(stream)).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut *lock(stream)).poll_shutdown(cx),
        }
    }
}

/// A stream in front of which some bytes have already been read.
#[derive(Debug)]
pub(crate) struct Rewound {
    before: Vec<u8>,
    at: usize,
    stream: Stream,
}

impl Rewound {
    pub(crate) fn new(before: &[u8], stream: Stream) -> Self {
        Self { before: before.to_vec(), at: 0, stream }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = &this.before[this.at..];
        if left.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, room);
        }
        let count = left.len().min(room.remaining());
        room.put_slice(&left[..count]);
        this.at += count;
        if this.at == this.before.len() {
            this.before = Vec::new();
            this.at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
