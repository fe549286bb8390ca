//! The rules of RFC 9111, section by section, as tables.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_core::{Ids, SystemClock};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::directives::Directives;
use super::flight::{Boarding, Flights};
use super::rules::{Freshness, Times, Use, Usual, invalidates, is_for_cache, is_known, keeps};
use super::store::{Cache, Kept};

/// 2024-01-01T00:00:00Z.
const NOW: i64 = 1_704_067_200;

/// `name: value` lines.
fn headers(lines: &str) -> HeaderMap {
    let pairs = lines.lines().filter_map(|line| line.trim().split_once(": "));
    pairs
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn asks(text: &str) -> Directives {
    Directives::of_request(&headers(text))
}

fn kept(lines: &str) -> Option<Freshness> {
    let times = Times { asked: NOW, came: NOW };
    keeps(&Directives::default(), false, StatusCode::OK, &headers(lines), Usual::default(), times)
}

#[test]
fn what_may_be_kept_follows_section_3() {
    let times = Times { asked: NOW, came: NOW };
    for (why, asked, is_personal, status, answer, is_kept) in [
        ("§3: explicit freshness", "", false, 200, "cache-control: max-age=60", true),
        ("§3: Expires", "", false, 200, "expires: Mon, 01 Jan 2024 01:00:00 GMT", true),
        ("§3: nothing said, nothing to guess by", "", false, 200, "content-type: text/plain", false),
        ("§5.2.2.5: no-store", "", false, 200, "cache-control: max-age=60, no-store", false),
        (
            "§5.2.1.5: no-store of the request",
            "cache-control: no-store",
            false,
            200,
            "cache-control: max-age=60",
            false,
        ),
        ("§5.2.2.7: private", "", false, 200, "cache-control: private, max-age=60", false),
        (
            "§5.2.2.7: private with names",
            "",
            false,
            200,
            "cache-control: private=\"x, y\", max-age=60",
            false,
        ),
        ("§3.5: authorization", "", true, 200, "cache-control: max-age=60", false),
        ("§3.5: authorization and public", "", true, 200, "cache-control: max-age=60, public", true),
        ("§3.5: authorization and s-maxage", "", true, 200, "cache-control: s-maxage=60", true),
        (
            "§3.5: authorization and must-revalidate",
            "",
            true,
            200,
            "cache-control: max-age=9, must-revalidate",
            true,
        ),
        ("§4.1: Vary: *", "", false, 200, "cache-control: max-age=60\nvary: *", false),
        ("§3.3: a part", "", false, 206, "cache-control: max-age=60", false),
        ("§3: not modified is no answer by itself", "", false, 304, "cache-control: max-age=60", false),
        ("§3: explicit freshness for any final status", "", false, 503, "cache-control: max-age=60", true),
        (
            "RFC 9110 §15.1: by itself, with an age",
            "",
            false,
            404,
            "last-modified: Sun, 31 Dec 2023 00:00:00 GMT",
            true,
        ),
        (
            "RFC 9110 §15.1: not by itself",
            "",
            false,
            302,
            "last-modified: Sun, 31 Dec 2023 00:00:00 GMT",
            false,
        ),
        (
            "§4.2.2: public lets one guess",
            "",
            false,
            302,
            "cache-control: public\nlast-modified: Sun, 31 Dec 2023 00:00:00 GMT",
            true,
        ),
        (
            "nobody means a cookie for everybody",
            "",
            false,
            200,
            "cache-control: max-age=60\nset-cookie: a=1",
            false,
        ),
        ("of no use: never fresh, and nothing to ask by", "", false, 200, "cache-control: max-age=0", false),
        (
            "§5.2.2.4: no-cache is kept to be asked about",
            "",
            false,
            200,
            "cache-control: no-cache\netag: \"1\"",
            false,
        ),
        (
            "§5.2.2.4: with a time it is",
            "",
            false,
            200,
            "cache-control: no-cache, max-age=9\netag: \"1\"",
            true,
        ),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let found = keeps(&asks(asked), is_personal, status, &headers(answer), Usual::default(), times);
        assert_eq!(found.is_some(), is_kept, "{why}");
    }
    let usual = Usual { fresh: Some(30), ..Usual::default() };
    let found = |status: u16, lines: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        keeps(&Directives::default(), false, status, &headers(lines), usual, times).map(|one| one.lifetime)
    };
    assert_eq!((found(200, ""), found(500, ""), found(404, "")), (Some(30), None, None));
    assert_eq!(found(200, "cache-control: max-age=5"), Some(5), "what the answer says comes first");
}

