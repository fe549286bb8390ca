//! `dozen queue list` and `peek`: what waits.

use dozen_queue::{Overview, READER};
use dozen_store::{ClaimState, Entry, ReaderStatus};

use super::super::look::{Look, ago, excerpt, table};
use crate::Error;

pub(super) async fn list(look: &Look) -> Result<String, Error> {
    let found = Overview::of(&look.store).await.map_err(Error::pattern("look at the queues"))?;
    let now = look.now();
    let row = |name: &str, queue: &Overview| {
        vec![
            name.to_owned(),
            queue.fresh.to_string(),
            queue.working.to_string(),
            queue.waiting.to_string(),
            queue.held.to_string(),
            queue.dead.to_string(),
            queue.oldest.map(|oldest| ago(oldest, now)).unwrap_or_default(),
            if queue.paused { "paused".into() } else { String::new() },
        ]
    };
    let nothing = Overview::default();
    let declared = look.app.queues.iter().map(|queue| {
        row(&queue.name, found.iter().find(|overview| overview.name == queue.name).unwrap_or(&nothing))
    });
    // What is in the store and no longer in the file must not be forgotten.
    let left = found.iter().filter_map(|overview| {
        let declared = look.app.queues.iter().any(|queue| queue.name == overview.name);
        (!declared).then(|| row(&format!("{} (not in the file)", overview.name), overview))
    });
    let rows: Vec<Vec<String>> = declared.chain(left).collect();
    Ok(table(&["QUEUE", "NEW", "WORKING", "WAITING", "HELD", "DEAD", "OLDEST", ""], &rows))
}

/// What is next, of the highest priority first.
pub(super) async fn peek(look: &Look, name: &str, number: usize) -> Result<String, Error> {
    let queue = look.queue(name).await?;
    let (journal, failed) = (look.store.journal(), || Error::pattern(format!("look into queue `{name}`")));
    let (mut rows, reader) = (Vec::new(), READER.into());
    let priorities = queue.options().priorities;
    for priority in (0..priorities).rev() {
        let stream = dozen_queue::Queue::stream_of(name, priority);
        let mut row = |entry: &Entry, step: &str, attempts: u32| {
            let record = &entry.record;
            let mut row =
                vec![entry.position.to_string(), step.to_owned(), attempts.to_string(), record.id.clone()];
            row.extend([record.kind.clone(), record.key.clone().unwrap_or_default(), excerpt(&record.data)]);
            if priorities > 1 {
                row.insert(0, priority.to_string());
            }
            rows.push(row);
        };
        for (state, step) in
            [(ClaimState::Leased, "working"), (ClaimState::Waiting, "waiting"), (ClaimState::Held, "held")]
        {
            let claims = journal.claims(&stream, &reader, state, 0, number).await.map_err(failed())?;
            for (claim, entry) in claims {
                entry.iter().for_each(|entry| row(entry, step, claim.attempts));
            }
        }
        let readers = journal.readers(&stream).await.map_err(failed())?;
        let mine = |status: &&ReaderStatus| *status.stream == *stream && status.reader == READER;
        let position = readers.iter().find(mine).map_or(0, |status| status.position);
        let fresh = journal.read(&stream, position, number).await.map_err(failed())?;
        fresh.iter().for_each(|entry| row(entry, "new", 0));
    }
    rows.truncate(number);
    let head = ["PRIORITY", "POSITION", "STATE", "ATTEMPTS", "ID", "TYPE", "KEY", "DATA"];
    Ok(table(&head[usize::from(priorities == 1)..], &rows))
}
