use std::time::Duration;

use dozen_core::{Backoff, SystemClock};

use super::*;

fn circuit(failures_max: u32) -> Circuit {
    let backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(60));
    let ids = Ids::new(Arc::new(SystemClock), 1);
    Circuit::new(CircuitOptions { failures_max, backoff }, ids)
}

#[tokio::test(start_paused = true)]
async fn it_opens_after_failures_in_a_row_and_lets_one_at_a_time_probe() {
    let circuit = circuit(2);
    let status = circuit.status();
    assert!(!circuit.permit().await.unwrap().failed("away"));
    circuit.permit().await.unwrap().answered();
    assert!(!circuit.permit().await.unwrap().failed("away"), "an answer in between counts anew");
    assert!(circuit.permit().await.unwrap().failed("gone"));
    assert_eq!(status.borrow().state, CircuitState::Open);
    assert_eq!(status.borrow().error.as_deref(), Some("gone"));
    let start = Instant::now();
    let probe = circuit.permit().await.unwrap();
    assert!(probe.is_probe() && start.elapsed() >= Duration::from_secs(5));
    let other = tokio::time::timeout(Duration::from_secs(3600), circuit.permit()).await;
    assert!(other.is_err(), "one probe at a time");
    probe.answered();
    assert!(!circuit.permit().await.unwrap().is_probe());
    assert_eq!(*status.borrow(), CircuitStatus::default());
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_a_probe_that_is_dropped_hands_on_its_turn() {
    let circuit = circuit(1);
    assert!(circuit.permit().await.unwrap().failed("away"));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        assert!(circuit.permit().await.unwrap().failed("away"));
        waits.push(start.elapsed());
    }
    assert!(waits[4] >= Duration::from_secs(30) && waits[4] <= Duration::from_secs(60), "{waits:?}");
    drop(circuit.permit().await.unwrap());
    let start = Instant::now();
    assert!(circuit.permit().await.unwrap().is_probe() && start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_takes_one_more_message_for_each_probe_that_failed() {
    let circuit = circuit(1);
    assert_eq!(circuit.room(16).await, 16);
    assert!(circuit.permit().await.unwrap().failed("away"));
    let held = tokio::spawn({
        let circuit = circuit.clone();
        async move {
            circuit.permit().await.unwrap().failed("away");
            circuit.permit().await
        }
    });
    tokio::task::yield_now().await;
    assert!(tokio::time::timeout(Duration::from_secs(1), circuit.room(16)).await.is_err());
    assert_eq!(circuit.room(16).await, 1, "after the probe has failed");
    circuit.give_up();
    assert!(held.await.unwrap().is_none());
}
