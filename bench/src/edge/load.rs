//! The two loads: as fast as answers come, and at a fixed rate.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{LOAD_CORE, pinned};
use crate::Failure;

/// Loads a server for some seconds as fast as it answers (wrk); the number of requests that were answered.
pub(super) fn closed(at: SocketAddr, path: &str, connections: u32, seconds: u32) -> Result<f64, Failure> {
    let (connections, seconds) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let url = format!("http://{at}/{path}");
    let output = pinned(LOAD_CORE, "wrk").args(["-t1", &connections, &seconds, &url]).output()?;
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

/// How long answers took, in microseconds.
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Asks at a fixed rate, each connection in turn whether or not the others have their answers (h2load, HTTP/1.1).
pub(super) fn open(
    at: SocketAddr,
    path: &str,
    connections: u32,
    rate: f64,
    seconds: u32,
    folder: &Path,
) -> Result<Latency, Failure> {
    let log = folder.join("h2load.log");
    let _ = fs::remove_file(&log); // it appends
    let url = format!("http://{at}/{path}");
    let output = pinned(LOAD_CORE, "h2load")
        .args(["--h1", "-t1", &format!("-c{connections}"), &format!("-D{seconds}")])
        .arg(format!("--rps={:.3}", rate / f64::from(connections)))
        .arg(format!("--log-file={}", log.display()))
        .arg(&url)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_clean = text.contains(" 0 failed, 0 errored, 0 timeout");
    // A line is when it began, the status, and how long it took.
    let lines = fs::read_to_string(&log).unwrap_or_default();
    let took = lines.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<f64>().ok());
    let mut took: Vec<f64> = took.collect();
    if !is_clean || took.len() < 1_000 {
        return Err(format!("h2load against {url}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    took.sort_by(f64::total_cmp);
    Ok(Latency { p50: took[took.len() / 2], p99: took[took.len() * 99 / 100] })
}
