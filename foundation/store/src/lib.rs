//! The heart: transactions, one journal, tables and leases, over any engine.
