//! A real browser for tests: Debian's Chromium, driven by its own chromedriver in the words of W3C WebDriver.
//!
//! ```text
//!  test ── HTTP, one request a step ──► chromedriver ──► chromium, headless ──► the page under test
//! ```
//!
//! The protocol is JSON over HTTP and small, so it is spoken here directly. Waiting is asking again until a deadline:
//! a page gives a test no signal that it could wait for. Dropping a [`Browser`] ends both programs.

mod browser;

pub use browser::Browser;