#[test]
fn freshness_follows_section_4_2() {
    for (why, answer, lifetime) in [
        ("§4.2.1: s-maxage comes first", "cache-control: max-age=10, s-maxage=20\nexpires: 0", 20),
        (
            "§4.2.1: max-age comes before Expires",
            "cache-control: max-age=10\nexpires: Mon, 01 Jan 2024 01:00:00 GMT",
            10,
        ),
        (
            "§4.2.1: Expires less Date",
            "date: Mon, 01 Jan 2024 00:00:00 GMT\nexpires: Mon, 01 Jan 2024 01:00:00 GMT",
            3600,
        ),
        ("§5.3: no date is in the past", "expires: 0\netag: \"1\"", 0),
        ("§4.2.1: the stricter of two", "cache-control: max-age=10\ncache-control: max-age=5", 5),
        ("§1.2.2: too large is very long", "cache-control: max-age=99999999999999999999", 1 << 31),
        ("§4.2.1: what cannot be read is stale", "cache-control: max-age=-1\netag: \"1\"", 0),
        ("§4.2.2: a tenth of its age", "last-modified: Sun, 31 Dec 2023 14:00:00 GMT", 3600),
        ("§4.2.2: and a day at most", "last-modified: Sun, 31 Dec 2000 14:00:00 GMT", 86_400),
        ("§5.2: names in any case, values in quotes", "Cache-Control: Max-Age=\"7\"", 7),
    ] {
        assert_eq!(kept(answer).map(|one| one.lifetime), Some(lifetime), "{why}");
    }
    // §4.2.3: the older of what the dates say and what caches before us have said.
    let times = Times { asked: NOW - 2, came: NOW };
    let age = |lines: &str| {
        let lines = headers(&format!("cache-control: max-age=100\n{lines}"));
        let one =
            keeps(&Directives::default(), false, StatusCode::OK, &lines, Usual::default(), times).unwrap();
        (one.age(NOW), one.age(NOW + 10), one.left(NOW + 10))
    };
    assert_eq!(age("date: Mon, 01 Jan 2024 00:00:00 GMT"), (2, 12, 88), "the way took 2 s");
    assert_eq!(age("date: Sun, 31 Dec 2023 23:59:30 GMT"), (30, 40, 60));
    assert_eq!(age("age: 50"), (52, 62, 38));
    assert_eq!(age("age: 200"), (202, 212, -112));
}

