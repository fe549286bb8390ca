//! What keeps `dozen up` from starting: it says what and what to do, exits with 1, and leaves everything as it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use dozen_core::Message;
use dozen_faults::{Place, Up, ports, program};

/// An application with a door, a page, and a sidecar beside a service that nobody needs to start.
fn application(gateway: u16, console: u16, sidecar: u16) -> Place {
    Place::new(&format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:0" }}
console: {{ listen: "127.0.0.1:{console}" }}
api: false
services:
  far:  {{ at: "http://127.0.0.1:9", sidecar: {{ port: {sidecar} }} }}
  near: {{ run: [sleep, "600"] }}
gateway: {{ listen: "127.0.0.1:{gateway}", routes: {{ "/": far }} }}
topics: {{ news: {{}} }}
"#
    ))
}

/// Ends with 1 and tells this, exactly; no child was started for it.
fn check_refused(place: &Place, expected: &str) {
    let (code, told) = place.up_fails();
    assert!(place.processes().is_empty());
    assert_eq!(told.trim_end(), expected);
    assert_eq!(code, Some(1));
}

/// A stream with `count` messages of a kilobyte in the place's store, which is closed again.
fn fill(place: &Place, count: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = place.store("test.db").await;
        let message =
            |number| Message::new(format!("m{number}"), "/test", "t").with_data(None, vec![b'x'; 1024]);
        store.journal().append(&"topic/news".into(), (0..count).map(message).collect()).await.unwrap();
    });
}

/// The ids in the place's store, which opens again.
fn kept(place: &Place) -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = place.store("test.db").await;
        let entries = store.journal().read(&"topic/news".into(), 0, 10_000).await.unwrap();
        entries.len()
    })
}

#[test]
fn a_port_that_somebody_has_is_named_with_its_setting() {
    let first = ports(3);
    let place = application(first, first + 1, first + 2);
    fill(&place, 3);
    for (port, part, setting) in [
        (first, "open the gateway", "gateway.listen"),
        (first + 1, "serve the console", "console.listen"),
        (first + 2, "serve the sidecars", "services.far.sidecar.port"),
    ] {
        let stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
        check_refused(
            &place,
            &format!(
                "error: cannot {part}: another process already listens on 127.0.0.1:{port}; stop it or change \
                 `{setting}`\nsee docs/errors/http-listen.md"
            ),
        );
        drop(stranger);
    }
    // The last word is the user's: with the ports free, the same file and the same store work.
    place.up().ready().stop();
    let log = fs::metadata(place.file("test.db-wal"));
    assert!(
        log.is_err() || log.unwrap().len() == 0,
        "after a clean end the store is one file that can be copied"
    );
    assert_eq!(kept(&place), 3);
}

fn damaged(place: &Place, problem: &str) -> String {
    let store = place.file("test.db");
    let store = store.display();
    format!(
        "error: cannot open the store: the store {store} is damaged ({problem}); stop dozen, keep a copy of the file, \
         and restore a backup or recover it with `sqlite3 {store} .recover`\nsee docs/errors/store-corrupt.md"
    )
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let first = ports(3);
    let place = application(first, first + 1, first + 2);
    let letter = "Dear reader, this is a letter and no database.\n".repeat(100);
    fs::write(place.file("test.db"), &letter).unwrap();
    check_refused(&place, &damaged(&place, "file is not a database"));
    assert_eq!(fs::read_to_string(place.file("test.db")).unwrap(), letter);
}

#[test]
fn a_store_that_is_damaged_in_the_middle_is_left_as_it_is_for_recovery() {
    let first = ports(3);
    let place = application(first, first + 1, first + 2);
    fill(&place, 200);
    let mut bytes = fs::read(place.file("test.db")).unwrap();
    assert!(bytes.len() > 200 * 1024, "the store was closed, and so is one file");
    let (from, to) = (4096, bytes.len() / 2 / 4096 * 4096); // whole pages, all but the first
    bytes[from..to].fill(0xa5);
    fs::write(place.file("test.db"), &bytes).unwrap();
    check_refused(&place, &damaged(&place, "database disk image is malformed"));
    assert!(fs::read(place.file("test.db")).unwrap() == bytes, "somebody wrote into a damaged file");
}

#[test]
fn a_store_of_a_newer_version_is_not_touched() {
    let first = ports(3);
    let place = application(first, first + 1, first + 2);
    fill(&place, 3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let known = runtime.block_on(async {
        let store = place.store("test.db").await;
        let rows = store.select("select value from dozen_meta where name = 'schema'", []).await.unwrap();
        let newer = "update dozen_meta set value = 99 where name = 'schema'";
        store.transaction(async |tx| tx.execute(newer, []).await).await.unwrap();
        rows[0].integer(0).unwrap()
    });
    drop(runtime);
    let before = fs::read(place.file("test.db")).unwrap();
    check_refused(
        &place,
        &format!(
            "error: cannot open the store: the store {} has schema 99, and this binary knows {known} at most; run the \
             newer version of dozen that wrote it\nsee docs/errors/store-newer.md",
            place.file("test.db").display()
        ),
    );
    assert!(fs::read(place.file("test.db")).unwrap() == before, "somebody wrote into a newer file");
}

/// `dozen up` as somebody who must obey file modes; `None`, said on the output, where that cannot be arranged.
fn as_nobody(place: &Place) -> Option<Command> {
    if !rustix::process::geteuid().is_root() {
        return Some(place.command());
    }
    let can = Command::new("setpriv").arg("--version").output().is_ok_and(|done| done.status.success());
    if !can {
        println!(
            "skipped: root ignores file modes, and there is no `setpriv` (util-linux) to be somebody else with"
        );
        return None;
    }
    // Where the binary was built may be closed to others.
    let dozen = place.file("dozen");
    if !dozen.exists() {
        let built = program("dozen");
        if fs::hard_link(&built, &dozen).is_err() {
            fs::copy(&built, &dozen).unwrap();
        }
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    place.mark(command.arg(dozen).arg("up"));
    Some(command)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_store_that_may_not_be_written_is_told_by_its_name() {
    let first = ports(3);
    let place = application(first, first + 1, first + 2);
    fill(&place, 3);
    let store = place.file("test.db");
    let read_only = format!(
        "error: cannot open the store: the store {} cannot be written; check the permissions of the file and of its \
         folder\nsee docs/errors/store-read-only.md",
        store.display()
    );
    // Already the check of the file sees it, and so it is a mistake there.
    let folder = format!(
        "error: the store's folder `{}` cannot be written to\n --> dozen.yaml:3:8\n  |\n3 | store: sqlite:test.db\n  \
         |        ^^^^^^^^^^^^^^\n  = help: SQLite writes its file and two more beside it; choose a folder that this \
         user may write to\n\n1 mistake in dozen.yaml; docs/configuration.md describes every key",
        place.path().display()
    );
    for (file_mode, folder_mode, code, expected) in
        [(0o444, 0o777, 1, &read_only), (0o666, 0o555, 2, &folder), (0o444, 0o555, 2, &folder)]
    {
        let Some(command) = as_nobody(&place) else { return };
        mode(&store, file_mode);
        mode(place.path(), folder_mode);
        let (ended, told) = Up::fails(command);
        mode(place.path(), 0o755);
        assert_eq!(told.trim_end(), expected);
        assert_eq!(ended, Some(code));
    }
    mode(&store, 0o644);
    assert_eq!(kept(&place), 3);
}
