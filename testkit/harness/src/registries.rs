//! Programs of other makers, from the registries of their languages: in fixed versions, installed once into a cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{lock, run};

/// Installs npm packages, each as `name@version`, into a cache, and returns the folder to put into `NODE_PATH`.
///
/// The error says why they cannot be had here: there is no Node, or npm could not install.
pub fn node_packages(packages: &[&str]) -> Result<PathBuf, String> {
    for program in ["node", "npm"] {
        answers(Command::new(program).arg("--version"), &format!("`{program}` is not on the path"))?;
    }
    let folder = installed("npm", packages, |folder| {
        let npm = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        run(Command::new("npm").args(npm).arg(folder).args(packages)).map(drop)
    })?;
    Ok(folder.join("node_modules"))
}

/// Installs packages of Python, each as `name==version`, into a cache, and returns the interpreter that sees them. Programs
/// that they bring stand beside it.
///
/// The error says why they cannot be had here: there is no Python, or pip could not install.
pub fn python_packages(packages: &[&str]) -> Result<PathBuf, String> {
    let venv = ["-m", "venv"];
    let missing = "`python3` with its module `venv` is not on the path";
    answers(Command::new("python3").args(venv).arg("--help"), missing)?;
    let folder = installed("python", packages, |folder| {
        run(Command::new("python3").args(venv).arg(folder))?;
        let pip = ["-m", "pip", "install", "--quiet"];
        run(Command::new(folder.join("bin/python")).args(pip).args(packages)).map(drop)
    })?;
    Ok(folder.join("bin/python"))
}

/// The folder with these packages in the cache, made by `install` if nobody has yet. Those who ask at the same time, also
/// in several processes, wait for each other.
fn installed(
    kind: &str,
    packages: &[&str],
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = cache()?.join(kind).join(packages.join("+").replace(['/', '@', '='], "_"));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let _alone = lock(&folder.join("lock"))?;
    let done = folder.join("installed"); // written last: an installation that was cut short is done again
    if !done.exists() {
        eprintln!("installing {} from {kind}'s registry", packages.join(" "));
        install(&folder)?;
        fs::write(&done, "").map_err(|error| format!("cannot write {}: {error}", done.display()))?;
    }
    Ok(folder)
}

fn answers(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let found = command.output().is_ok_and(|output| output.status.success());
    if found { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn cache() -> Result<PathBuf, String> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache =
        std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home);
    cache.map(|cache| cache.join("dozen")).ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}
