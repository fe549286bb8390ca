//! Outbox and inbox: events in the transaction that caused them, effects once.
