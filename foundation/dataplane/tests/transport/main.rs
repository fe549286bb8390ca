//! Seams, TLS, HTTP/2 and WebSockets of a proxy, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod attempts;
mod callers;
mod frames;
mod gone;
mod http2;
mod large;
mod limits;
mod named;
mod rates;
mod seams;
mod serving;
mod tls;
mod trailers;
mod websockets;
mod wire;
mod world;
