//! Commands that run to their end, and work that only one of all tests may be at.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a command to its end; gives its output, or a sentence about what went wrong.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Waits until no other test, in this process or another, holds the lock in this file. Dropped, it is free again.
pub(crate) fn lock(path: &Path) -> Result<File, String> {
    let failed = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    let file = File::create(path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}
