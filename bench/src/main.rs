//! Side by side with real peers.

fn main() {}
