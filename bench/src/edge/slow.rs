//! An origin that takes its time, exactly: `/2000/price.json` is that file of its folder, 2,000 µs after it was asked for.
//!
//! A thread for each connection sleeps: it is woken when its time is over and not when a wheel of milliseconds comes
//! round. There are as many as the load and the proxy open, which are on this machine.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{LOAD_CORE, Running, part};
use crate::Failure;

/// Starts it on the core of the load, over the files of `folder`.
pub(super) fn start(folder: &Path) -> Result<(Running, SocketAddr), Failure> {
    let at = super::free()?;
    let mut command = part::on(LOAD_CORE, "slow")?;
    command.arg(at.to_string()).arg(folder);
    Ok((Running::start(command, at)?, at))
}

/// Answers until it is killed.
pub(super) fn serve(listen: SocketAddr, folder: &Path) -> Result<(), Failure> {
    // Threads inherit it.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
    let mut answers = HashMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) else {
            continue;
        };
        let body = fs::read(&path)?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        answers.insert(name.to_owned(), [head.as_bytes(), &body].concat());
    }
    let answers = Arc::new(answers);
    for stream in TcpListener::bind(listen)?.incoming() {
        let (stream, answers) = (stream?, answers.clone());
        // Whoever hangs up ends the thread; there is nobody to be told.
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || drop(talk(stream, &answers)))?;
    }
    Ok(())
}

fn talk(mut stream: TcpStream, answers: &HashMap<String, Vec<u8>>) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let (mut room, mut head) = ([0; 4096], Vec::new());
    loop {
        let count = stream.read(&mut room)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&room[..count]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = std::str::from_utf8(&head)?;
        let asked = text.split(' ').nth(1).and_then(|path| path.strip_prefix('/')?.split_once('/'));
        let (micros, name) = asked.ok_or("that is no question for this origin")?;
        std::thread::sleep(Duration::from_micros(micros.parse()?));
        stream.write_all(
            answers.get(name).map_or(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", Vec::as_slice),
        )?;
        head.clear();
    }
}
