//! Answers that are larger than what is read at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use dozen_dataplane::Failure;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::wire::{Wire, service};
use crate::world::World;

/// Bytes that say where they are.
fn pattern(size: usize) -> &'static str {
    static ALL: LazyLock<String> = LazyLock::new(|| (0..1_000_000).map(|at| format!("{at:08}")).collect());
    &ALL[..size]
}

/// Answers `GET /SIZE` with so many bytes, and counts its connections.
async fn sized() -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let address = service(move |mut wire| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            while let Some(head) = wire.head().await {
                let size = size(&head);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
                // A client that has gone takes its endpoint's connection with it.
                if wire.stream.write_all((head + pattern(size)).as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, connections)
}

fn size(head: &str) -> usize {
    head.split(['/', ' ']).find_map(|word| word.parse().ok()).unwrap()
}

async fn ask(wire: &mut Wire<TcpStream>, size: usize) {
    wire.send(format!("GET /{size} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
}

#[tokio::test]
async fn an_answer_of_any_size_passes_whole_and_the_connections_stay() {
    let (address, connections) = sized().await;
    let mut world = World::before(address, |_| {}).await;
    let mut wire = world.wire().await;
    for size in [16_000, 16_384, 32_700, 32_800, 65_536, 262_144, 300_001, 5_000_000, 10] {
        ask(&mut wire, size).await;
        let answer = wire.answer(false).await;
        assert!(answer.body == pattern(size), "{size} bytes came changed");
        assert_eq!(world.ended().await.bytes_out, size as u64);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    drop(wire);
    world.end().await;
}

#[tokio::test]
async fn more_slow_clients_than_there_are_pipes_get_theirs_whole() {
    const CLIENTS: usize = 48;
    const SIZE: usize = 8_000_000;
    let (address, _) = sized().await;
    let world = World::before(address, |_| {}).await;
    let mut wires = Vec::new();
    for _ in 0..CLIENTS {
        let mut wire = world.wire().await;
        ask(&mut wire, SIZE).await;
        // Its answer has begun, and more of it than sockets hold is on its way: it waits for the client.
        wire.head().await.unwrap();
        wires.push(wire);
    }
    let expected = pattern(SIZE);
    for mut wire in wires {
        assert!(wire.bytes(SIZE).await == expected.as_bytes(), "an answer came changed");
    }
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_that_ends_in_the_middle_ends_the_answer_there() {
    let address = service(|mut wire| async move {
        wire.head().await.unwrap();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
        wire.send(pattern(500_000)).await;
    })
    .await;
    let mut world = World::before(address, |_| {}).await;
    let mut wire = world.wire().await;
    ask(&mut wire, 1_000_000).await;
    wire.head().await.unwrap();
    assert_eq!(wire.rest().await.len(), 500_000);
    let end = world.ended().await;
    assert_eq!((end.failure, end.bytes_out), (Some(Failure::Broken), 500_000));
    world.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_disturbs_nobody() {
    let (address, _) = sized().await;
    let mut world = World::before(address, |_| {}).await;
    for _ in 0..40 {
        let mut wire = world.wire().await;
        ask(&mut wire, 5_000_000).await;
        wire.head().await.unwrap();
        drop(wire);
        assert_eq!(world.ended().await.failure, Some(Failure::ClientGone));
    }
    let mut wire = world.wire().await;
    ask(&mut wire, 1_000_000).await;
    assert!(wire.answer(false).await.body == pattern(1_000_000), "the answer came changed");
    drop(wire);
    world.end().await;
}
