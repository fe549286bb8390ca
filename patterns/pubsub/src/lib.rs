//! Publish/subscribe over the journal.
