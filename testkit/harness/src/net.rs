//! Ports on the loopback interface.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Handed out by this process before; two tests in one binary must not get the same one.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A TCP port on 127.0.0.1 that nobody listened on a moment ago, and that this process was not given before.
///
/// Another process may still take it first. Where the program under test can listen on port 0 and say which one it
/// got, prefer that.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(port) {
            return port;
        }
    }
    panic!("the kernel offered 1000 ports that were all handed out before");
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
