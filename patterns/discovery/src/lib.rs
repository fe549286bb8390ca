//! Service discovery: who is alive, and where.
