//! How much time a request has: heard from its client, told to whoever works for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::worker::Worker;
use super::{Failure, Handler, Incoming};
use crate::framing;
use crate::resilience::deadline;

const DEADLINE: HeaderName = HeaderName::from_static(deadline::HEADER);
const GRPC_DEADLINE: HeaderName = HeaderName::from_static(deadline::GRPC_HEADER);

/// When a request that began at `started` is cut.
pub(super) fn deadline(started: Instant, total: Option<Duration>) -> Option<Instant> {
    total.and_then(|total| started.checked_add(total))
}

/// Whose fault it is that the time is over.
pub(super) fn too_late(is_hurried: bool) -> Failure {
    if is_hurried { Failure::NoTime } else { Failure::TimedOut }
}

/// How much time the client gives, if it says so and the handler lets it.
pub(super) fn heard<H: Handler>(
    worker: &Worker<H>,
    incoming: &Incoming<'_>,
    ticket: &H::Ticket,
) -> Option<Duration> {
    let header = |name: &str| {
        let same = |field: &&framing::Field<'_>| {
            field.name.len() == name.len() && field.name.eq_ignore_ascii_case(name)
        };
        let found = incoming.head.fields.iter().find(same)?;
        (!worker.handler.strips_from_request(ticket, name)).then_some(found.value)
    };
    deadline::read(header(deadline::HEADER), header(deadline::GRPC_HEADER))
}

/// Writes how much time is left behind the other fields of a request, over what was written there for the attempt before.
/// Returns how many bytes that took.
pub(super) fn tell(left: Duration, request: &mut Vec<u8>, at: usize, before: usize) -> usize {
    let (mut value, mut line) = (Vec::with_capacity(16), Vec::with_capacity(40));
    deadline::write(left, &mut value);
    framing::field(deadline::HEADER, &value, &mut line);
    let count = line.len();
    request.splice(at..at + before, line);
    count
}

/// The same in the head of a request that is a value; in the words of gRPC as well, if it came with those.
pub(crate) fn told(left: Duration, headers: &mut HeaderMap) {
    let tell = |name: HeaderName, write: fn(Duration, &mut Vec<u8>), headers: &mut HeaderMap| {
        let mut text = Vec::new();
        write(left, &mut text);
        // Digits and a letter stand in any header.
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
            headers.insert(name, value);
        }
    };
    tell(DEADLINE, deadline::write, headers);
    if headers.contains_key(GRPC_DEADLINE) {
        tell(GRPC_DEADLINE, deadline::write_grpc, headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_tells_what_is_left_once() {
        let mut request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nbody".to_vec();
        let told = tell(Duration::from_millis(1500), &mut request, 25, 0);
        tell(Duration::from_millis(99), &mut request, 25, told);
        let text = String::from_utf8(request).unwrap();
        assert_eq!(text, "GET / HTTP/1.1\r\nhost: a\r\ndozen-deadline: 99\r\n\r\nbody");
    }

    #[test]
    fn a_caller_of_grpc_is_told_in_its_own_words_and_once() {
        let mut headers = HeaderMap::new();
        told(Duration::from_millis(70), &mut headers);
        assert!(headers.len() == 1 && headers[DEADLINE] == "70", "{headers:?}");
        headers.insert(GRPC_DEADLINE, HeaderValue::from_static("1S"));
        told(Duration::from_millis(60), &mut headers);
        let is_told = headers[DEADLINE] == "60" && headers[GRPC_DEADLINE] == "60000000n";
        assert!(headers.len() == 2 && is_told, "{headers:?}");
    }
}
