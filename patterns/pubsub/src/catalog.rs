//! Declaring topics and deleting them, while programs publish and subscribe.

use std::sync::Arc;

use dozen_messaging::{Admission, Compatibility, Error, TopicSettings};
use dozen_schema::{Mode, Schema, compatible};
use dozen_store::{Expect, Op, OpenReader, Put, Remove, TableRow, Trim};

use crate::remembered::{all, hint};
use crate::{Pattern, Topics};

/// The table of topics; a row's key is the name.
pub(crate) const SPACE: &str = "topic";
/// Topics that were deleted while a subscription still had to read of them.
pub(crate) const DELETED: &str = "topic-deleted";
/// The stream that hints at declarations and deletions.
pub(crate) const HINTS: &str = "topics";
/// How often a change is tried when others change the same thing at the same time.
pub(crate) const TRIES: usize = 20;
/// Entries that one step of a deletion forgets.
const STEP: usize = 5_000;

impl Topics {
    /// Declares `topic`, or changes its settings; says whether anything changed. Programs that run take note within a
    /// moment, and subscriptions whose pattern stands for the topic hear of all that is published on it from now on.
    ///
    /// A changed schema that breaks what its topic's `compatibility` promises is refused, with every break named.
    pub async fn declare_topic(&self, topic: &str, settings: &TopicSettings) -> Result<bool, Error> {
        Pattern::name(topic)?;
        Admission::new(topic, settings.clone(), None)?;
        let failed = || format!("declare topic `{topic}`");
        let value = serde_json::to_vec(settings)
            .map_err(|error| Error::Invalid(format!("the settings of topic `{topic}`: {error}")))?;
        for _ in 0..TRIES {
            let row = self.store.table(SPACE).get(topic).await;
            let row = row.map_err(|error| Error::engine(failed(), error))?;
            if row.as_ref().is_some_and(|row| row.value == value) {
                return Ok(false);
            }
            if let Some(row) = &row {
                keeps_its_promise(topic, row, settings)?;
            }
            let now = self.store.clock().now();
            let put = Put {
                space: SPACE.into(),
                key: topic.to_owned(),
                value: value.clone(),
                expect: row.map_or(Expect::Absent, |row| Expect::Version(row.version)),
                expires: None,
                now,
            };
            let mut ops = vec![Op::Require(put)];
            ops.push(Op::Remove(Remove { space: DELETED.into(), key: topic.into(), expect: Expect::Any }));
            // In this very commit, so that nothing that is published later is missed, whoever runs.
            ops.extend(self.readers_to_open(topic).await?);
            ops.extend(hint(&HINTS.into(), topic, now));
            match self.store.commit(ops).await {
                Ok(_) => return Ok(true),
                Err(dozen_store::Error::Unexpected { .. }) => {}
                Err(error) => return Err(Error::engine(failed(), error)),
            }
        }
        Err(Error::Invalid(format!(
            "topic `{topic}` is being declared by several programs at once; try again"
        )))
    }

    /// The readers of subscriptions whose pattern stands for `topic`.
    async fn readers_to_open(&self, topic: &str) -> Result<Vec<Op>, Error> {
        let subscriptions = all(&self.store).await?;
        let heard =
            subscriptions.iter().filter(|(key, _)| key.pattern.is_wild() && key.pattern.matches(topic));
        let open = |(key, settings): (&crate::remembered::Key, &crate::remembered::Remembered)| {
            let (stream, reader) = (Self::stream(topic), key.name.clone());
            let pause = dozen_store::Pause { stream: stream.clone(), reader: reader.clone(), paused: true };
            let open = OpenReader { stream, reader, start: settings.start_later() };
            [Some(Op::OpenReader(open)), settings.paused.then_some(Op::Pause(pause))]
        };
        Ok(heard.flat_map(open).flatten().collect())
    }

