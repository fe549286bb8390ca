//! The decisions of RFC 9111, from heads and times alone. Sections are those of that document.

use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::directives::{Directives, seconds};

/// The longest that an answer is taken to be fresh for which nobody says so: a day, and a tenth of its age (§4.2.2).
const HEURISTIC_MAX: u64 = 24 * 3600;

/// What is known of an answer that is kept. Moments are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    /// How long it is fresh, from its making.
    pub(super) lifetime: u64,
    /// How old it was when it came (§4.2.3).
    initial_age: u64,
    /// When it came.
    came: i64,
    /// How long it may be used stale while a new one is fetched, and in the place of a failure.
    stale_while_revalidate: u64,
    stale_if_error: u64,
    /// Whether it may be given to a client that takes stale ones.
    may_be_stale: bool,
    must_be_asked: bool,
}

/// What the route says where an answer says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usual {
    pub(super) fresh: Option<u64>,
    pub(super) stale_while_revalidate: u64,
    pub(super) stale_if_error: u64,
}

/// What becomes of a request for which there is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is the answer.
    Fresh,
    /// It is the answer, and a new one is fetched beside.
    StaleMeanwhile,
    /// It is the answer, because the client takes stale ones.
    Stale,
    /// The service is asked whether it still holds.
    Ask,
}

/// When an answer was asked for, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) asked: i64,
    pub(super) came: i64,
}

/// Whether a request may be answered from a cache at all, and its answer kept: a `GET` or `HEAD` for all of something.
pub(super) fn is_for_cache(method: &Method, headers: &HeaderMap) -> bool {
    let for_all = !headers.contains_key(header::RANGE)
        && !headers.contains_key(header::IF_MATCH)
        && !headers.contains_key(header::IF_UNMODIFIED_SINCE);
    (*method == Method::GET || *method == Method::HEAD) && for_all
}

/// Whether an answer may be kept, and how long it is fresh (§3). `None` if it may not.
pub(super) fn keeps(
    asked: &Directives,
    is_personal: bool,
    status: StatusCode,
    headers: &HeaderMap,
    usual: Usual,
    times: Times,
) -> Option<Freshness> {
    let said = Directives::of(headers);
    let is_final = !matches!(status.as_u16(), 100..=199 | 206 | 304);
    let shares = said.public || said.s_maxage.is_some() || said.must_revalidate;
    let refused = asked.no_store
        || said.no_store
        || said.private
        || !is_final
        || (is_personal && !shares)
        // Nobody means a cookie for everybody.
        || headers.contains_key(header::SET_COOKIE)
        || varies_by_everything(headers);
    if refused {
        return None;
    }
    let date = date(headers, header::DATE).unwrap_or(times.came);
    let lifetime = lifetime(status, &said, headers, usual, date)?;
    let has_validator = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    // What is never fresh and cannot be asked about is of no use.
    if (lifetime == 0 || said.no_cache) && !has_validator {
        return None;
    }
    let apparent = u64::try_from(times.came - date).unwrap_or(0);
    let age = headers.get(header::AGE).and_then(|value| seconds(value.to_str().ok()?.trim()));
    let delay = u64::try_from(times.came - times.asked).unwrap_or(0);
    let corrected = age.unwrap_or(0).saturating_add(delay);
    let may_be_stale =
        !(said.must_revalidate || said.proxy_revalidate || said.s_maxage.is_some() || said.no_cache);
    let allowed = |said: Option<u64>, usual: u64| if may_be_stale { said.unwrap_or(usual) } else { 0 };
    Some(Freshness {
        lifetime,
        initial_age: apparent.max(corrected),
        came: times.came,
        stale_while_revalidate: allowed(said.stale_while_revalidate, usual.stale_while_revalidate),
        stale_if_error: allowed(said.stale_if_error, usual.stale_if_error),
        may_be_stale,
        must_be_asked: said.no_cache,
    })
}

