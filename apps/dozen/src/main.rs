//! One binary: gateway, registry, sidecars, broker and console.

fn main() {}
