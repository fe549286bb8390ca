//! The description and the router, held against each other.

use std::collections::BTreeSet;

use dozen_openapi::{document, operations};

use super::{OPENAPI, routes};

#[test]
fn every_route_is_described_and_everything_described_is_a_route() {
    let routed: BTreeSet<(String, String)> =
        routes().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    let mut described = operations(&document("0", &[OPENAPI]));
    described.retain(|(_, path)| path.starts_with("/dozen/v1/queues"));
    assert_eq!(routed, described);
}
