//! What is refused before it takes effect.

use super::route;
use crate::{RouteOptions, RouteTable};

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
fn a_redirect_leads_to_no_host_that_the_request_may_choose() {
    let compile = |path: &str, to: &str| {
        let mut route = RouteOptions::new(path, "s");
        route.to.clear();
        route.redirect = Some(crate::Redirect { to: to.into(), status: 307 });
        RouteTable::compile(&[route]).map(drop).map_err(|error| error.to_string())
    };
    for (path, to) in [
        ("/a", "https://{query.host}/x"),
        ("/a", "https://shop.example{query.more}"),
        ("/a/{*rest}", "https://shop.example{rest}"),
        ("/a/{id}", "http://{id}.shop.example/"),
        ("/a/{host}", "https://{host}/x"),
        ("/a", "https://{header.referer}"),
        ("/a", "https://{host}{claim.sub}"),
    ] {
        let said = compile(path, to);
        assert!(said.as_ref().is_err_and(|text| text.contains("to which host it leads")), "{to}: {said:?}");
    }
    for (path, to) in [
        ("/a", "https"),
        ("/a", "https://{host}"),
        ("/a", "https://{host}:8443{uri}"),
        ("/a", "https://www.{host}{path}?from={query.a}"),
        ("/a/{*rest}", "https://shop.example/{rest}"),
        ("/a", "https://shop.example?to={query.host}"),
        ("/a/{*rest}", "/{rest}"),
    ] {
        assert_eq!(compile(path, to), Ok(()), "{to}");
    }
}

#[test]
fn what_a_route_does_has_to_fit_together() {
    let wrong = |change: &dyn Fn(&mut RouteOptions), says: &str| {
        let mut route = RouteOptions::new("/a/{*rest}", "s");
        change(&mut route);
        let error = RouteTable::compile(&[route]).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    let redirect = |to: &str, status| Some(crate::Redirect { to: to.into(), status });
    wrong(&|route| route.to.clear(), "leads nowhere");
    wrong(&|route| route.redirect = redirect("https", 308), "more than one of `to`, `redirect`");
    wrong(&|route| route.to[0].weight = 0, "only services of weight 0");
    wrong(&|route| route.sticky = Some("user".into()), "is no key; write `cookie(user)`");
    for to in ["//evil", "ftp://a", "{rest}", "/\\{rest}\n"] {
        wrong(
            &|route| {
                route.to.clear();
                route.redirect = redirect(to, 302);
            },
            "`",
        );
    }
    wrong(
        &|route| {
            route.to.clear();
            route.redirect = redirect("/b", 303);
        },
        "has the status 303",
    );
    let rewrite = |prefix: Option<&str>, regex: Option<&str>, with: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(crate::Rewrite {
            path_prefix: owned(prefix),
            regex: owned(regex),
            with: owned(with),
            host: None,
        })
    };
    wrong(&|route| route.rewrite = rewrite(Some("/b"), Some("x"), Some("/y")), "in one way");
    wrong(&|route| route.rewrite = rewrite(None, Some("x"), None), "needs both");
    wrong(
        &|route| {
            route.to[0].service = "s:/x".into();
            route.rewrite = rewrite(Some("/b"), None, None);
        },
        "another in `rewrite`",
    );
    wrong(
        &|route| {
            route.matching.path = "/a".into();
            route.rewrite = rewrite(Some("/b"), None, None);
        },
        "the match has none",
    );
    wrong(&|route| route.matching.regex = Some("/b".into()), "beside a `path`");
    wrong(
        &|route| {
            route.matching.headers.insert("a".into(), "~(".into());
        },
        "unclosed group",
    );
    wrong(&|route| route.matching.when = Some("nobody == 1".into()), "is no condition");
}