/// How long an answer is fresh (§4.2.1). `None` where nobody says anything, and nothing lets one guess.
fn lifetime(
    status: StatusCode,
    said: &Directives,
    headers: &HeaderMap,
    usual: Usual,
    date: i64,
) -> Option<u64> {
    if let Some(seconds) = said.s_maxage.or(said.max_age) {
        return Some(seconds);
    }
    if let Some(expires) = headers.get(header::EXPIRES) {
        // A text that is no date is in the past.
        let expires = self::date_of(expires).unwrap_or(i64::MIN);
        return Some(u64::try_from(expires.saturating_sub(date)).unwrap_or(0));
    }
    // §15.1 of RFC 9110: statuses that may be kept although nobody says so.
    let by_itself =
        matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501);
    if !by_itself && !said.public {
        return None;
    }
    if let Some(fresh) = usual.fresh.filter(|_| by_itself && status.is_success()) {
        return Some(fresh);
    }
    let modified = self::date(headers, header::LAST_MODIFIED)?;
    let since = u64::try_from(date.saturating_sub(modified)).unwrap_or(0);
    Some((since / 10).min(HEURISTIC_MAX))
}

impl Freshness {
    /// How old it is (§4.2.3).
    pub(super) fn age(&self, now: i64) -> u64 {
        self.initial_age.saturating_add(u64::try_from(now - self.came).unwrap_or(0))
    }

    /// How long it is fresh from now on; less than nothing since it is not.
    pub(super) fn left(&self, now: i64) -> i64 {
        let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        signed(self.lifetime).saturating_sub(signed(self.age(now)))
    }

    /// Whether it answers a request that says `asked` (§4, §5.2.1).
    pub(super) fn serves(&self, asked: &Directives, now: i64) -> Use {
        let age = self.age(now);
        if asked.no_cache || self.must_be_asked || asked.max_age.is_some_and(|max| age > max) {
            return Use::Ask;
        }
        let left = self.left(now);
        if left > 0 && asked.min_fresh.is_none_or(|min| left >= i64::try_from(min).unwrap_or(i64::MAX)) {
            return Use::Fresh;
        }
        if asked.min_fresh.is_some() || !self.may_be_stale {
            return Use::Ask;
        }
        let stale = left.unsigned_abs();
        if self.stale_while_revalidate > 0 && stale <= self.stale_while_revalidate {
            return Use::StaleMeanwhile;
        }
        match asked.max_stale {
            Some(max) if stale <= max => Use::Stale,
            _ => Use::Ask,
        }
    }

    /// Whether it may stand in for a failure (RFC 5861 §4).
    pub(super) fn stands_in(&self, asked: &Directives, now: i64) -> bool {
        let stale = u64::try_from(-self.left(now)).unwrap_or(0);
        let allowed = match asked.stale_if_error {
            Some(asked) if self.may_be_stale => self.stale_if_error.max(asked),
            _ => self.stale_if_error,
        };
        !asked.no_cache && allowed > 0 && stale <= allowed
    }
}

/// Whether an answer is a failure that a stale copy may stand in for.
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Whether an answer to `method` says that what is kept of its target no longer holds (§4.4).
pub(super) fn invalidates(method: &Method, status: StatusCode) -> bool {
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    !is_safe && (status.is_success() || status.is_redirection())
}

/// Whether a client that sent these conditions has what `kept` is the head of (§4.3.2).
pub(super) fn is_known(asked: &HeaderMap, kept: &HeaderMap) -> bool {
    if asked.contains_key(header::IF_NONE_MATCH) {
        let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let tag = kept.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(opaque);
        return lines
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .any(|one| one == "*" || tag.is_some_and(|tag| opaque(one) == tag));
    }
    let since = date(asked, header::IF_MODIFIED_SINCE);
    let modified = date(kept, header::LAST_MODIFIED).or(date(kept, header::DATE));
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// A tag without its weakness.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Whether no request is like another (§4.1).
fn varies_by_everything(headers: &HeaderMap) -> bool {
    vary(headers).any(|name| name.is_none())
}

/// The names in `Vary`; none for `*`, and for what is no name: nobody can tell requests apart by it.
pub(super) fn vary(headers: &HeaderMap) -> impl Iterator<Item = Option<HeaderName>> {
    let lines = headers.get_all(header::VARY).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let names = names.filter(|name| !name.is_empty());
    // A name may hold a `*`, but none is one.
    names.map(|name| HeaderName::from_bytes(name).ok().filter(|name| name != "*"))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    headers.get(name).and_then(date_of)
}

fn date_of(value: &HeaderValue) -> Option<i64> {
    let moment = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).ok()
}
