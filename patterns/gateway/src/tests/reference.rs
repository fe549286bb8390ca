//! The compiled table against a search that knows nothing but the rules: every route is held against the request, and
//! of those that take it the first by [`crate::rank`] wins.

use proptest::prelude::*;
use proptest::sample::select;

use super::asked;
use crate::asked::{Asked, Claims, Headers};
use crate::condition::Holds;
use crate::host::without_port;
use crate::rank;
use crate::{Found, RouteOptions, RouteTable};

/// What the naive search finds: a name, or what stands for one.
fn naive(table: &RouteTable, asked: &Asked<'_>) -> String {
    let host = without_port(asked.host).to_ascii_lowercase();
    let fits = |route: &&std::sync::Arc<crate::Route>| {
        route.host.matches(&host)
            && route.path.mismatch(asked.path).is_none()
            && route.conditions.hold(asked) != Holds::No
    };
    let (taking, other): (Vec<_>, Vec<_>) =
        table.routes().iter().filter(fits).partition(|route| route.takes_method(asked.method));
    match taking.into_iter().min_by(|one, other| rank::order(one, other)) {
        Some(route) if route.conditions.hold(asked) == Holds::Claims => format!("? {}", route.name),
        Some(route) => route.name.to_string(),
        None if other.iter().all(|route| route.conditions.hold(asked) != Holds::Yes) => "nothing".into(),
        None => "other methods".into(),
    }
}

fn compiled(table: &RouteTable, asked: &Asked<'_>) -> String {
    match table.find(asked) {
        Found::Route(hit) => hit.route.name.to_string(),
        Found::Identify(hit) => format!("? {}", hit.route.name),
        Found::Method(_) => "other methods".into(),
        Found::Nothing => "nothing".into(),
    }
}

fn route() -> impl Strategy<Value = RouteOptions> {
    let path = prop_oneof![
        4 => "(/(a|b|\\{x\\}|\\{y\\})){1,3}|/|(/(a|b|\\{x\\})){0,2}/(\\*|\\{\\*r\\}|)",
        1 => select(vec!["~/a/[a-z]", "~/a/.*", "~/[ab]/c?", "~/.*", "~/a(/b)?", "~/a/b/?", "~/a/b/[a-c]/.*"])
            .prop_map(str::to_owned),
    ];
    let host = select(vec![None, None, None, Some("a.example"), Some("*.example"), Some("*.b.example")]);
    let method = select(vec![vec![], vec!["GET"], vec!["PUT"], vec!["GET", "PUT"]]);
    let wanted = || select(vec![None, None, Some("1"), Some("*"), Some("~[12]")]);
    (path, host, method, wanted(), wanted(), wanted(), wanted()).prop_map(
        |(path, host, method, header, query, cookie, claim)| {
            let mut options = RouteOptions::new("", "s");
            match path.strip_prefix('~') {
                Some(regex) => options.matching.regex = Some(regex.into()),
                None => options.matching.path = path,
            }
            options.matching.host = host.map(str::to_owned);
            options.matching.method = method.into_iter().map(str::to_owned).collect();
            let place = |wanted: Option<&str>| wanted.map(|wanted| ("h".to_owned(), wanted.to_owned()));
            options.matching.headers = place(header).into_iter().collect();
            options.matching.query = place(query).into_iter().collect();
            options.matching.cookie = place(cookie).into_iter().collect();
            options.matching.claim = place(claim).into_iter().collect();
            options
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_table_finds_what_a_search_by_the_rules_finds(
        routes in proptest::collection::vec(route(), 1..12),
        shift in 0usize..12,
        requests in proptest::collection::vec(
            (
                "(/(a|b|c|d)){1,4}/?|/",
                select(vec!["a.example", "A.Example:80", "x.b.example", "b.example", "other"]),
                select(vec!["GET", "PUT", "HEAD", "POST"]),
                select(vec![None, Some("1"), Some("2"), Some("3")]),
                select(vec![None, Some("h=1"), Some("x=1&h=2"), Some("h")]),
                select(vec![None, Some("x=1; h=1"), Some("h=2")]),
                select(vec![None, Some("1"), Some("2")]),
                any::<bool>(),
            ),
            1..12,
        ),
    ) {
        // Those that cannot stand together with the ones before are left out.
        let mut kept: Vec<RouteOptions> = Vec::new();
        for (at, mut route) in routes.into_iter().enumerate() {
            route.name = Some(at.to_string());
            let mut names = 0;
            let path = std::mem::take(&mut route.matching.path);
            route.matching.path = path.split("{x}").collect::<Vec<_>>().join("{n?}");
            while let Some(at) = route.matching.path.find('?') {
                names += 1;
                route.matching.path.replace_range(at..=at, &names.to_string());
            }
            kept.push(route);
            if RouteTable::compile(&kept).is_err() {
                kept.pop();
            }
        }
        let table = RouteTable::compile(&kept).unwrap();
        let middle = shift % kept.len().max(1);
        kept.rotate_left(middle);
        let rotated = RouteTable::compile(&kept).unwrap();
        for (path, host, method, header, query, cookie, claim, is_seen) in requests {
            let pairs = [header.map(|value| ("H", value)), cookie.map(|value| ("Cookie", value))];
            let headers: Vec<(String, String)> =
                pairs.into_iter().flatten().map(|(name, value)| (name.into(), value.into())).collect();
            let claims = claim.map(|value| serde_json::json!({ "h": value }));
            let claims = match (&claims, is_seen) {
                (_, false) => Claims::NotYet,
                (None, true) => Claims::None,
                (Some(claims), true) => Claims::Are(claims),
            };
            let headers = Headers::Given(&headers);
            let asked = Asked { host, query, headers, claims, ..asked(method, &path) };
            let expected = naive(&table, &asked);
            prop_assert_eq!(compiled(&table, &asked), expected.clone(), "{:?} {:?}", kept, asked);
            // The order of the file means nothing.
            prop_assert_eq!(compiled(&rotated, &asked), expected, "rotated {:?} {:?}", kept, asked);
        }
    }
}
