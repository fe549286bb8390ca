//! Changing subscriptions while they run.

use dozen_core::Message;
use dozen_messaging::{
    DeadLetter, DeadLetters, Error, Part, Redriven, Selection, Start, SubscriptionOptions,
};
use dozen_store::{CloseReader, Expect, Op, Pause, Seek};

use crate::Topics;
use crate::catalog::TRIES;
use crate::filter::Wanted;
use crate::remembered::{Key, Remembered, Row};

impl Topics {
    /// Changes what `options` name; where it began stays as it is. Receivers that run take note within a moment.
    pub async fn change(&self, pattern: &str, name: &str, options: SubscriptionOptions) -> Result<(), Error> {
        let key = Key::new(pattern, name)?;
        if let Some(text) = options.filter.as_deref().filter(|text| !text.trim().is_empty()) {
            Wanted::compile(name, text)?;
        }
        self.rewrite(&key, |settings| settings.with(options.clone()), |_| Vec::new()).await
    }

    /// Lets all receivers of a subscription rest, here and elsewhere, or go on. What they hold they finish, and what is
    /// published meanwhile waits.
    pub async fn pause(&self, pattern: &str, name: &str, paused: bool) -> Result<(), Error> {
        let key = Key::new(pattern, name)?;
        let readers = self.readers_of(&key).await?;
        let pause = |part: &Part| {
            Op::Pause(Pause { stream: part.stream.clone(), reader: part.reader.clone(), paused })
        };
        let changed = |settings: &Remembered| Remembered { paused, ..settings.clone() };
        self.rewrite(&key, changed, |_| readers.iter().map(pause).collect()).await
    }

    async fn rewrite(
        &self,
        key: &Key,
        change: impl Fn(&Remembered) -> Remembered,
        also: impl Fn(&Remembered) -> Vec<Op>,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(Row { version, settings }) = key.read(&self.store).await? else {
                return Err(self.unknown_subscription(key).await);
            };
            let (now, settings) = (self.store.clock().now(), change(&settings));
            let mut ops = vec![key.write(&settings, Expect::Version(version), now)?];
            ops.extend(also(&settings));
            ops.extend(key.hint(now));
            match self.store.commit(ops).await {
                Ok(_) => return Ok(()),
                Err(dozen_store::Error::Unexpected { .. }) => {}
                Err(error) => return Err(key.failed("change", error)),
            }
        }
        Err(Error::Invalid(format!("{} is being changed by several programs at once; try again", key.of())))
    }

    /// Moves a subscription: it goes on at `start`, and hears again of what follows. What it has in hand and its dead
    /// letters are forgotten. No other subscription is touched.
    pub async fn seek(&self, pattern: &str, name: &str, start: Start) -> Result<(), Error> {
        let key = Key::new(pattern, name)?;
        let readers = self.readers_of(&key).await?;
        if readers.is_empty() && key.read(&self.store).await?.is_none() {
            return Err(self.unknown_subscription(&key).await);
        }
        let seek = |Part { stream, reader }| Op::Seek(Seek { stream, reader, start: start.into() });
        let moved = self.store.commit(readers.into_iter().map(seek).collect()).await;
        moved.map(drop).map_err(|error| key.failed("move", error))
    }

    /// Ends a subscription; says whether it was there.
    pub(crate) async fn end(&self, pattern: &str, name: &str) -> Result<bool, Error> {
        let key = Key::new(pattern, name)?;
        let readers = self.readers_of(&key).await?;
        let is_known = key.read(&self.store).await?.is_some();
        if readers.is_empty() && !is_known {
            if !key.pattern.is_wild() {
                self.door(pattern).await?; // a slip in the topic's name is an error
            }
            return Ok(false);
        }
        let mut ops = Vec::from(key.forget());
        ops.extend(
            readers
                .into_iter()
                .map(|Part { stream, reader }| Op::CloseReader(CloseReader { stream, reader })),
        );
        ops.extend(key.hint(self.store.clock().now()));
        self.store.commit(ops).await.map_err(|error| key.failed("end", error))?;
        Ok(true)
    }

    /// The readers that a subscription has, also of topics that were deleted meanwhile.
    async fn readers_of(&self, key: &Key) -> Result<Vec<Part>, Error> {
        let prefix = match key.pattern.is_wild() {
            true => Self::stream(""),
            false => Self::stream(key.pattern.text()),
        };
        let readers = self.journal.readers(&prefix).await.map_err(|error| key.failed("look into", error))?;
        let mine = readers.into_iter().filter(|reader| {
            let topic = reader.stream.strip_prefix("topic/");
            reader.reader == *key.name && topic.is_some_and(|topic| key.pattern.matches(topic))
        });
        Ok(mine.map(|reader| Part { stream: reader.stream.into(), reader: reader.reader.into() }).collect())
    }

    async fn unknown_subscription(&self, key: &Key) -> Error {
        let known = crate::remembered::all(&self.store).await.unwrap_or_default();
        let names = known.keys().filter(|other| other.pattern == key.pattern).map(|other| &*other.name);
        Error::Unknown {
            kind: "subscription",
            name: key.name.to_string(),
            known: dozen_core::nearest(&key.name, names),
        }
    }

    pub(crate) async fn dead(&self, pattern: &str, name: &str) -> Result<DeadLetters, Error> {
        let key = Key::new(pattern, name)?;
        let readers = self.readers_of(&key).await?;
        if readers.is_empty() && key.read(&self.store).await?.is_none() {
            return Err(self.unknown_subscription(&key).await);
        }
        let letters = DeadLetters::of(&self.store, readers.into(), key.of());
        Ok(letters.with_keys(self.keys.clone(), false))
    }

    /// The dead letters of a subscription that `selection` means.
    pub async fn dead_letters(
        &self,
        pattern: &str,
        name: &str,
        selection: &Selection,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.dead(pattern, name).await?.list(selection).await
    }

    /// Hands dead letters of a subscription out again, with their attempts counted anew; `per_second` at most, if given.
    pub async fn redrive(
        &self,
        pattern: &str,
        name: &str,
        selection: &Selection,
        per_second: Option<f64>,
    ) -> Result<Redriven, Error> {
        self.dead(pattern, name).await?.redrive(selection, per_second).await
    }

    /// Forgets dead letters of a subscription; what they held back goes on.
    pub async fn discard(&self, pattern: &str, name: &str, selection: &Selection) -> Result<Redriven, Error> {
        self.dead(pattern, name).await?.discard(selection).await
    }

    /// How many dead letters `selection` means: what a revision would act on.
    pub async fn dry_run(&self, pattern: &str, name: &str, selection: &Selection) -> Result<Redriven, Error> {
        self.dead(pattern, name).await?.dry_run(selection).await
    }

    /// Gives the dead letter at `position` another type, other attributes and another payload, for this subscription
    /// alone; its id and key stay. The topic's schema and size hold for it. Says whether it was there.
    pub async fn edit(
        &self,
        pattern: &str,
        name: &str,
        position: u64,
        message: Message,
    ) -> Result<bool, Error> {
        let letters = self.dead(pattern, name).await?;
        let found = letters.list(&Selection::positions([position])).await?;
        let Some(letter) = found.first() else { return Ok(false) };
        if let Some(topic) = letter.stream.strip_prefix("topic/") {
            self.door(topic).await?.check(&message)?;
        }
        letters.edit(position, message).await
    }
}
