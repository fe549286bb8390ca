//! An exchange on a client's connection whose answer is a value.
//!
//! ```text
//!            ┌── feed:    connection ─► Decoder ─► the request's Body (one piece ahead, no further)
//! connection ┤                                        │
//!            └── respond: service ◄───────────────────┘ ─► head and frames ─► connection, each as soon as it is there
//! ```

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::header;
use http_body::Body as _;
use tokio::time::{Instant, timeout};

use super::account::{Account, failure_of};
use super::connection::Next;
use super::deadline::{deadline, too_late};
use super::exchange::Client;
use super::feed::Feed;
use super::order::Order;
use super::patience::{self, Patience};
use super::plan::{Asked, Facts};
use super::worker::Worker;
use super::{Context, Failure, Handler, answer};
use crate::Body;
use crate::buffer::SMALL;
use crate::framing::{self, Length, Refusal};
use crate::stream::WriteHalf;

type Owned<H> = Account<H, Arc<Worker<H>>>;

pub(super) async fn run<H: Handler>(
    mut client: Client<'_, H>,
    order: Order<H::Ticket>,
    request: Box<http::Request<()>>,
    facts: Facts,
) -> Next {
    let Facts { asked, length, expects_continue, announced, is_hurried, .. } = facts;
    let Order { by, body_max, total, cutoff, ticket } = order;
    let (worker, started, alarm) = (client.worker, client.started, client.alarm);
    let mut account = Owned::new(worker.clone(), ticket, started);
    if matches!(length, Length::Exactly(bytes) if bytes > body_max) {
        return client.fail(asked, account, Failure::Request(Refusal::BodyTooLarge), false).await;
    }
    let (stall, rate) = (worker.options.stall_timeout, worker.options.body_rate);
    let patience = Patience::new(rate, stall);
    let (body, mut feed) = match Feed::open(&mut client.scratch.client, length, body_max, patience, announced)
    {
        Ok(opened) => opened,
        Err(refusal) => return client.fail(asked, account, Failure::Request(refusal), false).await,
    };
    alarm.clear();
    alarm.set_last(total);
    let context = Context {
        worker: worker.index,
        peer: client.origin.peer,
        tls: client.origin.tls.clone(),
        started,
        deadline: deadline(started, total),
    };
    let buffer = &mut client.scratch.client;
    let (mut read, mut write) = client.stream.split();
    if expects_continue && !feed.is_complete() {
        let told = timeout(stall, write.send(b"HTTP/1.1 100 Continue\r\n\r\n")).await;
        if !matches!(told, Ok(Ok(()))) {
            return Next::Close;
        }
    }
    let ended = alarm.bound(async {
        let answering = by.answer(worker, request.map(|()| body), context);
        let mut writer = Writer { worker, asked, write: &mut write, patience };
        let mut respond = pin!(async {
            let response = answering.await.settle(&mut account)?;
            if !response.body().is_end_stream() {
                alarm.set_cutoff(cutoff);
            }
            writer.send(response, &mut account).await
        });
        loop {
            tokio::select! { biased;
                done = &mut respond => break done,
                moved = feed.step_or_watch(&mut read, buffer) => moved?,
            }
        }
    });
    let late = || if alarm.is_cut() { Failure::Cutoff } else { too_late(is_hurried) };
    let ended = ended.await.unwrap_or_else(|| Err(late()));
    alarm.set_cutoff(None);
    account.bytes_in = feed.taken;
    match ended {
        Ok(is_reusable) => {
            let status = account.status.unwrap_or(200);
            account.answered(status);
            drop(account);
            match (feed.is_complete(), is_reusable) {
                (true, true) => Next::Request,
                (true, false) => Next::Close,
                (false, _) => Next::Linger,
            }
        }
        Err(failure) if account.status.is_none() => {
            client.fail(asked, account, failure, feed.is_complete()).await
        }
        Err(failure) => {
            account.failed(failure);
            Next::Close
        }
    }
}

/// Writes one response.
struct Writer<'w, 's, H> {
    worker: &'w Worker<H>,
    asked: Asked,
    write: &'w mut WriteHalf<'s>,
    patience: Patience,
}

