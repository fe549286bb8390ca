//! Routes: what is refused, what wins, and what a look-up costs.

use std::time::{Duration, Instant};

use crate::asked::{Asked, Claims, Headers};
use crate::text::Facts;
use crate::{Found, Options, Question, RouteOptions, RouteTable};

mod reference;
mod refused;

fn route(method: &str, path: &str, to: &str) -> RouteOptions {
    let mut route = RouteOptions::new(path, to);
    route.matching.method = method.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    route
}

fn find<'t>(table: &'t RouteTable, method: &str, path: &str) -> Found<'t> {
    table.find(&asked(method, path))
}

fn asked<'r>(method: &'r str, path: &'r str) -> Asked<'r> {
    Asked {
        method,
        scheme: "http",
        host: "localhost",
        path,
        query: None,
        headers: Headers::Given(&[]),
        claims: Claims::NotYet,
        consumer: None,
        address: std::net::IpAddr::from([127, 0, 0, 1]),
    }
}

/// The winner's path template and what is asked of its service.
fn winner(table: &RouteTable, path: &str) -> Option<(String, String)> {
    let Found::Route(hit) = find(table, "GET", path) else { return None };
    let mut target = path.to_owned();
    let asked = asked("GET", path);
    let facts = Facts { asked: &asked, route: "", captures: &hit.captures, captured: path };
    hit.target(&facts, 0, &mut target).unwrap();
    Some((hit.route.path.shape(), target))
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
fn options_are_read_as_documented_and_unknown_keys_refused() {
    let text = r#"{
        "listen": "127.0.0.1:9000",
        "usual": { "eject": { "base": "500ms" } },
        "routes": [
            { "match": { "path": "/a/{id}", "method": "GET" }, "to": "orders:/x/{id}", "timeout": "2s", "body-max": 10 },
            { "match": { "path": "/b", "method": ["GET", "PUT"], "host": "*.example" }, "to": "stock", "total": "1m" }
        ]
    }"#;
    let options: Options = serde_json::from_str(text).unwrap();
    assert_eq!(options.usual.ejection.base, Duration::from_millis(500));
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

#[test]
fn expressions_prefixes_and_names_stand_in_their_order() {
    let mut regex = RouteOptions::new("", "a:/v{major}/{id}");
    regex.matching.regex = Some("^/orders/v(?<major>[0-9]+)-(?<id>[a-z]+)$".into());
    let mut any = RouteOptions::new("", "a:/any");
    any.matching.regex = Some("/.*x".into());
    let routes = vec![
        any,
        route("", "/orders/*", "a:/prefix/{rest}"),
        route("", "/orders/{id}", "a:/one/{id}"),
        regex,
        route("", "/orders/v1-x", "a:/exact"),
    ];
    let table = RouteTable::compile(&routes).unwrap();
    for (path, target) in [
        ("/orders/v1-x", "/exact"),
        ("/orders/v12-abc", "/v12/abc"),
        ("/orders/7", "/one/7"),
        ("/orders/7/8", "/prefix/7/8"),
        ("/orders/7/x", "/prefix/7/x"),
        ("/other/x", "/any"),
    ] {
        assert_eq!(winner(&table, path).unwrap().1, target, "{path}");
    }
    let many: Vec<_> = (0..65)
        .map(|at| {
            let mut route = RouteOptions::new("", "a");
            route.matching.regex = Some(format!("^/a/[0-9]+{at}$"));
            route
        })
        .collect();
    let error = RouteTable::compile(&many).unwrap_err().to_string();
    assert!(error.contains("more than 64 routes match by regular expression"), "{error}");
}

#[test]
fn a_route_that_asks_for_claims_waits_for_the_identity_and_the_rest_is_not_delayed() {
    let mut admin = route("GET", "/a", "admin");
    admin.matching.claim.insert("realm.roles".into(), "admin".into());
    let mut when = route("GET", "/b", "when");
    when.matching.when = Some("claims.sub == 'x' && query.a == '1'".into());
    let table = RouteTable::compile(&[admin, when, route("GET", "/a", "all"), route("GET", "/{*r}", "rest")])
        .unwrap();
    let identified = |path: &str, query: Option<&str>, claims: Claims<'_>| match table.find(&Asked {
        claims,
        query,
        ..asked("GET", path)
    }) {
        Found::Route(hit) => hit.route.services().next().unwrap().0.to_string(),
        Found::Identify(hit) => format!("? {}", hit.route.name),
        found => format!("{found:?}"),
    };
    let claims = serde_json::json!({ "realm": { "roles": ["user", "admin"] }, "sub": "x" });
    assert_eq!(identified("/a", None, Claims::NotYet), "? GET /a realm.roles=admin");
    assert_eq!(identified("/a", None, Claims::None), "all");
    assert_eq!(identified("/a", None, Claims::Are(&claims)), "admin");
    assert_eq!(identified("/b", Some("a=1"), Claims::Are(&claims)), "when");
    assert_eq!(identified("/b", Some("a=2"), Claims::Are(&claims)), "rest");
    assert_eq!(identified("/c", None, Claims::NotYet), "rest");
}

