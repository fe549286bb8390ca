//! Unmodified clients of other makers, against dozen.
//!
//! A compatible interface is a claim until a client that has never heard of dozen works with it. The clients come from
//! their registries in fixed versions, are installed once into a cache, and run as they are. Where what runs them is
//! missing, [`node_packages`] says so, and the test prints that instead of failing.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

/// Installs npm packages, each as `name@version`, into a cache, and returns the folder to put into `NODE_PATH`.
///
/// The error says why they cannot be had here: there is no Node, or npm could not install.
pub fn node_packages(packages: &[&str]) -> Result<PathBuf, String> {
    for program in ["node", "npm"] {
        let found = Command::new(program).arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("`{program}` is not on the path"));
        }
    }
    let folder = cache()?.join("npm").join(packages.join("+").replace(['/', '@'], "_"));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let text = |error: std::io::Error| format!("cannot lock {}: {error}", folder.display());
    let lock = File::create(folder.join("lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    let done = folder.join("installed"); // written last: an installation that was cut short is done again
    if !done.exists() {
        eprintln!("installing {} with npm", packages.join(" "));
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .args(packages);
        let output = npm.output().map_err(|error| format!("cannot run npm: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm install failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        fs::write(&done, "").map_err(|error| format!("cannot write {}: {error}", done.display()))?;
    }
    Ok(folder.join("node_modules"))
}

/// Installs packages of Python, each as `name==version`, into a cache, and returns the interpreter that sees them.
///
/// The error says why they cannot be had here: there is no Python, or pip could not install.
pub fn python_packages(packages: &[&str]) -> Result<PathBuf, String> {
    let found = Command::new("python3").args(["-m", "venv", "--help"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return Err("`python3` with its module `venv` is not on the path".to_owned());
    }
    let folder = cache()?.join("python").join(packages.join("+").replace('=', "_"));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let text = |error: std::io::Error| format!("cannot lock {}: {error}", folder.display());
    let lock = File::create(folder.join("lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    let python = folder.join("bin/python");
    let done = folder.join("installed"); // written last: an installation that was cut short is done again
    if !done.exists() {
        eprintln!("installing {} with pip", packages.join(" "));
        let run = |command: &mut Command| {
            let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
            match output.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            }
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
        fs::write(&done, "").map_err(|error| format!("cannot write {}: {error}", done.display()))?;
    }
    Ok(python)
}

fn cache() -> Result<PathBuf, String> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache =
        std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home);
    cache.map(|cache| cache.join("dozen")).ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}