#[test]
fn whether_a_copy_answers_follows_sections_4_and_5() {
    for (why, answer, asked, later, wanted) in [
        ("fresh", "max-age=60", "", 59, Use::Fresh),
        ("stale", "max-age=60", "", 60, Use::Ask),
        ("§5.2.1.1: max-age of the request", "max-age=60", "cache-control: max-age=10", 11, Use::Ask),
        ("§5.2.1.1: young enough", "max-age=60", "cache-control: max-age=10", 10, Use::Fresh),
        ("§5.2.1.3: min-fresh", "max-age=60", "cache-control: min-fresh=20", 41, Use::Ask),
        ("§5.2.1.3: fresh for long enough", "max-age=60", "cache-control: min-fresh=20", 40, Use::Fresh),
        ("§5.2.1.4: no-cache of the request", "max-age=60", "cache-control: no-cache", 1, Use::Ask),
        ("§5.4: Pragma", "max-age=60", "pragma: no-cache", 1, Use::Ask),
        (
            "§5.4: not beside Cache-Control",
            "max-age=60",
            "pragma: no-cache\ncache-control: max-age=99",
            1,
            Use::Fresh,
        ),
        ("§5.2.1.2: max-stale", "max-age=60", "cache-control: max-stale=10", 70, Use::Stale),
        ("§5.2.1.2: too stale", "max-age=60", "cache-control: max-stale=10", 71, Use::Ask),
        ("§5.2.1.2: however stale", "max-age=60", "cache-control: max-stale", 7000, Use::Stale),
        (
            "§5.2.2.2: must-revalidate",
            "max-age=60, must-revalidate",
            "cache-control: max-stale",
            61,
            Use::Ask,
        ),
        (
            "§5.2.2.8: proxy-revalidate",
            "max-age=60, proxy-revalidate",
            "cache-control: max-stale",
            61,
            Use::Ask,
        ),
        ("§5.2.2.10: s-maxage is that, too", "s-maxage=60", "cache-control: max-stale", 61, Use::Ask),
        ("§5.2.2.4: no-cache", "max-age=60, no-cache", "", 1, Use::Ask),
        ("RFC 5861 §3", "max-age=60, stale-while-revalidate=10", "", 70, Use::StaleMeanwhile),
        ("RFC 5861 §3: no longer", "max-age=60, stale-while-revalidate=10", "", 71, Use::Ask),
        (
            "RFC 5861 §3: not against must-revalidate",
            "max-age=60, must-revalidate, stale-while-revalidate=10",
            "",
            61,
            Use::Ask,
        ),
    ] {
        let one = kept(&format!("etag: \"1\"\ncache-control: {answer}")).unwrap();
        assert_eq!(one.serves(&asks(asked), NOW + later), wanted, "{why}");
    }
    let one = kept("cache-control: max-age=60, stale-if-error=10").unwrap();
    let stands_in = |asked: &str, later: i64| one.stands_in(&asks(asked), NOW + later);
    assert!(stands_in("", 65) && stands_in("", 70) && !stands_in("", 71), "RFC 5861 §4");
    assert!(stands_in("cache-control: stale-if-error=30", 90), "the client may say more");
    let strict = kept("cache-control: max-age=60, must-revalidate, stale-if-error=10").unwrap();
    assert!(!strict.stands_in(&asks("cache-control: stale-if-error=30"), NOW + 65));
}

#[test]
fn conditions_and_methods_follow_sections_4_3_and_4_4() {
    let kept = headers("etag: W/\"a\"\nlast-modified: Sun, 31 Dec 2023 12:00:00 GMT");
    for (asked, known) in [
        ("if-none-match: \"a\"", true),
        ("if-none-match: W/\"a\"", true),
        ("if-none-match: \"x\", \"a\"", true),
        ("if-none-match: *", true),
        ("if-none-match: \"x\"", false),
        ("if-none-match: \"x\"\nif-modified-since: Sun, 31 Dec 2023 12:00:00 GMT", false),
        ("if-modified-since: Sun, 31 Dec 2023 12:00:00 GMT", true),
        ("if-modified-since: Sun, 31 Dec 2023 11:59:59 GMT", false),
        ("if-modified-since: yesterday", false),
        ("", false),
    ] {
        assert_eq!(is_known(&headers(asked), &kept), known, "{asked}");
    }
    assert!(
        invalidates(&Method::POST, StatusCode::CREATED)
            && invalidates(&Method::DELETE, StatusCode::SEE_OTHER)
    );
    assert!(!invalidates(&Method::GET, StatusCode::OK) && !invalidates(&Method::PUT, StatusCode::CONFLICT));
    assert!(is_for_cache(&Method::HEAD, &headers("")) && !is_for_cache(&Method::POST, &headers("")));
    assert!(!is_for_cache(&Method::GET, &headers("range: bytes=0-1")));
}

fn copy(asked: &str, answer: &str, body: usize) -> Kept {
    let answer = headers(answer);
    let body = Bytes::from(vec![0; body]);
    Kept::new(&headers(asked), StatusCode::OK, answer, body, kept("cache-control: max-age=9").unwrap())
}

fn cache(max: u64) -> Cache {
    Cache::new(max, Ids::new(Arc::new(SystemClock), 1))
}

