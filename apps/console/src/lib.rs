//! The console: one web page for each pattern.
