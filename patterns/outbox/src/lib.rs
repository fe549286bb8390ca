//! Outbox and inbox: the two ends of a message that is never lost and takes effect once.
//!
//! ```text
//!   ┌─ the sender's transaction ─┐                          ┌─ the receiver's transaction ─┐
//!   │ its own rows               │                          │ inbox mark (handler, id)     │
//!   │ outbox.publish(tx, …)      │ ──► topic ──► delivery ──│ its own rows                 │
//!   └──────── commit ────────────┘       │                  └──────── commit ──────────────┘
//!                                        └──► relay ──► another broker, another store
//! ```
//!
//! Publishing after the commit loses the event when the process dies in between; publishing before it announces what
//! may never happen. Inside the transaction the event exists if and only if the change does.
//!
//! With the built-in broker the topic *is* in the store, so the commit is the publication: nothing is written twice, and
//! no relay stands between. A program that has a connection and a transaction of its own inserts a row into the outbox
//! table ([`Outbox::publish_on`], or plain SQL from any language), and the same holds.
//!
//! A [`Relay`] is for what lies elsewhere: it reads a topic as any subscription does, and carries it on. [`Replay`] sends
//! history again, and writes down who asked for it. The [`Inbox`] drops what is delivered twice: its mark commits with the
//! effect.

mod audit;
mod circuit;
mod doors;
mod hand;
mod inbox;
mod lane;
mod outbox;
mod relay;
mod replay;
mod status;

pub use audit::{AUDIT, Audit, Step};
pub use inbox::Inbox;
pub use outbox::Outbox;
pub use relay::{Relay, RelayOptions, Routes};
pub use replay::{Destination, Replay, Replayed};
pub use status::{Here, LaneStatus};
