use std::time::Duration;

use super::*;
use crate::options::Destination;

fn options(routes: Vec<RouteOptions>) -> Options {
    Options { routes, ..Options::default() }
}

#[test]
fn what_is_added_removed_and_changed_is_told_with_the_streams_that_end() {
    let old = options(vec![
        RouteOptions::new("/a", "a"),
        RouteOptions::new("/b", "b"),
        RouteOptions::new("/c", "c:/v1"),
        RouteOptions::new("/d", "d"),
    ]);
    let mut slower = RouteOptions::new("/a", "a");
    slower.timeout = Duration::from_secs(1);
    slower.matching.headers.clear();
    let mut shared = RouteOptions::new("/c", "c:/v2");
    shared.to.push(Destination { service: "e".into(), weight: 1 });
    let renamed = RouteOptions { name: Some("dee".into()), ..RouteOptions::new("/d", "d") };
    let new = options(vec![renamed, slower, shared, RouteOptions::new("/f", "a")]);
    let diff = diff(&old, &new);
    assert_eq!((diff.added, diff.removed), (vec!["/f".to_owned()], vec!["/b".to_owned()]));
    let changed: Vec<_> =
        diff.changed.iter().map(|one| (one.route.as_str(), one.was.as_deref(), one.keys.join(" "))).collect();
    assert_eq!(
        changed,
        [
            ("/a", None, "timeout".to_owned()),
            ("/c", None, "to".to_owned()),
            ("dee", Some("/d"), "name".to_owned()),
        ]
    );
    // A stream to `c` stays where it is: its requests still go there.
    let closes: Vec<_> = diff.closes.iter().map(|one| (one.route.as_str(), one.service.as_str())).collect();
    assert_eq!(closes, [("/b", "b")]);
    assert_eq!((diff.services_gained, diff.services_lost), (vec!["e".to_owned()], vec!["b".to_owned()]));
}

#[test]
fn the_same_is_no_difference_and_what_needs_a_restart_is_said() {
    let old = options(vec![RouteOptions::new("/a", "a")]);
    assert!(diff(&old, &old.clone()).is_empty());
    let mut new = old.clone();
    new.listen.set_port(1);
    new.trusted.push("10.0.0.0/8".parse().unwrap());
    let diff = diff(&old, &new);
    assert_eq!((diff.restart, diff.settings), (vec!["listen"], vec!["trusted"]));
}
