//! What processes use, from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs::{read_dir, read_to_string};
use std::time::Duration;

use crate::Failure;

/// How long a clock tick of `/proc` is: 100 a second on every Linux that we know.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process, all its threads.
pub(crate) fn cpu_of(process: u32) -> Duration {
    stat(process).map_or(Duration::ZERO, |stat| ticks(stat.own))
}

/// CPU time of a process and everything below it, also of children that have ended and were waited for.
pub(crate) fn cpu_of_tree(root: u32) -> Duration {
    let mut children: HashMap<u32, Vec<(u32, Stat)>> = HashMap::new();
    let processes = read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = stat(process) {
            children.entry(stat.parent).or_default().push((process, stat));
        }
    }
    let mut used = stat(root).map_or(0, |stat| stat.own + stat.waited_for);
    let (mut next, mut seen) = (vec![root], HashSet::from([root]));
    while let Some(parent) = next.pop() {
        for (process, stat) in children.remove(&parent).unwrap_or_default() {
            // A process id that was given out again while we looked must not lead us in a circle.
            if seen.insert(process) {
                used += stat.own + stat.waited_for;
                next.push(process);
            }
        }
    }
    ticks(used)
}

/// What we need of `/proc/PID/stat`; times in ticks, of user and system together.
struct Stat {
    parent: u32,
    own: u64,
    waited_for: u64,
}

fn stat(process: u32) -> Option<Stat> {
    let text = read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold spaces.
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: number(11)? + number(12)?,
        waited_for: number(13)? + number(14)?,
    })
}

fn ticks(count: u64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(u32::MAX)
}

/// CPU time that the machine has spent on anything but waiting.
pub(crate) fn cpu_of_all() -> Duration {
    let text = read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or("").split_whitespace().skip(1);
    let fields: Vec<u64> = line.map(|field| field.parse().unwrap_or(0)).collect();
    // user nice system (idle iowait) irq softirq steal; what guests use is in user already
    ticks([0, 1, 2, 5, 6, 7].iter().filter_map(|at| fields.get(*at)).sum())
}

/// What this thread has had of a processor: a machine that is busy with something else does not count.
pub(crate) fn time_of_this_thread() -> Duration {
    let text = read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Kibibytes of a process that are in memory.
pub(crate) fn resident_kib(process: u32) -> Result<f64, Failure> {
    let status = read_to_string(format!("/proc/{process}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("");
    Ok(resident.trim().trim_end_matches(" kB").parse()?)
}

/// A folder for what is measured, beside this program: not in a temporary file system, because what is measured is the
/// disk's promise, and not among the sources.
pub(crate) fn folder_on_disk() -> Result<tempfile::TempDir, Failure> {
    let program = std::env::current_exe()?;
    Ok(tempfile::tempdir_in(program.parent().ok_or("no folder of programs")?)?)
}