impl<H: Handler> Writer<'_, '_, H> {
    /// `true` if another request may follow on the connection.
    async fn send(
        &mut self,
        response: http::Response<Body>,
        account: &mut Owned<H>,
    ) -> Result<bool, Failure> {
        let Asked { is_v11, is_head, takes_trailers, .. } = self.asked;
        let (mut parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        if status < 200 {
            return Err(Failure::Refused(Refusal::Upgrade));
        }
        if patience::streams(&parts.headers) {
            self.patience = Patience::new(None, self.worker.options.stall_timeout);
        }
        let announced = parts.headers.remove(header::TRAILER);
        answer::amend(self.worker, account, &mut parts);
        let mut body = pin!(body);
        let bodiless = is_head || status == 204 || status == 304;
        let exact = body.as_ref().size_hint().exact();
        let chunked = !bodiless && exact.is_none() && is_v11;
        let keep_alive =
            self.asked.keep_alive && !self.worker.is_draining() && (bodiless || exact.is_some() || chunked);

        let mut out = Vec::with_capacity(512);
        framing::status_line(status, &mut out);
        for (name, value) in &parts.headers {
            if name != header::CONTENT_LENGTH || is_head || status == 304 {
                framing::field(name.as_str(), value.as_bytes(), &mut out);
            }
        }
        match exact {
            _ if chunked => framing::field("transfer-encoding", b"chunked", &mut out),
            Some(length) if !bodiless => framing::length_field(length, &mut out),
            _ => {}
        }
        if let (Some(announced), true) = (announced, chunked && takes_trailers) {
            framing::field("trailer", announced.as_bytes(), &mut out);
        }
        match (keep_alive, is_v11) {
            (false, _) => framing::field("connection", b"close", &mut out),
            (true, false) => framing::field("connection", b"keep-alive", &mut out),
            (true, true) => {}
        }
        out.extend_from_slice(b"\r\n");
        account.status = Some(status);
        if !bodiless {
            self.frames(body.as_mut(), chunked, &mut out, account).await?;
        }
        self.flush(&mut out).await?;
        Ok(keep_alive)
    }

    /// Writes frames as they come: together while they come at once, and never later than the wait for the next.
    async fn frames(
        &mut self,
        mut body: Pin<&mut Body>,
        chunked: bool,
        out: &mut Vec<u8>,
        account: &mut Owned<H>,
    ) -> Result<(), Failure> {
        let mut trailers = None;
        loop {
            let at_once = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Some(frame)),
                Poll::Pending => Poll::Ready(None),
            });
            let frame = match at_once.await {
                Some(frame) => frame,
                None => {
                    self.flush(out).await?;
                    poll_fn(|cx| body.as_mut().poll_frame(cx)).await
                }
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    tracing::debug!(error = %dozen_core::chain(&*error), "an answer broke off");
                    // What came before is the client's all the same.
                    self.flush(out).await?;
                    return Err(failure_of(&error));
                }
                None => break,
            };
            match frame.into_data() {
                Ok(data) => {
                    account.bytes_out += data.len() as u64;
                    if chunked {
                        framing::chunk(&data, out);
                    } else {
                        out.extend_from_slice(&data);
                    }
                    if out.len() > SMALL {
                        self.flush(out).await?;
                    }
                }
                Err(other) => trailers = other.into_trailers().ok(),
            }
        }
        if chunked {
            out.extend_from_slice(b"0\r\n");
            let trailers = trailers.filter(|_| self.asked.takes_trailers).unwrap_or_default();
            for (name, value) in trailers.iter().filter(|(name, _)| account.passes(name.as_str())) {
                framing::field(name.as_str(), value.as_bytes(), out);
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    async fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !out.is_empty() {
            self.patience.moved(out.len());
            let began = Instant::now();
            match timeout(self.patience.left(), self.write.send(out)).await {
                Ok(Ok(())) => out.clear(),
                _ => return Err(Failure::ClientGone),
            }
            self.patience.waited(began.elapsed());
        }
        Ok(())
    }
}
