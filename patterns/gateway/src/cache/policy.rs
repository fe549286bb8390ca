//! What a route says of its cache, compiled.

use std::time::Duration;

use http::HeaderName;

use super::rules::Usual;
use crate::options::CacheOptions;

/// What a route says of its cache.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(super) usual: Usual,
    /// Headers that tell requests apart in any case.
    pub(super) by: Box<[HeaderName]>,
    pub(super) entry_max: usize,
}

impl Policy {
    pub(crate) fn compile(written: &CacheOptions) -> Result<Self, (String, String)> {
        let CacheOptions { max, entry_max, fresh, by, stale_while_revalidate, stale_if_error } = written;
        if entry_max > max {
            let problem = format!("is {entry_max}, and all answers together may have {max}");
            return Err(("cache.entry-max".into(), problem));
        }
        let header = |name: &String| {
            let read = HeaderName::from_bytes(name.as_bytes());
            read.map_err(|_| (name.clone(), "is no name of a header".to_owned()))
        };
        let seconds = |duration: &Option<Duration>| duration.map_or(0, |duration| duration.as_secs());
        Ok(Self {
            usual: Usual {
                fresh: fresh.map(|fresh| fresh.as_secs()),
                stale_while_revalidate: seconds(stale_while_revalidate),
                stale_if_error: seconds(stale_if_error),
            },
            by: by.iter().map(header).collect::<Result<_, _>>()?,
            entry_max: usize::try_from(*entry_max).unwrap_or(usize::MAX),
        })
    }
}
