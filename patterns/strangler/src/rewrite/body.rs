//! Absolute links in a body, rewritten as it passes.

use memchr::memmem::Finder;

use super::Addresses;

/// Rewrites a body piece by piece. It holds back what may be the beginning of a link: the longest one looked for, and no more.
///
/// Looked for are `http://HOST`, `https://HOST`, `//HOST` and the same as JSON may escape them (`http:\/\/HOST`), where the host
/// ends there. Paths stay as they are.
pub struct BodyRewriter {
    links: Vec<Link>,
    longest: usize,
    held: Vec<u8>,
}

struct Link {
    finder: Finder<'static>,
    length: usize,
    by: Vec<u8>,
}

/// Whether a body of this type is text in which links stand.
pub fn is_text(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media.starts_with("text/")
        || media.ends_with("json")
        || media.ends_with("xml")
        || media == "application/javascript"
        || media == "application/x-www-form-urlencoded"
}

impl BodyRewriter {
    /// A rewriter for one body.
    pub fn new(addresses: &Addresses) -> Self {
        let bare = addresses.facade.split_once("://").map_or(addresses.facade.as_str(), |(_, host)| host);
        let escaped = addresses.facade.replace('/', "\\/");
        let mut links = Vec::new();
        for host in &addresses.hosts {
            for (text, by) in [
                (format!("http://{host}"), addresses.facade.clone()),
                (format!("https://{host}"), addresses.facade.clone()),
                (format!("http:\\/\\/{host}"), escaped.clone()),
                (format!("https:\\/\\/{host}"), escaped.clone()),
                (format!("\"//{host}"), format!("\"//{bare}")),
                (format!("'//{host}"), format!("'//{bare}")),
            ] {
                let (length, by) = (text.len(), by.into_bytes());
                links.push(Link { finder: Finder::new(&text.into_bytes()).into_owned(), length, by });
            }
        }
        let longest = links.iter().map(|link| link.length).max().unwrap_or(0);
        Self { links, longest, held: Vec::new() }
    }

    /// Takes a piece; gives what can be passed on.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        // A link is decided once the byte after it is there.
        let keep = self.longest.min(self.held.len());
        self.pass(self.held.len() - keep)
    }

    /// Gives the rest, after the last piece.
    pub fn finish(mut self) -> Vec<u8> {
        self.pass(self.held.len())
    }

    /// Passes on what begins before `until`.
    fn pass(&mut self, until: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(until);
        let mut from = 0;
        while from < until {
            let Some((at, link)) = self.next(from).filter(|(at, _)| *at < until) else { break };
            let end = at + link.length;
            out.extend_from_slice(&self.held[from..at]);
            // The host must end here: `old.internal` is no part of `old.internal.example`.
            let ends = self.held.get(end).is_none_or(|byte| {
                !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'-' | b':' | b'_')
            });
            out.extend_from_slice(if ends { &link.by } else { &self.held[at..end] });
            from = end;
        }
        let passed = until.max(from);
        out.extend_from_slice(&self.held[from..passed]);
        self.held.drain(..passed);
        out
    }

    /// The first link at or after `from`, of those that begin there the longest.
    fn next(&self, from: usize) -> Option<(usize, &Link)> {
        let found = self.links.iter().filter_map(|link| {
            let at = link.finder.find(&self.held[from..])?;
            Some((from + at, link))
        });
        found.min_by_key(|(at, link)| (*at, std::cmp::Reverse(link.length)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses() -> Addresses {
        Addresses {
            hosts: vec!["old.internal".into(), "old.internal:8080".into()],
            facade: "https://shop.example".into(),
            prefix: None,
        }
    }

    fn rewritten(pieces: &[&[u8]]) -> String {
        let mut rewriter = BodyRewriter::new(&addresses());
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| rewriter.push(piece)).collect();
        out.extend(rewriter.finish());
        String::from_utf8(out).expect("text in, text out")
    }

    const BEFORE: &str = r#"<a href="http://old.internal:8080/x">, {"u":"http:\/\/old.internal\/y"} '//old.internal/z' https://old.internal.evil http://old.internal:9/ https://old.internal"#;
    const AFTER: &str = r#"<a href="https://shop.example/x">, {"u":"https:\/\/shop.example\/y"} '//shop.example/z' https://old.internal.evil http://old.internal:9/ https://shop.example"#;

    #[test]
    fn links_to_the_system_lead_to_the_facade() {
        assert_eq!(rewritten(&[BEFORE.as_bytes()]), AFTER);
        assert_eq!(rewritten(&[]), "");
        assert_eq!(rewritten(&[b"http://old.inter"]), "http://old.inter");
        assert!(
            is_text("text/html; charset=utf-8") && is_text("application/hal+json") && !is_text("image/png")
        );
    }

    #[test]
    fn little_is_held_back() {
        let mut rewriter = BodyRewriter::new(&addresses());
        let passed = rewriter.push(&[b'x'; 10_000]);
        assert!(passed.len() > 9_900, "{}", passed.len());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_body_is_cut(cuts in proptest::collection::vec(0usize..BEFORE.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut pieces, mut from) = (Vec::new(), 0);
            for cut in cuts {
                pieces.push(&BEFORE.as_bytes()[from..cut]);
                from = cut;
            }
            pieces.push(&BEFORE.as_bytes()[from..]);
            prop_assert_eq!(rewritten(&pieces), AFTER);
        }
    }
}
