//! `dozen up`, from a file, alone on the proxy's core.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{PROXY_CORE, Running, free, pinned};
use crate::Failure;

/// What tokens are signed with here; the file reads it from its environment.
pub(super) const SECRET: &str = "a secret that no one but this measurement has";

/// Runs `gateway` in front of the service `origin`, in a folder of its own. As it has one core, it has one worker.
pub(super) fn start(
    folder: &Path,
    mut gateway: Value,
    origin: SocketAddr,
) -> Result<(Running, SocketAddr), Failure> {
    let (at, console) = (free()?, free()?);
    gateway["listen"] = at.to_string().into();
    let file = json!({
        "app": "edge",
        "store": "sqlite:edge.db",
        "registry": { "listen": "127.0.0.1:0" },
        "console": { "listen": console.to_string() },
        "api": false,
        "services": { "origin": { "at": format!("http://{origin}") } },
        "gateway": gateway,
    });
    fs::create_dir_all(folder)?;
    // Every document of JSON is one of YAML.
    fs::write(folder.join("dozen.yaml"), file.to_string())?;
    let program = std::env::current_exe()?.with_file_name("dozen");
    if !program.exists() {
        return Err("build `dozen` first: `cargo xtask bench` does".into());
    }
    let mut command = pinned(PROXY_CORE, program);
    command.arg("up").current_dir(folder).env("EDGE_SECRET", SECRET).stderr(Stdio::null());
    Ok((Running::start(command, at)?, at))
}
