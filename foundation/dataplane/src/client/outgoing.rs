//! A request, written down.

use std::pin::Pin;

use bytes::Bytes;
use http::{Method, header};
use http_body::Body as HttpBody;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use crate::{Body, BoxError, Error, framing};

pub(super) struct Outgoing {
    head: Bytes,
    body: Body,
    chunked: bool,
    pub(super) is_head: bool,
    /// Whether it may be sent twice: the method says so, and the body is part of `head`.
    is_repeatable: bool,
}

impl Outgoing {
    pub(super) fn new(address: &str, request: http::Request<Body>) -> Result<Self, Error> {
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
        head.extend_from_slice(b"\r\n");
        let at_hand = body.take_full();
        let is_repeatable = at_hand.is_some() && parts.method.is_idempotent();
        head.extend_from_slice(&at_hand.unwrap_or_default());
        let is_head = parts.method == Method::HEAD;
        Ok(Self { head: head.into(), body, chunked: exact.is_none(), is_head, is_repeatable })
    }

    /// The same once more, if it may be sent twice.
    pub(super) fn again(&self) -> Option<Self> {
        self.is_repeatable.then(|| Self { head: self.head.clone(), body: Body::empty(), ..*self })
    }

    /// Writes all of it. The source of an error says whether the socket or the body failed.
    pub(super) async fn write(mut self, mut to: OwnedWriteHalf) -> (OwnedWriteHalf, Result<(), WriteError>) {
        let written = self.write_to(&mut to).await;
        (to, written)
    }

    async fn write_to(&mut self, to: &mut OwnedWriteHalf) -> Result<(), WriteError> {
        to.write_all(&self.head).await.map_err(WriteError::Socket)?;
        let mut out = Vec::new();
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            let data: Bytes = match frame.transpose().map_err(WriteError::Body)? {
                Some(frame) => frame.into_data().unwrap_or_default(),
                None => break,
            };
            if self.chunked {
                out.clear();
                framing::chunk(&data, &mut out);
                to.write_all(&out).await.map_err(WriteError::Socket)?;
            } else {
                to.write_all(&data).await.map_err(WriteError::Socket)?;
            }
        }
        if self.chunked {
            to.write_all(b"0\r\n\r\n").await.map_err(WriteError::Socket)?;
        }
        Ok(())
    }
}

pub(super) enum WriteError {
    Socket(std::io::Error),
    Body(BoxError),
}
