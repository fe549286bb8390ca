//! Queues, line by line.

use dozen_core::Timestamp;
use maud::{Markup, html};

use super::{PREFIX, Priority, QueueData};
use crate::format;
use crate::frame::{ago, live};

/// What is in each priority, where there are several.
pub(super) fn priorities(priorities: &[Priority]) -> Markup {
    html! {
        @if !priorities.is_empty() {
            section {
                h2 { "Priorities" }
                div.scroll { table {
                    thead { tr { th { "Priority" } th.n { "Fresh" } th.n { "Working" } th.n { "Waiting" } th.n { "Held" } th.n { "Dead" } } }
                    tbody {
                        @for Priority { priority, status } in priorities {
                            tr {
                                td { (priority) }
                                @for value in [status.fresh, status.leased, status.waiting, status.held, status.parked] {
                                    td.n { (format::number(value)) }
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// One line for each queue.
pub(crate) fn queues_table(queues: &[QueueData], now: Timestamp, in_full: bool) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Queue" } th.n { "Fresh" } th.n { "Working" } th.n { "Waiting" }
                @if in_full { th.n { "Held" } }
                th.n { "Dead" } th.n { "Oldest" }
                @if in_full { th.n { "Keys held up" } th.n { "Ever sent" } }
            } }
            tbody {
                @for queue in queues {
                    tr {
                        td {
                            a href=(queue.path()) { strong { (queue.name()) } }
                            @if queue.overview.paused { " " span.tag.warn { "paused" } }
                        }
                        @for (name, _, _, value) in queue.counters() {
                            @if in_full || name != "held" {
                                td.n.bad[name == "parked" && value > 0] { (live(&queue.key(name), value)) }
                            }
                        }
                        td.n { @if let Some(oldest) = queue.overview.oldest { (ago(oldest, now)) } }
                        @if in_full {
                            td.n { (format::number(queue.overview.parked_keys)) }
                            td.n { (live(&format!("{PREFIX}{}:appended", queue.name()), queue.sent)) }
                        }
                    }
                }
            }
        } }
    }
}
