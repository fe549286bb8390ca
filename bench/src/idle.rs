//! What `dozen up` costs while nobody asks for anything: the shop's file, with its services running beside it.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bar::{Figure, Measured, Target, median};
use crate::process::{cpu_of, resident_kib};
use crate::{Context, Failure};

/// Until start-up work is over.
const SETTLE: Duration = Duration::from_secs(3);
/// How long it is watched. Processor time is counted in hundredths of a second.
const WATCH: Duration = Duration::from_secs(20);

/// The shop, killed with its children when it is dropped.
struct Shop(Child);

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    let programs = std::env::current_exe()?.parent().ok_or("no folder of programs")?.to_owned();
    if !programs.join("dozen").exists() {
        return Err("build `dozen` and the shop first: `cargo xtask bench` does".into());
    }
    let (mut cpu, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..context.rounds.min(3) {
        let (share, bytes) = once(&programs)?;
        cpu.push(share);
        memory.push(bytes);
    }
    let how = "`dozen up` with the shop's file, 20 s without a request, its children aside";
    let figure = |name: &str, measured, unit: &str, target| Figure {
        name: format!("foundation.idle.{name}"),
        measured,
        unit: unit.into(),
        target: Target::AtMost(target),
        note: how.into(),
    };
    let cpu = figure("cpu", median(cpu), "%(one core)", 0.5);
    Ok(Measured::of(vec![cpu, figure("memory", median(memory), "MB", 40.0)]))
}

/// The share of a core in per cent, and the resident memory in megabytes.
fn once(programs: &Path) -> Result<(f64, f64), Failure> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop");
    let folder = tempfile::tempdir()?;
    for file in ["dozen.yaml", "mailer.py", "legacy.py", "article.examples.json"] {
        fs::copy(source.join(file), folder.path().join(file))?;
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut child = Command::new(programs.join("dozen"))
        .arg("up")
        .current_dir(&folder)
        .env("PATH", path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut complaints = child.stderr.take();
    let mut shop = Shop(child);
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect("127.0.0.1:8080").is_err() {
        if shop.0.try_wait()?.is_some() || Instant::now() > deadline {
            let mut text = String::new();
            if let Some(complaints) = &mut complaints {
                let _ = complaints.read_to_string(&mut text);
            }
            return Err(format!("`dozen up` does not start: {text}").into());
        }
        sleep(Duration::from_millis(50));
    }
    sleep(SETTLE);
    let before = cpu_of(shop.0.id());
    sleep(WATCH);
    let used = cpu_of(shop.0.id()).saturating_sub(before);
    let kilobytes = resident_kib(shop.0.id())?;
    Ok((100.0 * used.as_secs_f64() / WATCH.as_secs_f64(), kilobytes / 1024.0))
}
