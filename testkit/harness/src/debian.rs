//! Real servers for tests come from the distribution's packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{lock, run};

/// Makes sure that these Debian packages are there, installing what is missing.
///
/// A package counts as there when dpkg says so, or when a program of its name is on the path. Otherwise, as root or
/// with a password-less sudo, it is installed by apt-get, which is said on standard error. Tests that ask at the same
/// time, also in several processes, wait for each other and install once.
///
/// The error says what is missing and why it could not be installed: print it and skip, or fail, as the test means.
pub fn ensure_debian(packages: &[&str]) -> Result<(), String> {
    if missing(packages).is_empty() {
        return Ok(());
    }
    let path = std::env::temp_dir().join("dozen-apt.lock");
    let _alone = lock(&path)?;
    let missing = missing(packages); // another test may have installed them while this one waited
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let root = rustix::process::geteuid().is_root();
    if find("apt-get").is_none() {
        return Err(format!("{names}: missing, and there is no apt-get to install with"));
    }
    if !root && !can_sudo() {
        return Err(format!(
            "{names}: missing, and installing needs root; run `sudo apt-get install {names}`"
        ));
    }
    eprintln!("installing {names} with apt-get");
    apt_get(root, &["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    apt_get(root, &install)
}

fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    packages.iter().copied().filter(|package| !is_installed(package) && find(package).is_none()).collect()
}

fn is_installed(package: &str) -> bool {
    let status =
        Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).stderr(Stdio::null()).output();
    status.is_ok_and(|output| output.stdout == b"install ok installed")
}

/// The program `name` on the path, or in the folders of servers, which are not on an ordinary user's path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(servers).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn can_sudo() -> bool {
    let answer =
        Command::new("sudo").args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    answer.is_ok_and(|status| status.success())
}

fn apt_get(root: bool, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(if root { "env" } else { "sudo" });
    if !root {
        command.args(["-n", "env"]);
    }
    command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").args(arguments);
    run(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_needs_no_installation() {
        assert_eq!(missing(&["sh", "no-such-package-anywhere"]), ["no-such-package-anywhere"]);
        assert_eq!(ensure_debian(&["sh"]), Ok(()));
    }
}
