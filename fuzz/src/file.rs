//! The file of an application.

use std::path::Path;
use std::time::{Duration, Instant};

use dozen::config::{Surroundings, parse};

pub(crate) const WORDS: &[&str] = &[
    "app: a\n",
    "services:\n",
    "gateway:\n",
    "  routes:\n",
    "gateway: { routes: { /a: x } }\n",
    "features:\n",
    "translators:\n",
    "compose: {",
    "to: ",
    "auth: ",
    "match: ",
    "when: \"",
    "{query.a}",
    "{*rest}",
    "(?<a>.*)",
    "topics: {",
    "queues:\n",
    "templates:\n",
    "use: ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "--- ",
    "...\n",
    "? ",
    "- ",
    "| \n",
    ">\n",
    "'",
    "\"",
    "\\x00",
    "${env:HOME}",
    "${file:/etc/passwd}",
    "$${",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "\n  ",
    "\t",
    "#",
    "1e999",
    "0x10",
    ".nan",
    "~",
    "30s",
    "5MiB",
    "\u{2028}",
];

/// A file that is taken is written out in full as a file that says the same; one that is not is told in bounded words.
pub(crate) fn file(bytes: &[u8]) {
    let begun = Instant::now();
    let env = |name: &str| (name == "HOME").then(|| "/home: [".to_owned());
    let around = Surroundings { env: &env, folder: Path::new("/nowhere"), reads: &|_| () };
    match parse("dozen.yaml", bytes, &around) {
        Ok(loaded) => {
            let again = parse("dozen.yaml", loaded.expanded.as_bytes(), &around);
            let again = again.unwrap_or_else(|mistakes| panic!("{mistakes}\n{}", loaded.expanded));
            assert_eq!(again.expanded, loaded.expanded);
        }
        Err(mistakes) => {
            let told = mistakes.to_string();
            assert!(told.len() < 1 << 20, "{} bytes of mistakes for {} of a file", told.len(), bytes.len());
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}
