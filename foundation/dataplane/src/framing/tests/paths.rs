//! Paths that are made canonical.

use proptest::prelude::*;

use crate::framing::*;

#[test]
fn paths() {
    for (path, expected) in [
        ("/", Ok("/")),
        ("/a/b.txt", Ok("/a/b.txt")),
        ("/a//b///c", Ok("/a/b/c")),
        ("//", Ok("/")),
        ("/a/", Ok("/a/")),
        ("/a/./b", Ok("/a/b")),
        ("/a/../b", Ok("/b")),
        ("/a/b/..", Ok("/a/")),
        ("/a/b/.", Ok("/a/b/")),
        ("/a/%2e%2E/b", Ok("/b")),
        ("/%61dmin", Ok("/admin")),
        ("/a%2fb", Ok("/a%2Fb")),
        ("/a%20b%c3%a9", Ok("/a%20b%C3%A9")),
        ("/\u{e9}\\\"", Ok("/%C3%A9%5C%22")),
        ("/~a-b_c.d!$&'()*+,;=:@", Ok("/~a-b_c.d!$&'()*+,;=:@")),
        ("/.well-known/x", Ok("/.well-known/x")),
        ("/...", Ok("/...")),
        ("/..", Err(Refusal::Path)),
        ("/a/../..", Err(Refusal::Path)),
        ("/a/..;/b", Err(Refusal::Path)),
        ("/a/.;x/b", Err(Refusal::Path)),
        ("/%00", Err(Refusal::Path)),
        ("/%0a", Err(Refusal::Path)),
        ("/%", Err(Refusal::Path)),
        ("/%4", Err(Refusal::Path)),
        ("/%zz", Err(Refusal::Path)),
        ("/%+1", Err(Refusal::Path)),
        ("a", Err(Refusal::Path)),
    ] {
        let mut out = String::new();
        let made = canonical_path(path, Slashes::Merge, &mut out).map(|()| out.as_str());
        assert_eq!(made, expected, "{path}");
    }
    let slashes = |policy| {
        let mut out = String::new();
        canonical_path("/a//b", policy, &mut out).map(|()| out)
    };
    assert_eq!(slashes(Slashes::Keep), Ok("/a//b".into()));
    assert_eq!(slashes(Slashes::Refuse), Err(Refusal::EmptySegment));
}

proptest! {
    /// Canonical is canonical: doing it again changes nothing, and no dot segment or double slash is left.
    #[test]
    fn a_canonical_path_stays_as_it_is(path in "/([a.%/\u{e9};2eEfF5cC]{0,20})") {
        let (mut once, mut twice) = (String::new(), String::new());
        if canonical_path(&path, Slashes::Merge, &mut once).is_ok() {
            canonical_path(&once, Slashes::Merge, &mut twice).unwrap();
            prop_assert_eq!(&once, &twice);
            prop_assert!(!once.contains("//") && !once.split('/').any(|part| part == "." || part == ".."), "{}", once);
            prop_assert!(once.is_ascii() && once.starts_with('/'));
        }
    }
}
