//! Messages with open files, between two processes of one machine.
//!
//! A message is two numbers (bytes of JSON, files), then the files in batches behind one byte each, then the JSON. The
//! kernel takes a few hundred files at a time, and never joins two batches.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Files sent at once.
const BATCH: usize = 64;
/// Bytes and files of one message.
const BYTES_MAX: usize = 16 * 1024 * 1024;
const FILES_MAX: usize = 8192;

/// One end. Every call blocks, and not for longer than the patience allows.
pub(super) struct Wire(UnixStream);

impl Wire {
    pub(super) fn new(stream: UnixStream, patience: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        let wire = Self(stream);
        wire.wait_for(patience)?;
        Ok(wire)
    }

    /// How long each read and each write may take from now on.
    pub(super) fn wait_for(&self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))?;
        self.0.set_write_timeout(Some(patience))
    }

    pub(super) fn send(&mut self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let json = serde_json::to_vec(message)?;
        let [bytes, count] =
            [json.len(), files.len()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        self.0.write_all(&[bytes.to_be_bytes(), count.to_be_bytes()].concat())?;
        for batch in files.chunks(BATCH) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(batch)) {
                return Err(io::Error::other("there is no room for the files of a message"));
            }
            // A signal ends a call that has a time limit, whatever its handler asks for.
            retry_on_intr(|| {
                sendmsg(self.0.as_fd(), &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)
            })?;
        }
        self.0.write_all(&json)
    }

    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<(T, Vec<OwnedFd>)> {
        let mut head = [0; 8];
        self.0.read_exact(&mut head)?;
        let number =
            |from: &[u8]| from.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        let (bytes, count) = (number(&head[..4]), number(&head[4..]));
        if bytes > BYTES_MAX || count > FILES_MAX {
            return Err(io::Error::other("the other process says something that cannot be"));
        }
        let mut files = Vec::with_capacity(count);
        while files.len() < count {
            let before = files.len();
            let mut byte = [0];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut into = [IoSliceMut::new(&mut byte)];
            retry_on_intr(|| recvmsg(self.0.as_fd(), &mut into, &mut control, RecvFlags::CMSG_CLOEXEC))?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    files.extend(received);
                }
            }
            // The kernel leaves out what would be more than the process may have open.
            if files.len() - before < BATCH.min(count - before) {
                return Err(io::Error::other(
                    "files were lost on the way; raise the limit of open files (`ulimit -n`)",
                ));
            }
        }
        let mut json = vec![0; bytes];
        self.0.read_exact(&mut json)?;
        Ok((serde_json::from_slice(&json)?, files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_with_all_its_files_in_order_and_what_is_cut_is_an_error() {
        let (here, there) = UnixStream::pair().unwrap();
        let patience = Duration::from_secs(10);
        let (mut here, mut there) = (Wire::new(here, patience).unwrap(), Wire::new(there, patience).unwrap());
        let pipes: Vec<_> = (0..BATCH + 3).map(|_| io::pipe().unwrap()).collect();
        let files: Vec<_> = pipes.iter().map(|(reader, _)| reader.as_fd()).collect();
        here.send(&"hello", &files).unwrap();
        for (number, (_, writer)) in pipes.iter().enumerate() {
            let mut writer: &io::PipeWriter = writer;
            writer.write_all(&[u8::try_from(number).unwrap()]).unwrap();
        }
        let (text, received): (String, _) = there.receive().unwrap();
        assert_eq!((text.as_str(), received.len()), ("hello", pipes.len()));
        for (number, file) in received.into_iter().enumerate() {
            let mut byte = [0];
            io::PipeReader::from(file).read_exact(&mut byte).unwrap();
            assert_eq!(usize::from(byte[0]), number);
        }

        here.0.write_all(&[0, 0, 0, 9, 0, 0, 0, 0, b'"']).unwrap();
        drop(here);
        assert!(there.receive::<String>().is_err());
    }
}
