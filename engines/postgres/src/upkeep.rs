//! Drops the segments in which nobody needs anything any more, after somebody has trimmed.

use std::sync::Arc;
use std::time::Duration;

use crate::call::rows;
use crate::shared::Shared;

/// Between two attempts at least. Each may keep others waiting for a moment.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run(shared: Arc<Shared>) {
    let sql = shared.sql("select dozen.drop_segments()").into_owned();
    loop {
        shared.trimmed.notified().await;
        loop {
            let dropped = async {
                let loan = shared.pool.lend().await.ok()?;
                Some(rows(&loan, &sql, &[]).await.ok()?[0].get::<_, i32>(0))
            };
            if !matches!(dropped.await, Some(1..)) {
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
