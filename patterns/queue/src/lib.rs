//! Point-to-point queues over the journal.
