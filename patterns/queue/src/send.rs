//! Sending: alone, with others, with the caller's transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Attribute, Message, Timestamp, Token};
use dozen_messaging::{Error, Gate, Publisher, Typed, encode};
use dozen_store::{Append, Expect, Op, Put, Record, Tx};

use crate::{Options, Queue, Sending, Sent};

/// How often a limit on waiting messages is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of the number of waiting messages.
#[derive(Default)]
pub(crate) struct Depth {
    waiting: AtomicU64,
    looked: AtomicI64,
}

impl Queue {
    /// A JSON message for this queue.
    pub fn message(&self, kind: &str, data: impl Into<Vec<u8>>) -> Message {
        let mut message = Message::new(self.ids.next().to_string(), self.source(), kind);
        message.time = Some(self.store.clock().now());
        message.with_data(Some("application/json"), data.into())
    }

    fn source(&self) -> String {
        format!("/queue/{}", self.name)
    }

    /// A message that carries `value`, with its name, version and key.
    pub fn message_of<T: Typed>(&self, value: &T) -> Result<Message, Error> {
        encode(&self.ids, &self.source(), value)
            .map_err(|error| Error::Invalid(format!("a `{}` cannot be written as JSON: {error}", T::NAME)))
    }

    /// Sends a message; it is durable when this returns.
    pub async fn send(&self, message: Message) -> Result<Token, Error> {
        self.send_all(vec![message], None).await
    }

    /// Sends messages, all or none; nobody is handed them before `due`.
    pub async fn send_all(&self, messages: Vec<Message>, due: Option<Timestamp>) -> Result<Token, Error> {
        match self.send_with(messages, Sending { due, ..Sending::default() }).await? {
            Sent::New(token) => Ok(token),
            Sent::Duplicate { .. } => Err(Error::Invalid("a send without a name found a duplicate".into())),
        }
    }

    /// Sends messages as `sending` says, all or none.
    pub async fn send_with(&self, messages: Vec<Message>, sending: Sending) -> Result<Sent, Error> {
        let first = messages.first().map(|message| message.id.clone()).unwrap_or_default();
        let append = self.append(messages, &sending)?;
        self.check_room().await?;
        let Some((name, window)) = sending.unique else {
            let committed = self.store.commit(vec![append]).await;
            return Ok(Sent::New(committed.map_err(|error| self.failed("send to", error))?.token));
        };
        let now = self.store.clock().now();
        let space: Arc<str> = format!("unique/{}", self.name).into();
        let mark = Put {
            space: space.clone(),
            key: name.clone(),
            value: first.into_bytes(),
            expect: Expect::Absent,
            expires: Some(now.after(window)),
            now,
        };
        match self.store.commit(vec![Op::Require(mark), append]).await {
            Ok(committed) => Ok(Sent::New(committed.token)),
            Err(dozen_store::Error::Unexpected { .. }) => {
                let row = self.store.table(&space).get(&name).await;
                let row = row.map_err(|error| self.failed("look into", error))?;
                let of = row.map(|row| String::from_utf8_lossy(&row.value).into_owned()).unwrap_or_default();
                Ok(Sent::Duplicate { of })
            }
            Err(error) => Err(self.failed("send to", error)),
        }
    }

    /// Sends a message with the caller's transaction: it is there if and only if that commits.
    pub fn send_in(&self, tx: &mut Tx, message: Message) -> Result<(), Error> {
        self.send_in_with(tx, vec![message], &Sending::default())
    }

    /// Sends messages with the caller's transaction as `sending` says. A unique name that is taken fails the
    /// transaction with [`dozen_store::Error::Unexpected`].
    pub fn send_in_with(&self, tx: &mut Tx, messages: Vec<Message>, sending: &Sending) -> Result<(), Error> {
        let append = self.append(messages, sending)?;
        if let Some((name, window)) = &sending.unique {
            let now = self.store.clock().now();
            tx.defer(Op::Require(Put {
                space: format!("unique/{}", self.name).into(),
                key: name.clone(),
                value: Vec::new(),
                expect: Expect::Absent,
                expires: Some(now.after(*window)),
                now,
            }));
        }
        tx.defer(append);
        Ok(())
    }

