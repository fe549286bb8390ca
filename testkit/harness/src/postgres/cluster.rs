//! The programs of PostgreSQL, and a cluster to copy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::ensure_debian;
use crate::run::{lock, run};
use crate::unprivileged::{Folder, as_server_user};

/// The cluster that all others of this process are copied from.
pub(super) fn template() -> Result<&'static Path, String> {
    static TEMPLATE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| {
        ensure_debian(&["postgresql"])?;
        // One for all test processes of this user: nothing in it ever changes.
        let version = programs()?.display().to_string().replace('/', "-");
        let path = std::env::temp_dir().join(format!("dozen-pg-template{version}"));
        let _alone = lock(&path.with_extension("lock"))?;
        if path.exists() {
            return Ok(path);
        }
        let making = Folder::new()?;
        let data = making.path().join("data");
        let mut initdb = as_server_user(&programs()?.join("initdb"));
        let settings = ["-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"];
        initdb.arg("-D").arg(&data).args(settings);
        run(&mut initdb)?;
        run(Command::new("cp").arg("-a").arg(&data).arg(&path))?;
        Ok(path)
    });
    made.as_deref().map_err(Clone::clone)
}

/// Where the newest version's programs are: Debian keeps them off the path.
pub(super) fn programs() -> Result<PathBuf, String> {
    let root = Path::new("/usr/lib/postgresql");
    let versions =
        std::fs::read_dir(root).map_err(|error| format!("cannot read {}: {error}", root.display()))?;
    versions
        .filter_map(|version| version.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| root.join(version.to_string()).join("bin"))
        .ok_or_else(|| format!("there is no version of PostgreSQL in {}", root.display()))
}
