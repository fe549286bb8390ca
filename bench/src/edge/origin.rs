//! What stands behind the proxies: nginx with two files.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::{LOAD_CORE, Running, free, pinned};
use crate::Failure;

/// The answers: their names, and how large they are.
pub(super) const ANSWERS: [(&str, usize); 2] = [("1k", 1024), ("64k", 64 * 1024)];

/// Starts it on the core of the load.
pub(super) fn start(folder: &Path) -> Result<(Running, SocketAddr), Failure> {
    for (name, size) in ANSWERS {
        fs::write(folder.join(name), "x".repeat(size))?;
    }
    let (at, root) = (free()?, folder.display());
    let server = format!(
        "server {{ listen {at} backlog=4096; location / {{ root {root}; open_file_cache max=10; }} }}"
    );
    Ok((Running::start(nginx(LOAD_CORE, &folder.join("origin"), &server)?, at)?, at))
}

/// nginx with one worker that keeps everything in `folder`.
pub(super) fn nginx(core: usize, folder: &Path, servers: &str) -> Result<Command, Failure> {
    fs::create_dir_all(folder)?;
    let dir = folder.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log; events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nodelay on;
           client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
           uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
           {servers} }}"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    let mut command = pinned(core, "nginx");
    command.arg("-p").arg(folder).arg("-e").arg(folder.join("error.log")).arg("-c").arg(path);
    Ok(command)
}
