//! A request, written down.

use std::pin::Pin;

use bytes::Bytes;
use http::{Method, header};
use http_body::Body as HttpBody;
use tokio::io::{AsyncWriteExt, WriteHalf};

use crate::stream::Stream;
use crate::{Body, BoxError, Error, framing};

pub(crate) struct Outgoing {
    head: Bytes,
    body: Body,
    chunked: bool,
    pub(super) is_head: bool,
    /// Whether it may be sent twice: the method says so, and the body is part of `head`.
    is_repeatable: bool,
}

impl Outgoing {
    pub(crate) fn new(address: &str, request: http::Request<Body>) -> Result<Self, Error> {
        let (parts, mut body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        if !target.starts_with('/') {
            return Err(Error::Request { why: "its target is not a path" });
        }
        let mut head = Vec::with_capacity(512);
        framing::request_line(parts.method.as_str(), target, &mut head);
        if !parts.headers.contains_key(header::HOST) {
            framing::field("host", address.as_bytes(), &mut head);
        }
        for (name, value) in &parts.headers {
            if name != header::CONTENT_LENGTH
                && name != header::EXPECT
                && !framing::is_hop_by_hop(name.as_str())
            {
                framing::field(name.as_str(), value.as_bytes(), &mut head);
            }
        }
        let exact = HttpBody::size_hint(&body).exact();
        let takes_body =
            !matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        match exact {
            Some(0) if !takes_body => {}
            Some(length) => framing::field("content-length", length.to_string().as_bytes(), &mut head),
            None => framing::field("transfer-encoding", b"chunked", &mut head),
        }
        if let (Some(announced), None) = (parts.headers.get(header::TRAILER), exact) {
            framing::field("trailer", announced.as_bytes(), &mut head);
        }
        if parts.headers.get(header::TE).is_some_and(|value| value == "trailers") {
            head.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let at_hand = body.take_full();
        let is_repeatable = at_hand.is_some() && parts.method.is_idempotent();
        head.extend_from_slice(&at_hand.unwrap_or_default());
        let is_head = parts.method == Method::HEAD;
        Ok(Self { head: head.into(), body, chunked: exact.is_none(), is_head, is_repeatable })
    }

    /// The same once more, if it may be sent twice.
    pub(crate) fn again(&self) -> Option<Self> {
        self.is_repeatable.then(|| Self { head: self.head.clone(), body: Body::empty(), ..*self })
    }

    /// Writes all of it. The source of an error says whether the socket or the body failed.
    pub(super) async fn write(
        mut self,
        mut to: WriteHalf<Stream>,
    ) -> (WriteHalf<Stream>, Result<(), WriteError>) {
        let written = self.write_to(&mut to).await;
        (to, written)
    }

    async fn write_to(&mut self, to: &mut WriteHalf<Stream>) -> Result<(), WriteError> {
        send(to, &self.head).await?;
        let mut out = Vec::new();
        let mut trailers = None;
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            let Some(frame) = frame.transpose().map_err(WriteError::Body)? else { break };
            let data: Bytes = match frame.into_data() {
                Ok(data) => data,
                Err(other) => {
                    trailers = other.into_trailers().ok();
                    continue;
                }
            };
            if self.chunked {
                out.clear();
                framing::chunk(&data, &mut out);
                send(to, &out).await?;
            } else {
                send(to, &data).await?;
            }
        }
        if self.chunked {
            out.clear();
            out.extend_from_slice(b"0\r\n");
            let trailers = trailers.unwrap_or_default();
            for (name, value) in trailers.iter().filter(|(name, _)| framing::may_trail(name.as_str())) {
                framing::field(name.as_str(), value.as_bytes(), &mut out);
            }
            out.extend_from_slice(b"\r\n");
            send(to, &out).await?;
        }
        Ok(())
    }
}

/// Writes, and sees to it that it leaves: TLS may keep the end back.
async fn send(to: &mut WriteHalf<Stream>, bytes: &[u8]) -> Result<(), WriteError> {
    to.write_all(bytes).await.map_err(WriteError::Socket)?;
    to.flush().await.map_err(WriteError::Socket)
}

pub(super) enum WriteError {
    Socket(std::io::Error),
    Body(BoxError),
}
