//! A WebSocket, once both sides have agreed on it: bytes in both directions.
//!
//! It exists only behind a 101 of the endpoint that names the protocol which the client asked for. Until that answer is
//! there the connection carries requests and nothing else, so no request can hide in what looks like a tunnel.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::account::Account;
use super::worker::Worker;
use super::{Failure, Handler};
use crate::buffer::Buffer;
use crate::stream::{ReadHalf, Stream, WriteHalf};
use crate::ticker::Alarm;

/// How long one direction may go on when the other has ended: the answer to a closing frame is on its way.
const CLOSING: Duration = Duration::from_secs(1);

/// Both connections, and what has been read from them beyond the heads.
pub(super) struct Ends<'e> {
    pub(super) client: &'e mut Stream,
    pub(super) ahead: &'e mut Buffer,
    pub(super) upstream: &'e mut Stream,
    pub(super) behind: &'e mut Buffer,
}

/// Sends the 101 in `head`, and then whatever comes, until one side ends or both are silent for `idle`.
pub(super) async fn run<H: Handler>(
    ends: Ends<'_>,
    head: &mut Vec<u8>,
    idle: Duration,
    alarm: &Alarm,
    account: &mut Account<H, &Worker<H>>,
) -> Result<(), Failure> {
    let Ends { client, ahead, upstream, behind } = ends;
    // What bounds an exchange does not bound a conversation.
    alarm.set_last(None);
    alarm.set(idle);
    let (from_client, mut to_client) = client.split();
    let (from_upstream, to_upstream) = upstream.split();
    match alarm.bound(to_client.send(head)).await {
        Some(Ok(())) => head.clear(),
        _ => return Err(Failure::ClientGone),
    }
    let (bytes_in, bytes_out) = (&mut account.bytes_in, &mut account.bytes_out);
    let mut up = pin!(copy(ahead, from_client, to_upstream, bytes_in, alarm, idle));
    let mut down = pin!(copy(behind, from_upstream, to_client, bytes_out, alarm, idle));
    let (mut up_ended, mut down_ended) = (None, None);
    poll_fn(|cx| {
        for (is_up, ended) in [(true, &mut up_ended), (false, &mut down_ended)] {
            if ended.is_some() {
                continue;
            }
            let polled = if is_up { up.as_mut().poll(cx) } else { down.as_mut().poll(cx) };
            if let Poll::Ready(outcome) = polled {
                *ended = Some(outcome);
                alarm.set_last(Some(CLOSING));
            }
        }
        match (&up_ended, &down_ended) {
            (Some(Err(_)), _) | (_, Some(Err(_))) | (Some(_), Some(_)) => Poll::Ready(Ok(())),
            (None, None) => {
                alarm.poll(cx).map(|()| Err(if alarm.is_cut() { Failure::Cutoff } else { Failure::Idle }))
            }
            _ => alarm.poll(cx).map(Ok),
        }
    })
    .await
}

/// One direction, to its end, which is passed on.
async fn copy(
    buffer: &mut Buffer,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    count: &mut u64,
    alarm: &Alarm,
    idle: Duration,
) -> io::Result<()> {
    loop {
        if !buffer.is_empty() {
            to.send(buffer.filled()).await?;
            *count += buffer.len() as u64;
            buffer.clear();
            alarm.set(idle);
        }
        if buffer.fill(&mut from).await? == 0 {
            return to.shutdown().await;
        }
    }
}