#[test]
fn explain_says_why_one_wins_over_the_next_and_how_a_service_is_chosen() {
    let mut beta = route("GET", "/a/{id}", "new");
    beta.matching.headers.insert("x-group".into(), "~b.*".into());
    beta.to.push(crate::Destination { service: "old".into(), weight: 3 });
    beta.sticky = Some("cookie(user)".into());
    let table =
        RouteTable::compile(&[beta, route("GET", "/a/{id}", "old"), route("", "/*", "rest")]).unwrap();
    let ask = |headers: &[(&str, &str)]| {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        table
            .explain(&Question { method: "GET", url: "/a/7", headers: &headers, ..Question::default() }, None)
    };
    let told = ask(&[("x-group", "beta"), ("cookie", "user=7")]);
    assert_eq!(told.why, "it wins over `GET /a/{id}`: it asks for more (1 condition against 0)");
    assert!(told.choice.as_ref().unwrap().starts_with("cookie `user` lies at 0."), "{told:?}");
    assert!(told.considered[1].why_not.contains("its path has `a` where the other has `{*…}`"), "{told:?}");
    let lot = ask(&[("X-Group", "b")]).choice.unwrap();
    assert_eq!(lot, "by lot, for the request does not have cookie `user`: new 25 %, old 75 %");
    let plain = ask(&[]);
    assert_eq!((plain.service.as_deref(), plain.choice), (Some("old"), None));
    assert_eq!(plain.considered[1].why_not, "header `x-group` = `~b.*` does not hold");
}

#[test]
fn what_is_explained_is_a_path_or_an_absolute_url() {
    let mut shop = route("GET", "/a", "shop");
    shop.matching.host = Some("shop.example".into());
    let table = RouteTable::compile(&[shop, route("GET", "/{*path}", "rest")]).unwrap();
    let told = |url| table.explain(&Question { method: "GET", url, ..Question::default() }, None);
    let asked = |url| {
        let told = told(url);
        (told.host, told.target.unwrap(), told.service.unwrap())
    };
    let shop =
        |host: &str, target: &str, service: &str| (host.to_owned(), target.to_owned(), service.to_owned());
    assert_eq!(asked("https://shop.example:8443/a?b=1"), shop("shop.example", "/a?b=1", "shop"));
    assert_eq!(asked("http://shop.example?b=1"), shop("shop.example", "/?b=1", "rest"));
    assert_eq!(asked("http://shop.example"), shop("shop.example", "/", "rest"));
    // What stands in a query is no place to ask.
    assert_eq!(
        asked("/a?to=http://shop.example/a"),
        shop("localhost", "/a?to=http://shop.example/a", "rest")
    );
}
