use std::net::IpAddr;

use super::*;
use crate::asked::{Claims, Headers};

fn line(log: &AccessLog, path: &str, query: Option<&str>) {
    let agent = [("User-Agent".to_owned(), "curl/8 \"x\"".to_owned())];
    let address = "10.0.0.1:80".into();
    let asked = Asked {
        method: "GET",
        scheme: "http",
        host: "shop.example",
        path,
        query,
        headers: Headers::Given(&agent),
        claims: Claims::None,
        consumer: None,
        address: IpAddr::from([127, 0, 0, 1]),
    };
    let opening = Opening {
        time: Timestamp(1_790_000_000_123_456),
        trace: 7,
        asked: &asked,
        version: http::Version::HTTP_11,
        client: None,
    };
    let begun = log.begin(&opening);
    let outcome = Outcome {
        worker: 3,
        status: 200,
        address: Some(&address),
        attempts: 2,
        waited: Some(Duration::from_micros(1000)),
        elapsed: Duration::from_micros(1234),
        bytes_in: 5,
        bytes_out: 6,
        failure: Some(Failure::TimedOut),
    };
    let (route, service) = (Some("a \"b\""), Some("s"));
    let ending = Ending { route, service, consumer: None, refused: None, attempts: 2, outcome: &outcome };
    log.end(begun, &ending);
}

fn log(to: &str, query: QueryShown) -> AccessLog {
    AccessLog::new(&AccessLogOptions { to: to.into(), query }, 2)
}

#[tokio::test]
async fn lines_are_json_and_all_of_them_are_written_at_the_end() {
    let folder = std::env::temp_dir().join(format!("dozen-access-{}", std::process::id()));
    let path = folder.with_extension("jsonl");
    let log = log(path.to_str().unwrap(), QueryShown::Values);
    let out = log.open().await.unwrap();
    line(&log, "/a", Some("x=1&api_key=s3cr3t&flag"));
    line(&log, "/b", None);
    let done = CancellationToken::new();
    done.cancel();
    log.run(out, done).await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "time": "2026-09-21T14:13:20.123456Z", "trace": "00000000000000000000000000000007",
            "address": "127.0.0.1", "version": "HTTP/1.1",
            "method": "GET", "host": "shop.example", "path": "/a", "query": "x=1&api_key=***&flag",
            "agent": "curl/8 \"x\"", "route": "a \"b\"", "service": "s", "consumer": null, "refused": null,
            "endpoint": "10.0.0.1:80", "attempts": 2, "upstream-us": 1000, "failure": "timed-out",
            "status": 200, "bytes-in": 5, "bytes": 6, "duration-us": 1234
        })
    );
    assert_eq!((lines.len(), log.dropped()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_buffer_that_fills_is_written_before_its_moment_is_over() {
    let log = log("stdout", QueryShown::Hidden);
    let (out, mut seen) = tokio::io::duplex(BUFFER_MAX);
    let begun = tokio::time::Instant::now();
    let (done, path) = (CancellationToken::new(), "/x".repeat(1000));
    let filling = async {
        while log.buffer(1).len() <= BUFFER_MAX / 2 {
            line(&log, &path, None);
        }
        let mut first = vec![0; BUFFER_MAX / 2];
        tokio::io::AsyncReadExt::read_exact(&mut seen, &mut first).await.unwrap();
        done.cancel();
    };
    tokio::join!(log.run(Box::new(out), done.clone()), filling);
    assert_eq!((begun.elapsed(), log.dropped()), (Duration::ZERO, 0));
}

#[test]
fn a_full_buffer_costs_lines_that_are_counted() {
    let log = log("stdout", QueryShown::Hidden);
    let path = "/x".repeat(1000);
    (0..1000).for_each(|_| line(&log, &path, Some("a=b")));
    let kept = log.buffer(1).iter().filter(|byte| **byte == b'\n').count();
    assert!(kept < 1000 && log.dropped() == 1000 - kept as u64, "{kept}");
    assert!(!String::from_utf8_lossy(&log.buffer(1)).contains("query"));
    assert_eq!(shown("a=1&&b", QueryShown::Names), "a&b");
}
