//! Ports on the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel takes the ports of outgoing connections from above here, unless it was told otherwise.
const FIRST_EPHEMERAL: u16 = 32_768;
/// Below are the ports of well-known servers.
const FIRST: u16 = 16_384;

/// Where the next search of this process begins; 0 before the first.
static NEXT: AtomicU16 = AtomicU16::new(0);
/// One search at a time.
static SEARCH: Mutex<()> = Mutex::new(());

/// `count` consecutive ports of 127.0.0.1 on which nobody listens, never given out by this process before.
///
/// They lie below those that the kernel hands to outgoing connections. A program that is killed must get its port
/// again, and under load one of the thousands of connections of the others could sit on it by then.
pub fn ports(count: u16) -> u16 {
    let _one = SEARCH.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let room = FIRST_EPHEMERAL - FIRST - count;
    let begin = match NEXT.load(Ordering::Relaxed) {
        // Other test processes search at the same time: begin far from them.
        0 => FIRST + (std::process::id().wrapping_mul(2_654_435_761) >> 8) as u16 % room,
        next => next,
    };
    for step in 0..room {
        let first = FIRST + (begin - FIRST + step) % room;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (first..first + count).all(is_free) {
            NEXT.store(first + count, Ordering::Relaxed);
            return first;
        }
    }
    panic!("there are no {count} consecutive free ports between {FIRST} and {FIRST_EPHEMERAL}");
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