#[test]
fn copies_are_told_apart_by_what_vary_names() {
    let cache = cache(1 << 20);
    let key: Arc<str> = "a".into();
    for (language, length) in [("en", 1), ("de", 2), ("en", 3)] {
        cache.keep(&key, copy(&format!("accept-language: {language}"), "vary: Accept-Language", length));
    }
    let found = |asked: &str| cache.find(&key, &headers(asked)).map(|kept| kept.body.len());
    assert_eq!(found("accept-language: en"), Some(3), "the newer took the place of the older");
    assert_eq!(
        (found("accept-language: de"), found("accept-language: fr"), found("")),
        (Some(2), None, None)
    );
    cache.forget(&key);
    assert_eq!((found("accept-language: de"), cache.bytes()), (None, 0));
}

#[test]
fn bytes_are_bounded_and_what_was_used_longest_ago_goes() {
    let cache = cache(10_000);
    let key = |at: usize| Arc::<str>::from(format!("{at}"));
    for at in 0..3 {
        cache.keep(&key(at), copy("", "", 2000));
    }
    assert!(cache.find(&key(0), &headers("")).is_some());
    cache.keep(&key(3), copy("", "", 2000));
    let there = |at: usize| cache.find(&key(at), &headers("")).is_some();
    assert_eq!([there(0), there(1), there(2), there(3)], [true, false, true, true]);
    cache.keep(&key(4), copy("", "", 20_000));
    assert!(
        !there(4) && cache.bytes() <= 10_000 && cache.addresses() == 3,
        "what cannot fit drives nothing out"
    );
    for at in 0..1000 {
        cache.keep(&key(at), copy("", "", at));
        assert!(cache.bytes() <= 10_000);
    }
}

#[tokio::test]
async fn a_flight_is_handed_on_when_its_leader_goes_away() {
    let flights = Arc::new(Flights::default());
    let key: Arc<str> = "a".into();
    let Boarding::Leads(lead) = flights.board(&key) else { panic!("the first leads") };
    let Boarding::Waits(first) = flights.board(&key) else { panic!("the second waits") };
    let Boarding::Waits(second) = flights.board(&key) else { panic!("the third waits") };
    drop(lead);
    assert!(!first.landed().await, "nobody brought anything");
    let Boarding::Leads(lead) = flights.board(&key) else { panic!("one of those who waited leads") };
    assert!(!second.landed().await);
    let Boarding::Waits(second) = flights.board(&key) else { panic!("the other waits again") };
    lead.land();
    assert!(tokio::time::timeout(Duration::from_secs(5), second.landed()).await.unwrap());
    assert!(matches!(flights.board(&key), Boarding::Leads(_)), "the next flight is another");
}

#[test]
fn what_a_request_is_told_apart_by_counts_as_well() {
    let cache = cache(10_000);
    for at in 0..100 {
        let agent = format!("user-agent: {}", "x".repeat(5000));
        cache.keep(&format!("{at}").into(), copy(&agent, "vary: user-agent", 1));
    }
    assert!(cache.addresses() == 1 && cache.bytes() > 5000, "{} {}", cache.addresses(), cache.bytes());
}

#[test]
fn what_cannot_be_read_is_never_taken_for_leave() {
    let line = |name: &'static str, value: &[u8]| {
        let mut map = headers("last-modified: Sun, 31 Dec 2023 00:00:00 GMT");
        map.insert(name, HeaderValue::from_bytes(value).unwrap());
        map
    };
    let times = Times { asked: NOW, came: NOW };
    let keeps = |headers: &HeaderMap| {
        keeps(&Directives::default(), false, StatusCode::OK, headers, Usual::default(), times)
    };
    assert!(keeps(&line("cache-control", b"x=\"\xe9\"")).is_some());
    assert_eq!(keeps(&line("cache-control", b"x=\"\xe9\", private")), None);
    assert!(keeps(&line("vary", b"accept")).is_some());
    assert_eq!(keeps(&line("vary", b"accept, \xe9")), None);
    assert_eq!(keeps(&line("vary", b"accept, no name")), None);
    // More seconds than a number holds are many (§1.2.2).
    let old = keeps(&line("age", b"99999999999999999999999")).unwrap();
    assert_eq!(old.serves(&Directives::default(), NOW), Use::Ask);
}
