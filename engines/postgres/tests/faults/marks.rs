//! What inboxes have seen, by the day.

use std::time::Duration;

use crate::bench::{fresh, open, server, stranger};
use crate::upkeep::number;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_days_that_are_over_are_dropped_and_not_deleted() {
    let url = server().url(&fresh().await);
    let store = open(&url).await;
    let client = stranger(&url).await;
    let begin = store.clock().now();
    let mark = async |day: u32, key: &str| {
        let now = begin.after(DAY * day);
        let marked = store.transaction(async |tx| tx.mark(&"inbox/a".into(), key, now, DAY * 7).await).await;
        marked.expect("mark").value
    };
    for day in 0..5 {
        for number in 0..20 {
            assert!(mark(day, &format!("{day}-{number}")).await);
        }
    }
    let segments = "select count(*) from pg_inherits where inhparent = 'dozen.mark'::regclass";
    assert_eq!(number(&client, segments).await, 6, "five days, and the next one ahead");
    assert!(!mark(7, "0-0").await, "seven days are not over before they are over");
    assert!(mark(30, "0-0").await);
    for _ in 0..100 {
        if number(&client, segments).await == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(number(&client, segments).await, 2);
    let deleted =
        "select coalesce(sum(n_tup_del), 0)::bigint from pg_stat_user_tables where relname ~ '^mark_'";
    assert_eq!(number(&client, deleted).await, 0);
}
