//! Tells other processes where there is something new: what has gathered in a moment as one notification, from a connection
//! of its own, after the commit. A hint that is lost is made up for by looking.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::Mutex;
use tokio::sync::Notify;

use crate::call::{params, rows};
use crate::link::Lane;
use crate::shared::Shared;

/// Between two notifications at least.
const GATHER: Duration = Duration::from_millis(2);
/// The server takes less than 8000 bytes.
const BYTES_MAX: usize = 7_900;
/// Stands between names; a name with it in it cannot be told.
pub(crate) const BETWEEN: char = '\u{1e}';
/// Any name may have something new.
pub(crate) const ALL: &str = "*";

/// What has yet to be told.
#[derive(Default)]
pub(crate) struct Tell {
    names: Mutex<HashSet<Arc<str>>>,
    more: Notify,
}

impl Tell {
    /// Adds names; they are told a moment later.
    pub(crate) fn names(&self, touched: HashSet<Arc<str>>) {
        self.names.lock().extend(touched);
        self.more.notify_one();
    }

    fn take(&self) -> HashSet<Arc<str>> {
        std::mem::take(&mut *self.names.lock())
    }
}

fn payload(us: &str, names: &HashSet<Arc<str>>) -> String {
    let length: usize = names.iter().map(|name| name.len() + 1).sum();
    if us.len() + length > BYTES_MAX || names.iter().any(|name| name.contains(BETWEEN)) {
        return format!("{us}{BETWEEN}{ALL}");
    }
    let mut text = us.to_owned();
    for name in names {
        text.push(BETWEEN);
        text.push_str(name);
    }
    text
}

/// Tells until the engine is dropped; `us` is who we are, so that our own words are not taken for another's.
pub(crate) async fn run(shared: Arc<Shared>, us: String, lane: Lane) {
    let sql = shared.sql("select dozen.tell($1, $2)").into_owned();
    loop {
        shared.tell.more.notified().await;
        let names = shared.tell.take();
        if names.is_empty() {
            continue;
        }
        let told = async {
            let client = lane.client().await.ok()?;
            let payload = payload(&us, &names);
            rows(&client, &sql, &params![shared.link.options.schema => TEXT, payload => TEXT]).await.ok()
        };
        if told.await.is_none() {
            // They look for themselves; a server that is away is not asked in a loop.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(GATHER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_name_is_everything() {
        let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<HashSet<Arc<str>>>();
        assert_eq!(payload("us", &names(&["a\nb"])), "us\u{1e}a\nb");
        assert_eq!(payload("us", &names(&["a\u{1e}b"])), "us\u{1e}*");
        assert_eq!(payload("us", &names(&[&"x".repeat(8_000)])), "us\u{1e}*");
    }
}
