//! Ports on the loopback interface.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel takes the ports of outgoing connections from above here, unless it was told otherwise.
const FIRST_EPHEMERAL: u16 = 32_768;
/// Below are the ports of well-known servers.
const FIRST: u16 = 16_384;
/// Ports that a process takes for itself at once.
const BLOCK: u16 = 64;
/// How many such blocks there are.
const BLOCKS: u16 = (FIRST_EPHEMERAL - FIRST) / BLOCK;

/// What this process has taken so far; it keeps all of it.
static TAKEN: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// `count` consecutive ports of 127.0.0.1 on which nobody listens, given out to nobody else for as long as this process lives.
///
/// Between the moment in which a port is found free and the one in which a program listens there, anybody may take it. So a
/// port is looked for in a block that is this process's own: tests that run at the same time in other processes, which all
/// look for ports in this way, find it locked.
///
/// They lie below those that the kernel hands to outgoing connections. A program that is killed must get its port
/// again, and under load one of the thousands of connections of the others could sit on it by then.
pub fn ports(count: u16) -> u16 {
    assert!(count <= BLOCK, "at most {BLOCK} ports can be had at once");
    let mut taken = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    loop {
        if let Some(first) = taken.last_mut().and_then(|block| block.take(count)) {
            return first;
        }
        let Some(block) = Block::lock() else {
            panic!("there are no {count} consecutive free ports between {FIRST} and {FIRST_EPHEMERAL}");
        };
        taken.push(block);
    }
}

/// Ports of one process.
struct Block {
    /// The first that was not given out.
    next: u16,
    end: u16,
    /// The kernel gives it back when the process ends, however it ends.
    _lock: File,
}

impl Block {
    /// The first block that no process has, from one on that differs between processes.
    fn lock() -> Option<Self> {
        let user = rustix::process::geteuid().as_raw();
        let folder = std::env::temp_dir().join(format!("dozen-ports-{user}"));
        std::fs::create_dir_all(&folder).ok()?;
        let begin = (std::process::id().wrapping_mul(2_654_435_761) >> 8) as u16 % BLOCKS;
        (0..BLOCKS).find_map(|step| Self::lock_at((begin + step) % BLOCKS, &folder))
    }

    fn lock_at(number: u16, folder: &Path) -> Option<Self> {
        let lock = File::create(folder.join(number.to_string())).ok()?;
        lock.try_lock().ok()?;
        let first = FIRST + number * BLOCK;
        Some(Self { next: first, end: first + BLOCK, _lock: lock })
    }

    fn take(&mut self, count: u16) -> Option<u16> {
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let first =
            (self.next..=self.end.checked_sub(count)?).find(|first| (*first..first + count).all(is_free))?;
        self.next = first + count;
        Some(first)
    }
}

/// One such port.
pub fn free_port() -> u16 {
    ports(1)
}

/// Returns once 127.0.0.1:`port` accepts a connection.
pub fn wait_until_listening(port: u16, timeout: Duration) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + timeout;
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("nobody listens on {address} after {timeout:?}: {error}"));
            }
            // Another program's listener gives no signal to wait for, so this one looks again.
            Err(_) => sleep(Duration::from_millis(10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_out_once_and_a_block_belongs_to_one_process() {
        let folder = std::env::temp_dir().join(format!("dozen-ports-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut own = Block::lock_at(7, &folder).unwrap();
        assert!(Block::lock_at(7, &folder).is_none(), "somebody has it");
        let (one, other) = (own.take(3).unwrap(), own.take(2).unwrap());
        assert!(one >= FIRST + 7 * BLOCK && other >= one + 3 && other + 2 <= own.end);
        assert_eq!(own.take(BLOCK), None, "there are not so many left");
        drop(own);
        assert!(Block::lock_at(7, &folder).is_some(), "it was given back");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
