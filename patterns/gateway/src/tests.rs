//! Routes: what is refused, what wins, and what a look-up costs.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::table::Asked;
use crate::{Found, Options, RouteOptions, RouteTable};

fn route(method: &str, path: &str, to: &str) -> RouteOptions {
    let mut route = RouteOptions::new(path, to);
    route.matching.method = method.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    route
}

fn find<'t>(table: &'t RouteTable, method: &str, path: &str) -> Found<'t> {
    let fields = |_: &str| std::iter::empty::<&[u8]>();
    table.find("localhost", path, &Asked { method, query: None, fields })
}

/// The winner's path template and what is asked of its service.
fn winner(table: &RouteTable, path: &str) -> Option<(String, String)> {
    let Found::Route(hit) = find(table, "GET", path) else { return None };
    let mut target = path.to_owned();
    hit.rewrite(path, None, &mut target);
    Some((hit.route.template.shape(), target))
}

#[test]
fn the_most_specific_wins_whatever_the_order() {
    let mut routes = vec![
        route("", "/{*rest}", "a:/all/{rest}"),
        route("", "/a/{x}/c", "a:/one/{x}"),
        route("", "/a/b/{y}", "a:/two/{y}"),
        route("", "/a/{x}/{y}", "a:/{y}/{x}"),
        route("", "/a/b/{*rest}", "a"),
        route("", "/a/", "a:/slash"),
    ];
    for _ in 0..routes.len() {
        routes.rotate_left(1);
        let table = RouteTable::compile(&routes).unwrap();
        for (path, shape, target) in [
            ("/a/b/c", "/a/b/{}", "/two/c"),
            ("/a/x/c", "/a/{}/c", "/one/x"),
            ("/a/x/d", "/a/{}/{}", "/d/x"),
            ("/a/b/c/d", "/a/b/{*}", "/a/b/c/d"),
            ("/a/b/", "/a/b/{*}", "/a/b/"),
            ("/a/", "/a/", "/slash"),
            ("/a", "/{*}", "/all/a"),
            ("/a/x", "/{*}", "/all/a/x"),
            ("/", "/{*}", "/all/"),
        ] {
            assert_eq!(winner(&table, path), Some((shape.into(), target.into())), "{path}");
        }
    }
}

#[test]
fn a_method_that_no_route_takes_falls_through_to_a_wider_route_or_lists_what_is_allowed() {
    let mut routes = vec![route("GET", "/a/{x}", "a"), route("PUT,DELETE", "/a/b", "a")];
    let table = RouteTable::compile(&routes).unwrap();
    assert!(matches!(find(&table, "GET", "/a/b"), Found::Route(hit) if &*hit.route.name == "GET /a/{x}"));
    assert!(matches!(find(&table, "HEAD", "/a/b"), Found::Route(_)));
    let Found::Method(allowed) = find(&table, "POST", "/a/b") else { panic!() };
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PUT"]);
    assert!(matches!(find(&table, "GET", "/b"), Found::Nothing));
    routes.push(route("", "/{*rest}", "a"));
    let table = RouteTable::compile(&routes).unwrap();
    assert!(matches!(find(&table, "POST", "/a/b"), Found::Route(hit) if &*hit.route.name == "/{*rest}"));
}

#[test]
fn what_is_wrong_with_a_route_is_said() {
    for (path, to, says) in [
        ("a", "s", "does not begin with `/`"),
        ("/a//b", "s", "empty segment"),
        ("/a/../b", "s", "resolved before routing"),
        ("/a/v{x}", "s", "inside a segment"),
        ("/a/{x}/{x}", "s", "the name `x` twice"),
        ("/{*r}/b", "s", "goes on after"),
        ("/{}", "s", "a name with other characters"),
        ("/a?b", "s", "a path ends before"),
        ("/%zz", "s", "bad escape"),
        ("/a", ":/b", "names no service"),
        ("/a", "http://b/", "is a URL"),
        ("/{x}", "s:/{y}", "`{y}`, which its route does not match"),
        ("/{x}", "s:x", "does not begin with `/`"),
    ] {
        let result = RouteTable::compile(&[RouteOptions::new(path, to)]);
        let text = result.err().map(|error| error.to_string());
        assert!(text.as_ref().is_some_and(|text| text.contains(says)), "{path} {to}: {text:?}");
    }
    let error = RouteTable::compile(&[route("get", "/a", "s")]).unwrap_err().to_string();
    assert!(error.contains("`get` is no HTTP method"), "{error}");
    let mut bad_host = route("", "/a", "s");
    bad_host.matching.host = Some("a b".into());
    assert!(RouteTable::compile(&[bad_host]).unwrap_err().to_string().contains("`a b` is no host name"));
}

