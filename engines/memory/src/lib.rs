//! The reference engine, in memory.
