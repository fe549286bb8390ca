use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

const STALL: Duration = Duration::from_millis(300);

/// Answers each request of one connection at once, but for one of them.
fn origin(stalls_at: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut room = [0; 1024];
        for number in 0.. {
            if stream.read(&mut room).unwrap() == 0 {
                return;
            }
            if number == stalls_at {
                std::thread::sleep(STALL);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    at
}

#[test]
fn requests_that_could_not_be_sent_have_waited_since_they_were_due() {
    let at = origin(60);
    let load = Load { at, path: "/".into(), connections: 1, rate: 100.0, seconds: 1.0 };
    let told = run(&load).unwrap();
    assert_eq!(told.answered, 100);
    // One answer was late. A load that waits for it would have asked for it alone, and the 99th would not know of it.
    assert!(told.p99 > 200_000.0 && told.late_p99 > 200_000.0, "{told:?}");
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let load = Load { at, path: "/".into(), connections: 1, rate: 100.0, seconds: 0.1 };
    assert!(run(&load).unwrap_err().to_string().contains("503 Busy"));
}