    /// The operation that adds `messages`, each checked and, where the queue is sealed, sealed.
    fn append(&self, messages: Vec<Message>, sending: &Sending) -> Result<Op, Error> {
        if sending.priority >= self.options.priorities {
            return Err(Error::Invalid(format!(
                "priority {} is beyond the {} of queue `{}`: they count from 0",
                sending.priority, self.options.priorities, self.name
            )));
        }
        let at = self.store.clock().now();
        let expires = sending.expires.or(self.options.expire.map(|expire| at.after(expire)));
        let mut records = Vec::with_capacity(messages.len());
        for mut message in messages {
            let bytes = message.data.len() as u64;
            if bytes > self.options.bytes_max {
                let (name, bytes_max) = (self.name.to_string(), self.options.bytes_max);
                return Err(Error::TooLarge { name, bytes, bytes_max });
            }
            if let Some(expires) = expires {
                let moment = Attribute::Text(expires.to_string());
                message.extensions.entry("expirytime".into()).or_insert(moment);
            }
            if self.options.sealed {
                let keys = self.keys.as_ref().ok_or_else(|| {
                    Error::Invalid(format!(
                        "queue `{}` is sealed, and this program has no key; open it with `Queue::with_keys`",
                        self.name
                    ))
                })?;
                keys.seal(&mut message).map_err(|error| Error::Invalid(dozen_core::chain(&error)))?;
            }
            records.push(Record::from(message));
        }
        let stream = self.streams[usize::from(self.options.priorities - 1 - sending.priority)].clone();
        Ok(Op::Append(Append { stream, records, at, due: sending.due }))
    }

    /// Whether more messages may wait, as far as was known a second ago. Who sends in a transaction asks before.
    pub async fn check_room(&self) -> Result<(), Error> {
        match (self.left().await?, self.options.waiting_max) {
            (0, Some(waiting_max)) => {
                Err(Error::Full { name: self.name.to_string(), waiting_max: waiting_max.get() })
            }
            _ => Ok(()),
        }
    }

    /// How many more messages may wait, as far as was known a second ago.
    async fn left(&self) -> Result<u64, Error> {
        let Some(waiting_max) = self.options.waiting_max else { return Ok(u64::MAX) };
        let now = self.store.clock().now();
        let looked = self.depth.looked.load(Ordering::Relaxed);
        if now.since(Timestamp(looked)) >= LOOK || now.0 < looked {
            self.depth.looked.store(now.0, Ordering::Relaxed);
            let status = self.depth().await?;
            self.depth.waiting.store(status, Ordering::Relaxed);
        }
        Ok(waiting_max.get().saturating_sub(self.depth.waiting.load(Ordering::Relaxed)))
    }

    /// That a setting is out of its bounds.
    pub(crate) fn check_options(name: &str, options: &Options) -> Result<(), Error> {
        if options.priorities == 0 || options.priorities > Options::PRIORITIES_MAX {
            return Err(Error::Invalid(format!(
                "queue `{name}` has {} priorities, and must have 1 to {}",
                options.priorities,
                Options::PRIORITIES_MAX
            )));
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for Queue {
    async fn publish(&self, destination: &str, messages: Vec<Message>) -> Result<Token, Error> {
        if destination != &*self.name {
            let known = vec![self.name.to_string()];
            return Err(Error::Unknown { kind: "queue", name: destination.into(), known });
        }
        self.send_all(messages, None).await
    }
}

/// Open while more messages may wait. Who makes messages for a queue of other messages receives those behind this gate: so it
/// holds back while the queue is full, and passes on what it has taken.
#[async_trait]
impl Gate for Queue {
    async fn room(&self, max: usize) -> Result<usize, Error> {
        let mut is_told = false;
        loop {
            match self.left().await? {
                0 if is_told => {}
                0 => {
                    tracing::info!(queue = &*self.name, "it is full, and whoever fills it holds back");
                    is_told = true;
                }
                left => return Ok(max.min(usize::try_from(left).unwrap_or(usize::MAX))),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
