//! The journey drawn to scale: one bar for each reader, on one axis of time.
//!
//! Bars are SVG rectangles placed in per cent, so that the drawing is as wide as the page and needs neither a script
//! nor a style attribute, which the content security policy forbids.

use dozen_core::Timestamp;
use dozen_store::ClaimState;
use maud::{Markup, html};

use crate::format;
use crate::journey::{Journey, Lane, Stop};

/// Readers drawn; the list below the drawing has all of them.
const LANES_MAX: usize = 40;
/// Marks along the axis.
const TICKS: i64 = 4;

struct Scale {
    from: Timestamp,
    length: f64,
}

impl Scale {
    fn percent(&self, at: Timestamp) -> f64 {
        ((at.0 - self.from.0) as f64 / self.length * 100.0).clamp(0.0, 100.0)
    }

    fn bar(&self, class: &str, from: Timestamp, to: Timestamp, title: &str) -> Markup {
        let (left, right) = (self.percent(from), self.percent(to));
        // A bar of no length is still something that happened.
        let width = (right - left).max(0.4);
        let left = left.min(100.0 - width);
        html! {
            rect class=(class) x=(percent(left)) y="3" width=(percent(width)) height="12" rx="2" { title { (title) } }
        }
    }
}

fn percent(value: f64) -> String {
    format!("{value:.3}%")
}

/// The drawing.
pub(crate) fn chart(journey: &Journey) -> Markup {
    let end = journey.end();
    let scale = Scale { from: journey.origin, length: (end.0 - journey.origin.0).max(1) as f64 };
    let lanes: Vec<(&Stop, &Lane)> =
        journey.stops.iter().flat_map(|stop| stop.readers.iter().map(move |lane| (stop, lane))).collect();
    let step = end.since(journey.origin) / TICKS as u32;
    html! {
        div.chart aria-hidden="true" {
            @for request in &journey.requests {
                span.label { (request.method) " " (request.path) }
                svg { (scale.bar("b-request", request.at, request.at.after(request.took.unwrap_or_default()), "the request")) }
            }
            @for (stop, lane) in lanes.iter().take(LANES_MAX) {
                span.label { (stop.stream) " " span.muted { (lane.reader) } }
                svg { (bars(&scale, stop, lane, end)) }
            }
            span {}
            svg.axis {
                @for tick in 0..=TICKS {
                    @let x = percent(tick as f64 * 100.0 / TICKS as f64);
                    line x1=(x) x2=(x) y1="0" y2="4" {}
                    text x=(x) y="15" text-anchor=(anchor(tick)) {
                        @if tick == 0 { "0" } @else { "+" (format::span(step * tick as u32)) }
                    }
                }
            }
        }
    }
}

fn anchor(tick: i64) -> &'static str {
    match tick {
        0 => "start",
        TICKS => "end",
        _ => "middle",
    }
}

fn bars(scale: &Scale, stop: &Stop, lane: &Lane, end: Timestamp) -> Markup {
    let Some(claim) = &lane.claim else {
        return scale.bar("b-wait", stop.stored, end, "not handed out");
    };
    let claimed = claim.claimed.unwrap_or(end);
    let ended = claim.ended.unwrap_or(end).max(claimed);
    let was_tried = claim.errors.len() > usize::from(claim.state == ClaimState::Parked);
    let work = match claim.state {
        ClaimState::Done => Some(("b-done", "from hand-out to acknowledgement")),
        ClaimState::Parked => Some(("b-parked", "from its last hand-out until it was set aside")),
        ClaimState::Dropped => Some(("b-dropped", "from its last hand-out until it was dropped")),
        ClaimState::Leased => Some(("b-work", "in a worker's hands")),
        ClaimState::Waiting | ClaimState::Held => None,
    };
    html! {
        @if was_tried {
            (scale.bar("b-tries", stop.stored, claimed, "attempts that failed, and the waits between them"))
        } @else {
            (scale.bar("b-wait", stop.stored, claimed, "waiting to be handed out"))
        }
        @match work {
            Some((class, title)) => (scale.bar(class, claimed, ended, title)),
            None => (scale.bar("b-wait", claimed, end, "waiting")),
        }
    }
}
