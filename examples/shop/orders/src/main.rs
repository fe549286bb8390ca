//! Takes orders: row, event and work item in one transaction.

fn main() {}
