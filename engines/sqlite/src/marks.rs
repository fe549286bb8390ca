//! What has been seen: the marks of inboxes.

use dozen_store::{Error, Mark, Outcome};
use rusqlite::params;

use crate::ops::{Scribe, sql};

/// Old marks that one operation clears away, at most: each of the first ones of a day pays for some.
const SWEEP_MAX: i64 = 500;

impl Scribe<'_> {
    pub(crate) fn mark(&mut self, mark: &Mark) -> Result<Outcome, Error> {
        let today = mark.today();
        if today > self.memory.swept {
            self.sweep(today)?;
        }
        // One that is due to go and not gone yet is as good as none.
        let made = self
            .connection
            .prepare_cached(
                "insert into dozen_mark (space, key, gone_by) values (?1, ?2, ?3)
                 on conflict (space, key) do update set gone_by = excluded.gone_by where gone_by <= ?4",
            )
            .and_then(|mut statement| {
                statement.execute(params![&*mark.space, mark.key, mark.gone_by(), today])
            })
            .map_err(sql(self))?;
        self.changed |= made == 1;
        Ok(Outcome::Marked(made == 1))
    }

    /// Once a day, those of the days that are over go, a handful at a time.
    fn sweep(&mut self, today: i64) -> Result<(), Error> {
        let gone = self
            .connection
            .prepare_cached(
                "delete from dozen_mark where (space, key) in
                 (select space, key from dozen_mark where gone_by <= ?1 limit ?2)",
            )
            .and_then(|mut statement| statement.execute([today, SWEEP_MAX]))
            .map_err(sql(self))?;
        self.changed |= gone > 0;
        if (gone as i64) < SWEEP_MAX {
            self.memory.swept = today;
        }
        Ok(())
    }
}
