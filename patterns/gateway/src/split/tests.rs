use super::*;
use crate::asked::{Claims, Headers};

fn split(weights: &[u32]) -> Split {
    let written: Vec<Written> = weights
        .iter()
        .zip('a'..)
        .map(|(weight, name)| Written { service: name.into(), weight: *weight })
        .collect();
    let path = PathMatch::parse("/", None).unwrap();
    Split::compile("checkout", &written, Some("cookie(user)"), &path).unwrap()
}

fn asked(headers: &[(String, String)]) -> Asked<'_> {
    Asked {
        method: "GET",
        scheme: "http",
        host: "a",
        path: "/",
        query: None,
        headers: Headers::Given(headers),
        claims: Claims::NotYet,
        consumer: None,
        address: std::net::IpAddr::from([127, 0, 0, 1]),
    }
}

fn chosen(split: &Split, user: u32) -> usize {
    let headers = [("cookie".to_owned(), format!("user=u{user}"))];
    split.choose(&asked(&headers), 0, false).0
}

#[test]
fn shares_are_kept_and_a_change_of_weights_moves_only_the_slice_between_the_borders() {
    let (before, after) = (split(&[90, 10]), split(&[80, 20]));
    let (mut to_b, mut moved) = (0, 0);
    for user in 0..10_000 {
        let (old, new) = (chosen(&before, user), chosen(&after, user));
        assert!(new >= old, "user {user} went back to the first service");
        to_b += old;
        moved += usize::from(new != old);
    }
    assert!((900..1100).contains(&to_b) && (900..1100).contains(&moved), "{to_b} {moved}");
}

#[test]
fn the_line_is_the_same_in_every_version() {
    // Changing these moves every user of every installation.
    assert_eq!(point("checkout", b"u1"), 0xe56c_5065_8b40_bc2a);
    assert_eq!(point("", b""), 0xb903_4ad3_7056_f5fb);
}

#[test]
fn without_a_key_it_is_the_lot_and_a_trusted_caller_is_followed() {
    let two = split(&[1, 1]);
    assert_eq!(two.choose(&asked(&[]), 0, false), (0, Because::Lot));
    assert_eq!(two.choose(&asked(&[]), u64::MAX, false), (1, Because::Lot));
    let said = [(HEADER.to_owned(), "other=a, checkout=b".to_owned())];
    assert_eq!(two.choose(&asked(&said), 0, true), (1, Because::Told));
    assert_eq!(two.choose(&asked(&said), 0, false), (0, Because::Lot));
    assert_eq!((two.said(1).as_deref(), split(&[1]).said(0)), (Some("checkout=b"), None));
}
