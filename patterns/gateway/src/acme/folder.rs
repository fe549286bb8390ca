//! What is kept: an account, and a certificate with its key.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};

const ACCOUNT: &str = "account.json";

/// An account, and where it is one.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

/// The account at `directory`. One of another authority, or one that cannot be read, is none.
pub(super) fn account(folder: &Path, directory: &str) -> Option<AccountCredentials> {
    let text = std::fs::read(folder.join(ACCOUNT)).ok()?;
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    (kept.directory == directory).then_some(kept.credentials)
}

pub(super) fn keep_account(
    folder: &Path,
    directory: &str,
    credentials: AccountCredentials,
) -> io::Result<()> {
    let kept = Kept { directory: directory.to_owned(), credentials };
    write(folder, &folder.join(ACCOUNT), &serde_json::to_vec(&kept)?)
}

/// Forgets an account that the authority does not know.
pub(super) fn forget_account(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(ACCOUNT));
}

/// Puts a file that only its owner may read in the place of another one, all of it or nothing.
pub(super) fn write(folder: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A folder that was there before is narrowed too: keys lie in it.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    let next = file.with_extension(format!("next-{}", std::process::id()));
    let _ = std::fs::remove_file(&next);
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    to.write_all(content)?;
    to.sync_all()?;
    std::fs::rename(&next, file)?;
    File::open(folder)?.sync_all()
}
