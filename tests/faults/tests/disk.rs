//! A disk that becomes full while `dozen up` runs, and has room again: a small file system in memory, in a mount
//! namespace of its own, that only the program under test sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use dozen_faults::{Place, Up, ports, program};
use dozen_harness::{Reply, Signal, post};
use serde_json::json;

/// Room on the disk, and how much of it a file takes that can be removed.
const ROOM: &str = "size=8m";
const BALLAST: &str = "3000000";
/// What one event carries.
const BYTES: usize = 50_000;

/// `unshare` with the arguments that work here; the error says why none do.
fn namespace(disk: &Path) -> Result<Command, String> {
    let mut why = Vec::new();
    for arguments in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let mut probe = Command::new("unshare");
        probe.args(arguments).args(["mount", "-t", "tmpfs", "-o", ROOM, "none"]).arg(disk);
        match probe.output() {
            Ok(done) if done.status.success() => {
                let mut command = Command::new("unshare");
                command.args(arguments);
                return Ok(command);
            }
            Ok(done) => why.push(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            Err(error) => why.push(format!("unshare: {error}")),
        }
    }
    Err(why.join("; "))
}

fn publish(sidecar: u16, number: usize) -> Reply {
    let text = format!("{number}:{}", "x".repeat(BYTES));
    post(&format!("http://127.0.0.1:{sidecar}/v1.0/publish/pubsub/news"), "text/plain", text).unwrap()
}

#[test]
fn a_full_disk_refuses_and_loses_nothing_and_room_is_all_it_needs() {
    let first = ports(2);
    let (registry, sidecar) = (first, first + 1);
    let place = Place::new(&format!(
        r#"
app: test
store: sqlite:disk/test.db
registry: {{ listen: "127.0.0.1:{registry}" }}
console: false
api: false
services: {{ far: {{ at: "http://127.0.0.1:9", sidecar: {{ port: {sidecar} }} }} }}
topics: {{ news: {{}} }}
"#
    ));
    let disk = place.file("disk");
    fs::create_dir(&disk).unwrap();
    let mut command = match namespace(&disk) {
        Ok(command) => command,
        Err(why) => {
            println!("skipped: no file system can be mounted here: {why}");
            return;
        }
    };
    let script =
        r#"mount -t tmpfs -o "$1" none "$2" && head -c "$3" /dev/zero > "$2/ballast" && exec "$4" up"#;
    command.args(["sh", "-c", script, "sh", ROOM]).arg(&disk).arg(BALLAST).arg(program("dozen"));
    place.mark(&mut command);
    let up = Up::start(command).ready();
    // The disk as the program sees it.
    let seen =
        Path::new("/proc").join(up.0.pid().to_string()).join("root").join(disk.strip_prefix("/").unwrap());
    assert!(seen.join("test.db").exists() && !disk.join("test.db").exists());

    let mut kept = BTreeSet::new();
    let refused = loop {
        let reply = publish(sidecar, kept.len());
        if reply.status != 204 {
            break reply;
        }
        kept.insert(kept.len());
        assert!(kept.len() < 1000, "this disk does not become full");
    };
    assert!(kept.len() > 20, "only {} events were taken", kept.len());
    let message = format!(
        "cannot publish on topic `news`: the disk that holds the store {} is full; \
         nothing of this transaction was kept; make room",
        disk.join("test.db").display()
    );
    assert_eq!(refused.status, 500);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&refused.body).unwrap(),
        json!({ "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE", "message": message })
    );
    // It stays so for everyone, and is no reason to end.
    for number in 2000..2005 {
        assert_eq!(publish(sidecar, number).status, 500);
    }

    fs::remove_file(seen.join("ballast")).unwrap();
    for number in 3000..3005 {
        assert_eq!(publish(sidecar, number).status, 204, "there is room again\n{}", up.0.output());
        kept.insert(number);
    }

    // The disk goes with the program, so what is on it is copied while the program stands still.
    up.0.signal(Signal::STOP).unwrap();
    for file in ["test.db", "test.db-wal"] {
        fs::copy(seen.join(file), place.file(file)).unwrap();
    }
    up.0.signal(Signal::CONT).unwrap();
    up.stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entries = runtime.block_on(async {
        let store = place.store("test.db").await;
        store.journal().read(&"topic/news".into(), 0, 10_000).await.unwrap()
    });
    let number = |data: &[u8]| std::str::from_utf8(data).unwrap().split_once(':').unwrap().0.parse().unwrap();
    let found: Vec<usize> = entries.iter().map(|entry| number(&entry.record.data)).collect();
    assert_eq!(
        found,
        kept.into_iter().collect::<Vec<_>>(),
        "what was acknowledged, in order, and nothing else"
    );
}
