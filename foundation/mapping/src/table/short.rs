//! A rule in its short form: a path with a sign behind it.

use super::field::Said;
use super::path::Path;
use super::rule::Count;

impl Said {
    /// `Item/Price!` is required, `Item/Note?` is optional.
    pub(super) fn short(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let sign = text.chars().next_back().filter(|sign| matches!(sign, '!' | '?'));
        let path = Path::parse(text.strip_suffix(['!', '?']).unwrap_or(text))?;
        let plural = path.is_plural();
        let count = match (plural, sign) {
            (true, Some('!')) => Count::Some,
            (true, _) => Count::Many,
            (false, Some('?')) => Count::Optional,
            (false, _) => Count::One,
        };
        Ok(Self {
            paths: vec![path],
            from_at: "from",
            count,
            count_said: plural || sign == Some('?'),
            required: sign == Some('!'),
            ..Self::default()
        })
    }
}
