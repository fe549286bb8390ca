//! A running `dozen up`, in a folder of its own.

#![allow(dead_code, reason = "each file of tests uses its part")]

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use dozen_harness::{Program, Signal};

/// What is awaited comes within this, or the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program, its folder, its file, and what it says.
pub(crate) struct Up {
    pub(crate) program: Program,
    pub(crate) folder: tempfile::TempDir,
}

impl Up {
    /// Runs `file` with these variables.
    pub(crate) fn start(file: &str, variables: &[(&str, &str)]) -> Self {
        Self::beside(&[], file, variables)
    }

    /// The same with other files beside it.
    pub(crate) fn beside(files: &[(&str, &str)], file: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_in(folder_of(files), Path::new(env!("CARGO_BIN_EXE_dozen")), file, variables)
    }

    /// In a folder that has been prepared.
    pub(crate) fn within(folder: tempfile::TempDir, file: &str) -> Self {
        Self::start_in(folder, Path::new(env!("CARGO_BIN_EXE_dozen")), file, &[])
    }

    /// The same with these variables.
    pub(crate) fn in_folder(folder: tempfile::TempDir, file: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_in(folder, Path::new(env!("CARGO_BIN_EXE_dozen")), file, variables)
    }

    /// The same with a copy of the program, which is called `dozen` in the folder, and can be replaced.
    /// Other files lie beside it.
    pub(crate) fn start_copy(file: &str, files: &[(&str, &str)]) -> Self {
        let folder = folder_of(files);
        let dozen = folder.path().join("dozen");
        install(Path::new(env!("CARGO_BIN_EXE_dozen")), &dozen);
        Self::start_in(folder, &dozen, file, &[])
    }

    fn start_in(folder: tempfile::TempDir, dozen: &Path, file: &str, variables: &[(&str, &str)]) -> Self {
        replace(folder.path(), "dozen.yaml", file.as_bytes());
        let mut command = Command::new(dozen);
        command.arg("up").current_dir(folder.path()).env_remove("RUST_LOG").envs(variables.iter().copied());
        Self { program: Program::start("dozen up", command).unwrap(), folder }
    }

    /// Returns when everything of the file is up.
    pub(crate) fn ready(self) -> Self {
        self.hear(" is up;");
        self
    }

    /// Replaces the file in one step, as a careful editor does.
    pub(crate) fn write(&self, file: &str) {
        replace(self.folder.path(), "dozen.yaml", file.as_bytes());
    }

    /// The next line that contains `text`, behind the last one heard.
    pub(crate) fn hear(&self, text: &str) -> String {
        self.program.hear(text, PATIENCE).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal).unwrap();
    }

    /// Waits for the end of the program and of its output.
    pub(crate) fn end(&self) -> (ExitStatus, String) {
        let told = self.program.output_to_the_end(PATIENCE).unwrap();
        (self.program.wait_exit(PATIENCE).unwrap(), told)
    }

    /// Stops it, which it does cleanly; gives the lines that it wrote.
    pub(crate) fn stop(self) -> Vec<String> {
        self.signal(Signal::TERM);
        let (status, told) = self.end();
        assert_eq!(status.code(), Some(0), "{told}");
        let lines: Vec<String> = told.lines().map(str::to_owned).collect();
        assert!(lines.last().unwrap().ends_with("stopped"), "{told}");
        lines
    }
}

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// Puts a copy of a program in the place of another one in one step. Another process writes it: what this one has open
/// for writing, a child that a test beside it is just starting has open, too, and then it cannot be run.
pub(crate) fn install(program: &Path, place: &Path) {
    let script = "install -m 755 \"$0\" \"$1.next\" && mv \"$1.next\" \"$1\"";
    let done = Command::new("sh").args(["-c", script]).arg(program).arg(place).status().unwrap();
    assert!(done.success());
}

/// Puts a file in the place of another one in one step.
pub(crate) fn replace(folder: &Path, name: &str, content: &[u8]) {
    std::fs::write(folder.join("next"), content).unwrap();
    std::fs::rename(folder.join("next"), folder.join(name)).unwrap();
}
