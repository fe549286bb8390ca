//! Work on bodies that takes long, beside the connections.
//!
//! A worker serves thousands of connections on one thread, and while it reads and maps a document it serves none of them.
//! So a small document is worked on where it is, since handing it over would cost as much as the work; any other on a thread
//! for work that blocks. As many are worked on at one time as the machine has cores, in the whole process, and others wait for
//! their turn: each of them is a request whose body has been gathered already, and so within the bounds of its route.

use std::sync::{Arc, LazyLock};

use dozen_dataplane::Failure;
use http::{HeaderMap, header};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Bytes of a document that is worked on where it is. A table takes some ten nanoseconds for each byte of JSON, so this is well
/// below a millisecond, and the largest that it may have to do with ten and more; a program takes ten times that.
pub(super) const INLINE_MAX: usize = 16 * 1024;

/// The cores are there once, however many routes and gateways there are.
static TURNS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))));

/// What comes of `work` on a document of `weight` bytes. Work that has begun ends, whether anybody waits for it or not.
pub(super) async fn aside<T: Send + 'static>(
    weight: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if weight <= INLINE_MAX {
        return Ok(work());
    }
    let Ok(turn) = TURNS.clone().acquire_owned().await else { return Err(Failure::Stopped) };
    let done = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Failure::Stopped,
    })
}

/// How large a document may be that came as `bytes` and may become `max`.
pub(super) fn weight(headers: &HeaderMap, bytes: usize, max: usize) -> usize {
    if headers.contains_key(header::CONTENT_ENCODING) { max } else { bytes }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_large_document_leaves_its_worker_free_and_a_small_one_needs_nobody() {
        // There is one thread here: work that waits for it would wait for ever on it.
        let (tell, told) = mpsc::channel();
        let large = aside(INLINE_MAX + 1, move || told.recv().unwrap());
        let (large, ()) = tokio::join!(large, async { tell.send(7).unwrap() });
        assert_eq!(large, Ok(7));
        let here = std::thread::current().id();
        assert_eq!(aside(INLINE_MAX, || std::thread::current().id()).await, Ok(here));
    }

    #[tokio::test]
    async fn as_many_are_worked_on_at_a_time_as_there_are_cores() {
        let cores = TURNS.available_permits().max(1);
        let (running, most) = (Arc::new(std::sync::Mutex::new(0)), Arc::new(std::sync::Mutex::new(0)));
        let one = || {
            let (running, most) = (running.clone(), most.clone());
            aside(INLINE_MAX + 1, move || {
                let now = {
                    let mut running = running.lock().unwrap();
                    *running += 1;
                    *running
                };
                let mut seen = most.lock().unwrap();
                *seen = now.max(*seen);
                drop(seen);
                std::thread::yield_now();
                *running.lock().unwrap() -= 1;
            })
        };
        futures::future::join_all((0..200).map(|_| one())).await;
        assert!(*most.lock().unwrap() <= cores, "{} at a time on {cores}", most.lock().unwrap());
    }
}
