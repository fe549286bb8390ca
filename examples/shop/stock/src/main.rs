//! Subscribes to orders and keeps stock.

fn main() {}
