//! Translators against real servers on real sockets, and the pieces by themselves.

mod contract;
mod faces;
mod formats;
mod guards;
mod mistakes;
mod operations;
mod pieces;
mod questions;
mod reading;
mod world;
