//! Features in the file: that its defaults are those of the pattern, and that a match becomes a route.

use dozen_strangler::FeatureOptions;

use super::{mistake, read};

const SERVICES: &str =
    "app: a\nservices: { old: { at: 'http://127.0.0.1:1' }, new: { at: 'http://127.0.0.1:2' } }\n";

#[test]
fn a_feature_of_two_services_has_the_defaults_of_the_pattern() {
    let loaded = read(&format!("{SERVICES}features: {{ f: {{ old: old, new: new }} }}")).unwrap();
    assert_eq!(loaded.app.features["f"], FeatureOptions::new("old", "new"));
}

#[test]
fn a_match_is_short_for_a_route_and_what_is_expanded_says_the_same() {
    let text = format!(
        "{SERVICES}features:\n  f:\n    match: ['GET /f/{{*rest}}', {{ path: /g, host: g.example }}]\n    old: old\n    new: new\n\
         gateway: {{ routes: {{ /x: old }} }}"
    );
    let loaded = read(&text).unwrap();
    let again = read(&loaded.expanded).unwrap();
    for loaded in [&loaded, &again] {
        let routes = &loaded.app.gateway.as_ref().unwrap().routes;
        let features: Vec<Option<&str>> = routes.iter().map(|route| route.feature.as_deref()).collect();
        assert_eq!(features, [None, Some("f"), Some("f")]);
        assert_eq!(routes[1].matching.method, ["GET"]);
    }
    assert_eq!(loaded.app.features, again.app.features);
    assert_eq!(loaded.places["features.f"], (4, 7));
}

#[test]
fn a_translator_is_a_side_and_one_that_compares_reads_an_answer_alone() {
    let translators =
        "providers: { old: }\ntranslators:\n  t: { calls: { it: { ask: { provider: old } } } }\n";
    let of = |feature: &str| format!("{SERVICES}{translators}features: {{ f: {feature} }}");
    let loaded = read(&of("{ old: t, new: new, compare: { translators: { old: t, new: t } } }")).unwrap();
    assert_eq!(loaded.app.features["f"].old, "t");
    mistake(
        &of("{ old: old, new: new, compare: { translators: { old: t, new: u } } }"),
        "6:77",
        "there is no translator `u`",
        "there are: t",
    );
    let mapped = "  u: { map: { a: it.a! }, calls: { it: { ask: { provider: old } } } }\n";
    mistake(
        &format!(
            "{SERVICES}{translators}{mapped}features: {{ f: {{ old: old, new: new, compare: {{ translators: {{ old: t, new: u }} }} }} }}"
        ),
        "7:77",
        "`u` cannot read an answer for a comparison: its result is made of more than an answer; move its `map` to `answer`",
        "docs/anticorruption.md shows translators, docs/mapping.md what a table can say",
    );
}

#[test]
fn what_the_pattern_refuses_is_shown_where_it_stands() {
    for (feature, place, wrong, help) in [
        ("{ old: old, new: neu }", "3:33", "there is no service `neu`", "did you mean `new`?"),
        (
            "{ old: old, new: old }",
            "3:33",
            "`old` is the old side already",
            "name the service that will have the capability",
        ),
        (
            "{ old: old, new: new, key: ip }",
            "3:43",
            "`ip` is no key: write `user`, `header NAME` or `cookie NAME`",
            "docs/strangler.md says what a feature can hold",
        ),
        (
            "{ old: old, new: new, match: /f }",
            "3:45",
            "`match` takes requests of the gateway, and the file has none",
            "add `gateway: {}`: its defaults are enough",
        ),
        (
            "{ old: old, new: new, advance: { p99: 0.5 } }",
            "3:54",
            "`advance.p99` must be 1 or more: 1.1 lets the new side be a tenth slower",
            "docs/strangler.md says what a feature can hold",
        ),
        (
            "{ old: old, new: new, onbreach: freeze }",
            "3:38",
            "`onbreach` is not a key of a feature",
            "did you mean `on-breach`?",
        ),
    ] {
        mistake(&format!("{SERVICES}features: {{ f: {feature} }}"), place, wrong, help);
    }
    mistake(
        &format!(
            "{SERVICES}features: {{ f: {{ old: old, new: new }} }}\ngateway: {{ routes: [ {{ match: /f, feature: g }} ] }}"
        ),
        "4:44",
        "there is no feature `g`",
        "there are: f",
    );
}
