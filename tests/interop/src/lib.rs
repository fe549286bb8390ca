//! Unmodified clients of other makers, against dozen.
//!
//! A compatible interface is a claim until a client that has never heard of dozen works with it. The clients come from
//! their registries in fixed versions, are installed once into a cache, and run as they are. Where what runs them is
//! missing, a test prints that instead of failing.