#[test]
fn routes_that_cannot_be_told_apart_are_refused_and_named() {
    let error = RouteTable::compile(&[route("GET,PUT", "/a/{x}", "s"), route("PUT", "/a/{y}", "t")]);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("`GET,PUT /a/{x}` and `PUT /a/{y}`") && text.contains("PUT /a/{}"), "{text}");
    // Each of these differs in something.
    let mut beta = route("GET", "/a", "t");
    beta.matching.headers.insert("x-group".into(), "beta".into());
    beta.name = Some("beta".into());
    let mut host = route("GET", "/a", "t");
    host.matching.host = Some("a.example".into());
    RouteTable::compile(&[
        route("GET", "/a", "s"),
        route("", "/a", "s"),
        route("GET", "/a/", "s"),
        beta,
        host,
    ])
    .unwrap();
}

#[test]
fn options_are_read_as_documented_and_unknown_keys_refused() {
    let text = r#"{
        "listen": "127.0.0.1:9000",
        "eject-for": "500ms",
        "routes": [
            { "match": { "path": "/a/{id}", "method": "GET" }, "to": "orders:/x/{id}", "timeout": "2s", "body-max": 10 },
            { "match": { "path": "/b", "method": ["GET", "PUT"], "host": "*.example" }, "to": "stock", "total": "1m" }
        ]
    }"#;
    let options: Options = serde_json::from_str(text).unwrap();
    assert_eq!(options.eject_for, Duration::from_millis(500));
    assert_eq!((options.routes[0].timeout, options.routes[0].body_max), (Duration::from_secs(2), 10));
    assert_eq!(
        (options.routes[1].timeout, options.routes[1].total),
        (Duration::from_secs(30), Some(Duration::from_secs(60)))
    );
    RouteTable::compile(&options.routes).unwrap();
    let again: Options = serde_json::from_str(&serde_json::to_string(&options).unwrap()).unwrap();
    assert_eq!(again, options);
    assert!(serde_json::from_str::<Options>(r#"{"lisen": "127.0.0.1:9000"}"#).is_err());
    assert!(serde_json::from_str::<Options>(r#"{"idle-timeout": "soon"}"#).is_err());
}

/// Without optimisation, on a busy machine, and still far below what ten thousand comparisons would take.
#[test]
fn a_look_up_does_not_grow_with_the_number_of_routes() {
    let fastest = |count: usize| {
        let routes: Vec<_> = (0..count)
            .map(|at| route("GET", &format!("/service-{at}/orders/{{id}}/lines/{{line}}"), "s"))
            .collect();
        let table = RouteTable::compile(&routes).unwrap();
        let path = format!("/service-{}/orders/7/lines/8", count / 2);
        let once = || {
            let start = Instant::now();
            for _ in 0..100 {
                assert!(matches!(find(&table, "GET", &path), Found::Route(_)));
            }
            start.elapsed()
        };
        (0..50).map(|_| once()).min().unwrap()
    };
    let (few, many) = (fastest(10), fastest(10_000));
    assert!(
        many < few * 5 + Duration::from_micros(100),
        "10 routes: {few:?}, 10,000 routes: {many:?} per 100 look-ups"
    );
}

proptest! {
    /// The tree finds a route if and only if some template matches by itself.
    #[test]
    fn the_tree_agrees_with_matching_one_by_one(
        paths in proptest::collection::vec("(/(a|b|\\{x\\})){1,3}|(/(a|b)){0,2}/\\{\\*r\\}", 1..6),
        asked in "(/(a|b|c)?){1,4}",
    ) {
        let mut routes = Vec::new();
        for (at, path) in paths.iter().enumerate() {
            let mut names = 0;
            let unique: String = path.split('x').map(|part| { names += 1; format!("{part}x{names}") }).collect();
            let path = unique.strip_suffix(&format!("x{names}")).unwrap_or(&unique).to_owned();
            routes.push(RouteOptions { name: Some(at.to_string()), ..RouteOptions::new(path, "s") });
        }
        if let Ok(table) = RouteTable::compile(&routes) {
            let by_tree = matches!(find(&table, "GET", &asked), Found::Route(_));
            let by_hand = table.routes.iter().any(|route| route.template.mismatch(&asked).is_none());
            prop_assert_eq!(by_tree, by_hand, "{:?} {}", paths, asked);
        }
    }
}
