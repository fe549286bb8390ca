//! Running commands, and saying which.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// What a step of a verb gives: nothing, or why it failed.
pub(crate) type Step = Result<(), String>;

/// A `cargo` command, by the cargo that runs us.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    command
}

/// Runs a command and waits for it.
pub(crate) fn step(name: &str, mut command: Command) -> Step {
    eprintln!("── {name}: {}", shown(&command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed ({status})")),
        Err(error) => Err(format!("{name}: cannot run `{}`: {error}", shown(&command))),
    }
}

/// What a command prints.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run `{}`: {error}", shown(&command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", shown(&command), String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Becomes another program, so that signals reach it and nobody else.
pub(crate) fn replace(mut command: Command) -> Step {
    use std::os::unix::process::CommandExt;
    eprintln!("── {}", shown(&command));
    Err(format!("cannot run `{}`: {}", shown(&command), command.exec()))
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Result<PathBuf, String> {
    let metadata = output(cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo names no target folder".into())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