    /// Deletes `topic` and its messages; says whether it was there. Refused while it has subscriptions of its own, which
    /// must be ended first. What a pattern's subscription has not read yet is still handed out, and goes afterwards.
    pub async fn delete_topic(&self, topic: &str) -> Result<bool, Error> {
        let own = self.subscriptions_of(topic).await?;
        if !own.is_empty() {
            return Err(Error::Invalid(format!(
                "topic `{topic}` has the subscriptions `{}`; end them first",
                own.join("`, `")
            )));
        }
        let now = self.store.clock().now();
        let deleted = Put {
            space: DELETED.into(),
            key: topic.to_owned(),
            value: Vec::new(),
            expect: Expect::Any,
            expires: None,
            now,
        };
        let remove = Remove { space: SPACE.into(), key: topic.to_owned(), expect: Expect::Any };
        let mut ops = vec![Op::Remove(remove), Op::Put(deleted)];
        ops.extend(hint(&HINTS.into(), topic, now));
        let failed = |error| Error::engine(format!("delete topic `{topic}`"), error);
        let committed = self.store.commit(ops).await.map_err(failed)?;
        let was_there = committed.outcomes.into_iter().next().map_or(Ok(0), dozen_store::Outcome::touched);
        while self.forget_deleted(topic, STEP).await? >= STEP as u64 {}
        Ok(was_there.map_err(failed)? > 0)
    }

    /// Forgets what nobody needs of a deleted topic, `limit` entries at most; its last trace when there is nothing left.
    pub(crate) async fn forget_deleted(&self, topic: &str, limit: usize) -> Result<u64, Error> {
        let failed = |error| Error::engine(format!("delete the messages of topic `{topic}`"), error);
        let stream = Self::stream(topic);
        let before = self.store.clock().now().after(std::time::Duration::from_micros(1));
        let trim = Op::Trim(Trim { stream: stream.clone(), before, bytes_max: None, limit });
        let trimmed = self.store.commit(vec![trim]).await.map_err(failed)?;
        let gone = trimmed.outcomes.into_iter().next().map_or(Ok(0), dozen_store::Outcome::touched);
        if self.journal.read(&stream, 0, 1).await.map_err(failed)?.is_empty() {
            self.store.table(DELETED).remove(topic, Expect::Any).await.map_err(failed)?;
        }
        gone.map_err(failed)
    }

    /// The subscriptions of this topic alone, by name.
    async fn subscriptions_of(&self, topic: &str) -> Result<Vec<String>, Error> {
        let wild: Vec<Arc<str>> = all(&self.store)
            .await?
            .into_keys()
            .filter(|key| key.pattern.is_wild() && key.pattern.matches(topic))
            .map(|key| key.name)
            .collect();
        let stream = Self::stream(topic);
        let readers = self.journal.readers(&stream).await;
        let readers = readers.map_err(|error| Error::engine(format!("look into topic `{topic}`"), error))?;
        let own = readers.into_iter().filter(|reader| reader.stream == *stream);
        Ok(own.map(|reader| reader.reader).filter(|name| !wild.iter().any(|wild| **wild == **name)).collect())
    }
}

/// That the new settings keep what the topic promises to those who read and write by the old ones.
fn keeps_its_promise(topic: &str, old: &TableRow, new: &TopicSettings) -> Result<(), Error> {
    // Settings that nobody can read promise nothing.
    let Ok(old) = serde_json::from_slice::<TopicSettings>(&old.value) else { return Ok(()) };
    let (Some(before), Some(after)) = (&old.schema, &new.schema) else { return Ok(()) };
    let mode = match new.compatibility {
        Compatibility::None => return Ok(()),
        Compatibility::Backward => Mode::Backward,
        Compatibility::Forward => Mode::Forward,
        Compatibility::Full => Mode::Full,
    };
    let compiled = |schema: &serde_json::Value| Schema::compile(schema.to_string().as_bytes());
    let (Ok(before), Ok(after)) = (compiled(before), compiled(after)) else { return Ok(()) };
    let breaks: Vec<String> = compatible(&before, &after, mode).iter().map(ToString::to_string).collect();
    if breaks.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the new schema of topic `{topic}` breaks {}; declare it with `compatibility: none` to change it nevertheless",
        breaks.join("; ")
    )))
}
