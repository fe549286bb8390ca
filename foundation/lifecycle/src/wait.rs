//! Waiting for what may not be there.

/// Completes with `wait`, or never where there is none: a branch of a `select!` that only sometimes has something to wait
/// for. As cancel-safe as `wait` itself.
pub async fn or_never<W: Future>(wait: Option<W>) -> W::Output {
    match wait {
        Some(wait) => wait.await,
        None => std::future::pending().await,
    }
}
