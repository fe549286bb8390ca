use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A login service as both sides have one, in this process: sessions `s-NAME`, tokens `t-NAME`.
#[derive(Default)]
struct Logins {
    asked: AtomicU32,
    away: std::sync::atomic::AtomicBool,
    hangs: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Identity for Logins {
    async fn introspect(&self, side: Side, proof: &str) -> Result<Option<Subject>, Unsent> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(Unsent::TimedOut);
        }
        let prefix = if side == Side::Old { "s-" } else { "t-" };
        Ok(proof.strip_prefix(prefix).map(|id| Subject { id: id.to_owned(), claims: Vec::new() }))
    }

    async fn issue(&self, side: Side, subject: &Subject) -> Result<String, Unsent> {
        Ok(format!("{}-{}", if side == Side::Old { "s" } else { "t" }, subject.id))
    }
}

fn bridge(known_max: usize) -> (Arc<Logins>, Bridge) {
    let logins = Arc::new(Logins::default());
    (logins.clone(), Bridge::new(logins, BridgeOptions { known_max, ..BridgeOptions::default() }))
}

#[tokio::test(start_paused = true)]
async fn a_proof_crosses_in_both_directions_and_is_asked_about_once() {
    let (logins, bridge) = bridge(10);
    let (one, other) = tokio::join!(bridge.cross(Side::Old, "s-ann"), bridge.cross(Side::Old, "s-ann"));
    assert_eq!(one.expect("answers").expect("valid").proof, "t-ann");
    assert_eq!(other.expect("answers").expect("valid").subject.id, "ann");
    assert_eq!(bridge.cross(Side::New, "t-ann").await.expect("answers").expect("valid").proof, "s-ann");
    assert_eq!(logins.asked.load(Ordering::SeqCst), 2, "once a direction");
    bridge.end(Side::Old, "s-ann");
    bridge.cross(Side::Old, "s-ann").await.expect("answers");
    tokio::time::advance(Duration::from_secs(31)).await;
    bridge.cross(Side::Old, "s-ann").await.expect("answers");
    assert_eq!(logins.asked.load(Ordering::SeqCst), 4, "after a logout, and after its time");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_known_for_a_moment_and_an_error_too() {
    let (logins, bridge) = bridge(10);
    assert_eq!(bridge.cross(Side::Old, "t-ann").await, Ok(None), "a token is no cookie");
    assert_eq!(bridge.cross(Side::Old, "t-ann").await, Ok(None));
    assert_eq!(logins.asked.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_secs(3)).await;
    logins.away.store(true, Ordering::SeqCst);
    assert_eq!(bridge.cross(Side::Old, "t-ann").await, Err(Unsent::TimedOut));
    logins.away.store(false, Ordering::SeqCst);
    assert_eq!(bridge.cross(Side::Old, "t-ann").await, Err(Unsent::TimedOut), "it was asked a moment ago");
    tokio::time::advance(Duration::from_millis(1_100)).await;
    assert_eq!(bridge.cross(Side::Old, "t-ann").await, Ok(None));
    assert_eq!(logins.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_hangs_is_left_alone_and_keeps_nobody_waiting() {
    let (logins, bridge) = bridge(1_000);
    bridge.cross(Side::Old, "s-ann").await.expect("answers").expect("valid");
    logins.hangs.store(true, Ordering::SeqCst);
    let began = Instant::now();
    for at in 0..5 {
        assert!(bridge.cross(Side::Old, &format!("s-{at}")).await.is_err());
    }
    assert_eq!(began.elapsed(), Duration::from_secs(5), "each has waited for a second");
    let (began, asked) = (Instant::now(), logins.asked.load(Ordering::SeqCst));
    for at in 5..500 {
        assert!(bridge.cross(Side::Old, &format!("s-{at}")).await.is_err());
    }
    assert_eq!((began.elapsed(), logins.asked.load(Ordering::SeqCst)), (Duration::ZERO, asked));
    assert!(bridge.cross(Side::Old, "s-ann").await.is_ok(), "who is known stays known");
    assert!(bridge.cross(Side::New, "t-ann").await.is_err(), "the other way was not tried yet, and hangs");
    logins.hangs.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_millis(1_100)).await;
    assert!(bridge.cross(Side::Old, "s-7").await.is_ok_and(|passport| passport.is_some()));
    assert!(bridge.cross(Side::Old, "s-8").await.is_ok_and(|passport| passport.is_some()));
}

#[tokio::test(start_paused = true)]
async fn it_knows_a_bounded_number_of_people() {
    let (_, bridge) = bridge(3);
    for at in 0..10 {
        bridge.cross(Side::Old, &format!("s-{at}")).await.expect("answers").expect("valid");
    }
    assert_eq!(bridge.known().len(), 3);
}

#[test]
fn a_cookie_is_set_among_others() {
    assert_eq!(with_cookie(Some("a=1; sid=x; b=2"), "sid", "y"), "a=1; b=2; sid=y");
    assert_eq!(with_cookie(None, "sid", "y"), "sid=y");
    assert_eq!(cookie("a=1; sid=x", "sid"), Some("x"));
}
