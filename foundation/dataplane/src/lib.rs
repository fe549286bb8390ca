//! The HTTP engine: listeners, framing, upstream pools, balancing.
