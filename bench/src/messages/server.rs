//! What the peers' servers have in common.

use std::process::Command;
use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _};

use crate::Failure;

/// Until a server that was started is there.
pub(super) const START_MAX: Duration = Duration::from_secs(60);

/// Makes sure of Debian packages.
pub(super) async fn install(packages: &'static [&'static str]) -> Result<(), Failure> {
    Ok(tokio::task::spawn_blocking(|| dozen_harness::ensure_debian(packages)).await??)
}

/// The version that a program tells when it is asked: the word after `mark`, up to the next blank.
pub(super) fn version(program: &str, mark: &str) -> Result<String, Failure> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| format!("cannot ask {program} for its version: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rest = text.split_once(mark).map(|(_, rest)| rest);
    let word = rest.and_then(|rest| rest.split_whitespace().next());
    Ok(word.ok_or_else(|| format!("{program} tells no version after `{mark}`: {text}"))?.to_owned())
}

/// Whether a version such as `2.10.3` is `major.minor` or later.
pub(super) fn is_at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// What has been pushed to a consumer: the first message within `wait`, and up to `limit` that came with it.
pub(super) async fn whatever_is_there<T, E: Into<Failure>>(
    messages: &mut (impl Stream<Item = Result<T, E>> + Unpin),
    limit: usize,
    wait: Duration,
) -> Result<Vec<T>, Failure> {
    let Ok(first) = tokio::time::timeout(wait, messages.next()).await else { return Ok(Vec::new()) };
    let first = first.ok_or("the server ended the delivery")?;
    let mut taken = vec![first.map_err(Into::into)?];
    while taken.len() < limit {
        match messages.next().now_or_never() {
            Some(Some(message)) => taken.push(message.map_err(Into::into)?),
            Some(None) | None => break,
        }
    }
    Ok(taken)
}
