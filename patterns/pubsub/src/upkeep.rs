//! Forgetting what is kept no longer.

use dozen_core::Timestamp;
use dozen_messaging::Error;

use crate::Topics;
use crate::catalog::DELETED;

/// Deleted topics that one round looks at.
const DELETED_MAX: usize = 1_000;

impl Topics {
    /// Forgets messages beyond the age and the bytes that their topics keep, earlier messages of a key where only the last
    /// is kept, and what is left of deleted topics; never what a subscription still needs. Gives how many, `limit` of each
    /// topic and reason at most.
    pub async fn trim(&self, limit: usize) -> Result<u64, Error> {
        let mut gone = 0;
        for topic in self.names().await? {
            gone += self.trim_topic(&topic, limit).await?;
        }
        let deleted = self.store.table(DELETED).list("", DELETED_MAX).await;
        for row in deleted.map_err(|error| Error::engine("list the topics that were deleted", error))? {
            gone += self.forget_deleted(&row.key, limit).await?;
        }
        Ok(gone)
    }

    /// The same for one topic.
    pub async fn trim_topic(&self, topic: &str, limit: usize) -> Result<u64, Error> {
        let settings = self.settings(topic).await?;
        let failed = |error| Error::engine(format!("trim topic `{topic}`"), error);
        let (now, stream) = (self.store.clock().now(), Self::stream(topic));
        let keep = i64::try_from(settings.keep.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(now.0.saturating_sub(keep));
        let mut gone =
            self.journal.trim(&stream, before, settings.bytes_keep, limit).await.map_err(failed)?;
        if settings.compact {
            gone += self.journal.compact(&stream, now, limit).await.map_err(failed)?;
        }
        Ok(gone)
    }
}
