//! The two loads: as fast as answers come, and at a fixed rate.

use std::net::SocketAddr;

use super::part;
use super::{LOAD_CORE, pinned};
use crate::Failure;
use crate::open::{Load, Told};

/// Fewer answers have no 99th percentile worth the name.
const ANSWERS_MIN: u64 = 1_000;

/// Loads a server for some seconds as fast as it answers (wrk), with these header lines; the number of requests that were
/// answered.
pub(super) fn closed(
    at: SocketAddr,
    path: &str,
    connections: u32,
    seconds: u32,
    fields: &[String],
) -> Result<f64, Failure> {
    let (connections, seconds) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let url = format!("http://{at}/{path}");
    let mut command = pinned(LOAD_CORE, "wrk");
    command.args(["-t1", &connections, &seconds]);
    for field in fields {
        command.args(["-H", field]);
    }
    let output = command.arg(&url).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    if let Some(line) = failed {
        return Err(format!("wrk against {url}: {}", line.trim()).into());
    }
    let total = text.lines().find_map(|line| line.trim().split_once(" requests in ")).ok_or_else(|| {
        format!("wrk said nothing of its requests: {text}{}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(total.0.parse()?)
}

/// Asks at a fixed rate, on the core of the load.
pub(super) fn open(load: &Load) -> Result<Told, Failure> {
    let Load { at, path, connections, rate, seconds } = load;
    let mut command = part::on(LOAD_CORE, "load")?;
    command.args([&at.to_string(), path, &format!("--connections={connections}")]);
    let output = command.args([format!("--rate={rate}"), format!("--seconds={seconds}")]).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the load on http://{at}{path}: {}", text.trim()).into());
    }
    let told: Told = serde_json::from_slice(&output.stdout)?;
    match told.answered < ANSWERS_MIN {
        true => Err(format!("{} answers say nothing of the slowest of a hundred", told.answered).into()),
        false => Ok(told),
    }
}

/// Asks first one and then the other, and in the next round the other way about; what each of them said.
pub(super) fn in_turns(round: usize, one: &Load, other: &Load) -> Result<(Told, Told), Failure> {
    if round.is_multiple_of(2) {
        return Ok((open(one)?, open(other)?));
    }
    let other = open(other)?;
    Ok((open(one)?, other))
}
