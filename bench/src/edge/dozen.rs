//! `dozen up`, from a file, alone on the proxy's core.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{PROXY_CORE, Running, free, pinned};
use crate::Failure;

/// What tokens are signed with here; the file reads it from its environment.
pub(super) const SECRET: &str = "a secret that no one but this measurement has";

/// `dozen up` at work.
pub(super) struct Up {
    running: Running,
    /// Where its gateway listens.
    pub(super) at: SocketAddr,
    console: SocketAddr,
    folder: PathBuf,
}

/// Runs `gateway` in front of the service `origin`.
pub(super) fn start(
    folder: &Path,
    gateway: Value,
    origin: SocketAddr,
) -> Result<(Running, SocketAddr), Failure> {
    let services = json!({ "origin": { "at": format!("http://{origin}") } });
    let Up { running, at, .. } = up(folder, json!({ "services": services, "gateway": gateway }))?;
    Ok((running, at))
}

/// Runs these sections, with a gateway among them, in a folder of its own. As it has one core, it has one worker.
pub(super) fn up(folder: &Path, mut file: Value) -> Result<Up, Failure> {
    let (at, console) = (free()?, free()?);
    file["gateway"]["listen"] = at.to_string().into();
    file["app"] = "edge".into();
    file["store"] = "sqlite:edge.db".into();
    file["registry"] = json!({ "listen": "127.0.0.1:0" });
    file["console"] = json!({ "listen": console.to_string() });
    file["api"] = false.into();
    fs::create_dir_all(folder)?;
    // Every document of JSON is one of YAML.
    fs::write(folder.join("dozen.yaml"), file.to_string())?;
    let mut command = pinned(PROXY_CORE, program()?);
    command.arg("up").current_dir(folder).env("EDGE_SECRET", SECRET).stderr(Stdio::null());
    Ok(Up { running: Running::start(command, at)?, at, console, folder: folder.to_owned() })
}

fn program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("dozen");
    match program.exists() {
        true => Ok(program),
        false => Err("build `dozen` first: `cargo xtask bench` does".into()),
    }
}

impl Up {
    /// Gives a command to it, as a person would.
    pub(super) fn command(&self, words: &[&str]) -> Result<(), Failure> {
        let output = Command::new(program()?).args(words).current_dir(&self.folder).output()?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let text = String::from_utf8_lossy(&output.stderr);
                Err(format!("dozen {}: {}", words.join(" "), text.trim()).into())
            }
        }
    }

    /// The sum of a metric over all its labels.
    pub(super) fn metric(&self, name: &str) -> Result<f64, Failure> {
        let page = dozen_harness::get(&format!("http://{}/metrics", self.console))?.text();
        let lines = page
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}
