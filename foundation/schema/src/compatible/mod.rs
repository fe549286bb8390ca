//! Whether a changed schema breaks anybody.
//!
//! A message outlives a deployment: what an old writer wrote is read by a new reader, and until the last program is
//! deployed what a new writer writes is read by an old reader. The question for each is whether all that one schema
//! allows is allowed by the other. It is answered part by part, without a payload:
//!
//! | part | a break, when the reader's schema |
//! |---|---|
//! | `type` | takes fewer types (`integer` is a `number`) |
//! | `enum`, `const` | takes fewer values |
//! | `required` | requires more |
//! | `properties`, `items`, `prefixItems`, `patternProperties`, `propertyNames` | takes less at any place |
//! | `additionalProperties` | is closed to what the writer's schema names or leaves open |
//! | `minimum`, `maximum`, `exclusive…`, `multipleOf` | takes a narrower range |
//! | `min…`/`maxLength`, `…Items`, `…Properties`, `uniqueItems` | takes fewer sizes |
//! | `pattern`, `format` | has one that the writer's schema has not |
//! | `$ref` inside the document, `allOf`, `anyOf`, `oneOf` | by what stands behind them |
//! | `not`, `if`, `contains`, `dependent…`, `unevaluated…`, `$dynamicRef` | has changed them at all |
//!
//! **Undecided is a break.** Two patterns cannot be compared, nor can everything about alternatives. What cannot be
//! decided is told as a break whose [`Break::certain`] is false, with the reason; nothing is passed because it was not
//! understood. So an empty answer can be relied on, and one that is not empty may be overruled by a person.
//!
//! **One thing is taken on trust**: a writer writes no property that its schema does not name, unless
//! `additionalProperties` or `patternProperties` says of which kind such properties are. By the letter of JSON Schema an
//! open object may hold anything under any name, so that naming one more optional property would break every reader.
//! Nobody writes programs like that, and adding an optional property is the most common change of all.
//!
//! Two schemas of different drafts are not compared, nor those of drafts before the sixth.

mod alternatives;
mod arrays;
mod draft;
mod objects;
mod scalars;
mod shape;
mod walk;

use std::fmt;

use crate::schema::Schema;

/// How many breaks are told; a change that makes more is another schema.
pub const BREAKS_MAX: usize = 100;

/// Who must keep working when a schema changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// New readers accept what old writers wrote: deploy readers first.
    Backward,
    /// Old readers accept what new writers write: deploy writers first.
    Forward,
    /// Both: deploy in any order.
    Full,
    /// Anything goes.
    None,
}

/// Who writes and who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The old schema writes, the new one reads.
    Backward,
    /// The new schema writes, the old one reads.
    Forward,
}

/// One place where a reader may refuse what a writer may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Where in the payload: `/customer/name`, with `*` for every element of an array and every property that is not
    /// named; empty for the whole.
    pub path: String,
    /// Who breaks.
    pub direction: Direction,
    /// Whether this was decided; false where it could not be, and is a break to be on the safe side.
    pub certain: bool,
    /// What is refused, or what could not be decided.
    pub problem: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.direction {
            Direction::Backward => "new readers of old messages",
            Direction::Forward => "old readers of new messages",
        };
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{who}, at `{path}`: {}", self.problem)
    }
}

/// What of the change from `old` to `new` breaks somebody whom `mode` protects; empty if nothing does. At most
/// [`BREAKS_MAX`].
pub fn compatible(old: &Schema, new: &Schema, mode: Mode) -> Vec<Break> {
    let directions: &[Direction] = match mode {
        Mode::Backward => &[Direction::Backward],
        Mode::Forward => &[Direction::Forward],
        Mode::Full => &[Direction::Backward, Direction::Forward],
        Mode::None => &[],
    };
    let (old, new) = (old.document(), new.document());
    let mut breaks = Vec::new();
    for direction in directions {
        let (writer, reader) = match direction {
            Direction::Backward => (old, new),
            Direction::Forward => (new, old),
        };
        let found = walk::breaks(writer, reader);
        breaks.extend(found.into_iter().map(|found| Break {
            path: found.path,
            direction: *direction,
            certain: found.certain,
            problem: found.problem,
        }));
    }
    breaks.truncate(BREAKS_MAX);
    breaks
}
