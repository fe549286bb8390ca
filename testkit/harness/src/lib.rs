//! Starts real servers and programs for tests.
