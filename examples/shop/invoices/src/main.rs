//! Competing workers that write invoices.

fn main() {}
