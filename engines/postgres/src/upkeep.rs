//! Drops the segments in which nobody needs anything any more, after somebody has trimmed; and those of marks whose day is
//! over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::call::{Param, params, rows};
use crate::shared::Shared;

/// Between two attempts at least. Each may keep others waiting for a moment.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run(shared: Arc<Shared>) {
    let segments = shared.sql("select dozen.drop_segments()").into_owned();
    let marks = shared.sql("select dozen.drop_marks($1)").into_owned();
    let drop = async |sql: &str, params: &[Param<'_>]| {
        let loan = shared.pool.lend().await.ok()?;
        Some(rows(&loan, sql, params).await.ok()?[0].get::<_, i32>(0))
    };
    loop {
        shared.trimmed.notified().await;
        while matches!(drop(&segments, &[]).await, Some(1..)) {}
        let today = shared.today.load(Ordering::Relaxed);
        while matches!(drop(&marks, &params![today => INT8]).await, Some(1..)) {}
        tokio::time::sleep(PAUSE).await;
    }
}
