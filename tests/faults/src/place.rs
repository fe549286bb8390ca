//! A folder with an application in it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use dozen_core::{Ids, SystemClock};
use dozen_harness::Program;
use dozen_store::Store;
use rustix::process::{Pid, Signal, kill_process};

use crate::{LOOK, PATIENCE};

/// Marks every process of one place; children inherit it.
const MARK: &str = "DOZEN_TEST_PLACE";

/// A program that `cargo xtask test` has built, beside this test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "there is no {}: run `cargo xtask test`, or \
         `cargo build -p dozen -p shop-orders -p shop-stock -p shop-invoices -p shop-catalogue` first",
        program.display()
    );
    program
}

/// A folder with a `dozen.yaml`; gone when dropped.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A folder that holds this file and nothing else.
    pub fn new(yaml: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("dozen-faults-").tempdir().expect("a folder can be made");
        std::fs::write(folder.path().join("dozen.yaml"), yaml).expect("a file can be written");
        Self { folder }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `dozen up`, not started yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("dozen"));
        self.mark(command.arg("up"));
        command
    }

    /// Makes a command one of this place's.
    pub fn mark(&self, command: &mut Command) {
        command.current_dir(self.path()).env(MARK, self.path()).env_remove("RUST_LOG").env("NO_COLOR", "1");
    }

    /// Starts `dozen up`.
    pub fn up(&self) -> Up {
        Up(Program::start("dozen up", self.command()).unwrap())
    }

    /// Runs `dozen up` to its end, which should come at once; gives its exit code and what it wrote.
    pub fn up_fails(&self) -> (Option<i32>, String) {
        fails(self.command())
    }

    /// Opens the store in the file `name`, as another process may do at any time.
    pub async fn store(&self, name: &str) -> Store {
        self.open(&format!("sqlite:{name}")).await
    }

    /// Opens the store at the address of the place's file.
    pub async fn open(&self, address: &str) -> Store {
        let address = match address.strip_prefix("sqlite:") {
            Some(name) => format!("sqlite:{}", self.file(name).display()),
            None => address.to_owned(),
        };
        dozen_open::open(&address).await.unwrap()
    }

    /// The processes of this place that live.
    pub fn processes(&self) -> Vec<Living> {
        let mark = format!("{MARK}={}", self.path().display());
        let folders = std::fs::read_dir("/proc").expect("this test needs /proc").flatten();
        let living = folders.filter_map(|process| {
            let pid = Pid::from_raw(process.file_name().to_str()?.parse().ok()?)?;
            // A process that has ended and was not waited for yet has no environment any more.
            let environment = std::fs::read(process.path().join("environ")).ok()?;
            let mut variables = environment.split(|byte| *byte == 0);
            if !variables.clone().any(|variable| variable == mark.as_bytes()) {
                return None;
            }
            let service = variables.find_map(|variable| variable.strip_prefix(b"DOZEN_SERVICE="));
            Some(Living { pid, service: service.map(|name| String::from_utf8_lossy(name).into_owned()) })
        });
        living.collect()
    }

    /// Returns when no process of this place lives any more, which must be soon.
    pub fn wait_until_empty(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let living = self.processes();
            if living.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "these outlive a killed `dozen up`: {living:?}");
            std::thread::sleep(LOOK);
        }
    }
}

/// Runs a `dozen up` that cannot work; gives its exit code and everything that it wrote.
pub(crate) fn fails(command: Command) -> (Option<i32>, String) {
    let program = Program::start("dozen up", command).unwrap();
    let status = program.wait_exit(PATIENCE).unwrap();
    (status.code(), told(&program))
}

/// All that a program that has ended wrote. Its last lines may still be on their way through the pipe.
fn told(program: &Program) -> String {
    program.output_to_the_end(PATIENCE).unwrap()
}

/// A process of a place.
#[derive(Clone, Debug)]
pub struct Living {
    /// Its id.
    pub pid: Pid,
    /// The service of the file, if it is one.
    pub service: Option<String>,
}

impl Living {
    /// Ends it as a crash would.
    pub fn kill9(&self) {
        let _ = kill_process(self.pid, Signal::KILL); // it may have ended by itself meanwhile
    }
}

/// A running `dozen up`.
pub struct Up(pub Program);

impl Up {
    /// Starts a command that becomes `dozen up`.
    pub fn start(command: Command) -> Self {
        Self(Program::start("dozen up", command).unwrap())
    }

    /// Runs a command that becomes a `dozen up` which cannot work; gives its exit code and what it wrote.
    pub fn fails(command: Command) -> (Option<i32>, String) {
        fails(command)
    }

    /// Returns when everything of the file is up.
    pub fn ready(self) -> Self {
        self.0.wait_for_line(" is up; state is in ", PATIENCE).unwrap();
        self
    }

    /// The next line that contains `part`, behind the last one that was heard: what happens twice is heard twice.
    pub fn hear(&self, part: &str) -> String {
        self.0.hear(part, PATIENCE).unwrap()
    }

    /// Asks it to stop, which it does cleanly; gives all that it wrote.
    pub fn stop(self) -> String {
        self.0.signal(rustix::process::Signal::TERM).unwrap();
        self.stopped()
    }

    /// Waits for the clean end of one that was asked to stop; gives all that it wrote.
    pub fn stopped(self) -> String {
        let status: ExitStatus = self.0.wait_exit(Duration::from_secs(30)).unwrap();
        let told = told(&self.0);
        assert_eq!(status.code(), Some(0), "{told}");
        assert!(told.contains("│ stopped"), "{told}");
        told
    }
}

/// Random numbers that a seed repeats: from `DOZEN_SEED`, or a new one. Prints which.
pub fn seeded() -> Ids {
    let seed = std::env::var("DOZEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(dozen_open::seed);
    println!("DOZEN_SEED={seed} repeats the random moments of this run");
    Ids::new(std::sync::Arc::new(SystemClock), seed)
}
