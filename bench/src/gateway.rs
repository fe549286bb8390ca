//! The gateway against nginx: requests per second of processor time, 1 KiB answers, one core.
//!
//! ```text
//! core 0: wrk ──► core 1: nginx or dozen, one worker ──► core 0: nginx with a 1 KiB answer
//! ```
//!
//! The proxy has a core for itself, so what it uses of it is its own; the load may not be what limits it, which is why
//! requests are divided by the processor time of the proxy (user and system, all its threads and children) and not by
//! the clock.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_gateway::{Gateway, Options, RequestLog, RouteOptions};
use dozen_lifecycle::{Ready, Service, Stop};
use tokio::sync::watch;

use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

const SECONDS: u32 = 4;

/// Runs the gateway until it is killed.
pub(crate) fn under_test(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Failure> {
    let endpoints = vec![Endpoint::at(upstream.to_string())];
    let set = EndpointSet { service: "upstream".into(), version: 1, endpoints };
    let (_sender, receiver) = watch::channel(Arc::new(set));
    let options = Options {
        listen,
        workers: std::num::NonZeroUsize::new(1),
        routes: vec![RouteOptions::new("/{*rest}", "upstream")],
        ..Options::default()
    };
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    let resolve = Arc::new(move |name: &str| (name == "upstream").then(|| receiver.clone()));
    let gateway = Arc::new(Gateway::new(options, resolve, ids, Arc::new(RequestLog::default()))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ready, _watching) = Ready::channel();
    runtime.block_on(gateway.run(Stop::new(), ready)).map_err(|error| -> Failure { error })
}

/// A process that is stopped when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers on TERM; KILL would leave them behind.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(command: &mut Command, at: SocketAddr) -> Result<Self, Failure> {
        let name = format!("{command:?}");
        let running = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(at).is_err() {
            if Instant::now() > patience {
                return Err(format!("nothing listens on {at} 10 s after the start of {name}").into());
            }
            std::thread::yield_now();
        }
        Ok(running)
    }

    /// Clock ticks that the process and its children have used.
    fn ticks(&self) -> Result<f64, Failure> {
        let own = self.0.id();
        let mut ticks = 0.0;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            // The second field is the program's name in parentheses and may hold spaces.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let number =
                |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
            let parent = fields.get(1).and_then(|field| field.parse::<u32>().ok());
            if pid == own || parent == Some(own) {
                ticks += number(11) + number(12);
            }
        }
        Ok(ticks)
    }
}

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    install("nginx", "/usr/sbin/nginx")?;
    install("wrk", "/usr/bin/wrk")?;
    let folder = tempfile::tempdir()?;
    let (upstream_at, nginx_at, dozen_at) = (free()?, free()?, free()?);
    std::fs::write(folder.path().join("1k"), "x".repeat(1024))?;
    let root = folder.path().display();
    let upstream = nginx(
        folder.path(),
        "upstream",
        &format!(
            "server {{ listen {upstream_at} backlog=4096; location / {{ root {root}; open_file_cache max=10; }} }}"
        ),
    );
    let proxy = nginx(
        folder.path(),
        "proxy",
        &format!(
            "upstream up {{ server {upstream_at}; keepalive 512; keepalive_requests 100000000; }}
             server {{ listen {nginx_at} backlog=4096; location / {{ proxy_pass http://up; proxy_http_version 1.1;
               proxy_set_header Connection ''; proxy_set_header Host $host;
               proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;
               proxy_set_header X-Forwarded-Proto $scheme; proxy_buffers 16 16k; proxy_buffer_size 16k; }} }}"
        ),
    );
    let _upstream = Running::start(pinned(0, "nginx").args(upstream?), upstream_at)?;
    let nginx = Running::start(pinned(1, "nginx").args(proxy?), nginx_at)?;
    let own = std::env::current_exe()?;
    let own = own.to_str().ok_or("the path of this program is not UTF-8")?;
    let arguments = ["gateway-under-test".to_owned(), dozen_at.to_string(), upstream_at.to_string()];
    let dozen = Running::start(pinned(1, own).args(arguments), dozen_at)?;
    let mut figures = Vec::new();
    for connections in [32, 256] {
        // Once unmeasured, so that pools are full and buffers made.
        for at in [nginx_at, dozen_at] {
            load(at, connections, 1)?;
        }
        let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..context.rounds {
            let mut rates = [0.0; 2];
            for turn in [round % 2, (round + 1) % 2] {
                let (process, at) = if turn == 0 { (&nginx, nginx_at) } else { (&dozen, dozen_at) };
                let before = process.ticks()?;
                let requests = load(at, connections, SECONDS)?;
                rates[turn] = requests * 100.0 / (process.ticks()? - before).max(1.0);
            }
            eprintln!(
                "  {connections} connections: nginx {:.0}, dozen {:.0} per CPU-second",
                rates[0], rates[1]
            );
            ratios.push(rates[1] / rates[0]);
            theirs.push(rates[0]);
            ours.push(rates[1]);
        }
        figures.push(Figure {
            name: format!("foundation.gateway-1k-{connections}"),
            measured: median(ratios),
            unit: "x(nginx)".into(),
            target: Target::AtLeast(1.0),
            note: format!(
                "requests per CPU-second: {:.0}, nginx {:.0}; {connections} connections (wrk), 1 KiB answers, one worker on one core, access log off, our request log on",
                median(ours),
                median(theirs)
            ),
        });
    }
    Ok(Measured::of(figures))
}

/// Installs a Debian package, if its program is missing.
fn install(package: &str, program: &str) -> Result<(), Failure> {
    if Path::new(program).exists() {
        return Ok(());
    }
    eprintln!("bench: installing Debian's {package}");
    let done = Command::new("apt-get")
        .args(["install", "-y", "-q", "--no-install-recommends", package])
        .stdout(Stdio::null())
        .status()?;
    if done.success() {
        Ok(())
    } else {
        Err(format!("`apt-get install {package}` failed; install it by hand").into())
    }
}

/// An address that nobody listens on at the moment.
fn free() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn pinned(core: usize, program: &str) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("taskset");
    command.args(["-c", &core.min(cores - 1).to_string(), program]);
    command
}

/// Writes a configuration that keeps everything in `folder`, and returns the arguments that use it.
fn nginx(folder: &Path, name: &str, servers: &str) -> Result<Vec<String>, Failure> {
    let own = folder.join(name);
    std::fs::create_dir_all(&own)?;
    let dir = own.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log; events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nodelay on;
           client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
           uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
           {servers} }}"
    );
    let path = own.join("nginx.conf");
    std::fs::write(&path, config)?;
    Ok(vec![
        "-p".into(),
        dir.to_string(),
        "-e".into(),
        format!("{dir}/error.log"),
        "-c".into(),
        path.display().to_string(),
    ])
}

/// Loads an address for some seconds; the number of requests that were answered.
fn load(at: SocketAddr, connections: u32, seconds: u32) -> Result<f64, Failure> {
    let (connections, seconds) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let output =
        pinned(0, "wrk").args(["-t1", &connections, &seconds, &format!("http://{at}/1k")]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    if let Some(line) = failed {
        return Err(format!("wrk against {at}: {}", line.trim()).into());
    }
    let total = text.lines().find_map(|line| line.trim().split_once(" requests in ")).ok_or_else(|| {
        format!("wrk said nothing of its requests: {text}{}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(total.0.parse()?)
}
