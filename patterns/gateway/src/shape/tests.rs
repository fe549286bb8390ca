//! Shaping, without a socket.
