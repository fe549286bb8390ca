//! Faults around every call.

use std::sync::Arc;

use dozen_store::{Ended, Fault, Faulty, Op, OpenReader, Start};

use super::bench::{Bench, Harness, LEASE, message};

/// With faults before and after any call, nothing is lost, nothing is handled twice at a time, and it all gets done.
pub async fn nothing_is_lost_under_faults(harness: &dyn Harness) {
    for seed in 0..20u64 {
        let calls = std::sync::atomic::AtomicU64::new(seed * 7919);
        let faulty = Faulty::new(harness.open().await, move |_| {
            let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match (call.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 61 {
                0 => Fault::Before,
                1 => Fault::After,
                _ => Fault::None,
            }
        });
        let mut bench = Bench::on(Arc::new(faulty));
        bench.stream = format!("test/faults-{seed}").into();
        let open =
            OpenReader { stream: bench.stream.clone(), reader: bench.reader.clone(), start: Start::Earliest };
        while bench.store.commit(vec![Op::OpenReader(open.clone())]).await.is_err() {}
        let mut wanted = Vec::new();
        for number in 0..20 {
            let id = format!("{seed}-{number}");
            while bench.journal().append(&bench.stream, vec![message(Some("k"), &id)]).await.is_err() {}
            wanted.push(id);
        }
        let mut handled: Vec<String> = Vec::new();
        let mut idle = 0;
        while idle < 3 {
            bench.clock.advance(LEASE);
            let Ok((claims, _)) = bench.journal().claim(&bench.stream, &bench.reader, 4, LEASE).await else {
                continue;
            };
            idle = if claims.is_empty() { idle + 1 } else { 0 };
            assert!(claims.len() <= 1, "two of one key at a time");
            for claim in claims {
                if handled.last() != Some(&claim.record.id) {
                    handled.push(claim.record.id.clone());
                }
                let ends = vec![(claim.place, Ended::Done)];
                let _ = bench.journal().settle(&bench.stream, &bench.reader, ends).await;
            }
        }
        handled.dedup();
        assert_eq!(handled.len(), ids_under_faults(&bench).await.len(), "seed {seed}");
        for id in &wanted {
            assert!(handled.contains(id), "seed {seed}: {id} was lost");
        }
    }
}

/// Everything in the stream, repeats in a row (appends that were tried again) counted once.
async fn ids_under_faults(bench: &Bench) -> Vec<String> {
    loop {
        if let Ok(entries) = bench.journal().read(&bench.stream, 0, 10_000).await {
            let mut ids: Vec<String> = entries.into_iter().map(|entry| entry.record.id).collect();
            ids.dedup();
            return ids;
        }
    }
}
