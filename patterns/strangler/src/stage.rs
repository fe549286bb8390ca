//! How far a move has come: a ladder of stages, and one pure function that says what an event does to it.
//!
//! ```text
//!  off ─ shadow ─ compare ─ 1 % … 25 % … 50 % ─ complete ─ retired
//!        └── nobody served ──┘└── some ──┘        └── everybody ──┘      each step back is as easy as one forward
//! ```
//!
//! The file says which rungs there are; where a feature stands is in the store. The gate's events move it one rung up, or
//! down to the highest rung where nobody is served by the new system. People may do anything that the file allows. What is
//! held does not go on by itself: after a step back, somebody looks first.

mod events;

use std::fmt;
use std::str::FromStr;

use dozen_core::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Share;
pub use events::{Bounds, Event, Order, step};

/// One rung. They are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The new system is not asked at all.
    Off,
    /// The new system gets copies of requests; only whether and how fast it answers is looked at.
    Shadow,
    /// And what it answers is compared.
    Compare,
    /// It serves this share of the keys.
    Part(Share),
    /// It serves everybody; the old one is there for the way back.
    Complete,
    /// The old system is not asked any more.
    Retired,
}

impl Stage {
    /// The share of the keys that the new system serves.
    pub fn share(self) -> Share {
        match self {
            Self::Off | Self::Shadow | Self::Compare => Share::NONE,
            Self::Part(share) => share,
            Self::Complete | Self::Retired => Share::ALL,
        }
    }

    /// What this part of the move is called: up to a tenth is a canary, beyond it the load shifts.
    pub fn phase(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Compare => "compare",
            Self::Part(share) if share <= Share::percent(10) => "canary",
            Self::Part(_) => "shift",
            Self::Complete => "complete",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(share) => share.fmt(f),
            other => f.write_str(other.phase()),
        }
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "off" => Self::Off,
            "shadow" => Self::Shadow,
            "compare" => Self::Compare,
            "complete" => Self::Complete,
            "retired" | "retire" => Self::Retired,
            text => match text.parse::<Share>() {
                Ok(Share::ALL) => Self::Complete,
                Ok(share) if share > Share::NONE => Self::Part(share),
                _ => {
                    return Err(format!(
                        "`{text}` is no stage: there are off, shadow, compare, shares such as 5%, complete (or 100%) \
                         and retired"
                    ));
                }
            },
        })
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What keeps a feature from moving by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// It does not go on; a broken threshold still takes it back.
    Frozen,
    /// It neither goes on nor back: somebody has decided, and it is theirs to watch.
    Pinned,
    /// Switched off: everything goes to the old system, whatever the stage.
    Killed,
}

/// Where a feature stands. This is what the store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    /// The rung.
    pub stage: Stage,
    /// What keeps it there.
    pub hold: Option<Hold>,
    /// Grows whenever requests are treated in another way: samples of another epoch say nothing about this one.
    pub epoch: u64,
    /// When this epoch began.
    pub entered: Timestamp,
    /// Who changed it last.
    pub who: String,
    /// And why.
    pub why: String,
}

impl State {
    /// Where a new feature begins.
    pub fn first(stage: Stage, now: Timestamp) -> Self {
        let why = "declared in the file".to_owned();
        Self { stage, hold: None, epoch: 1, entered: now, who: "dozen".into(), why }
    }

    /// How requests are treated: a feature that is switched off is as if it had not begun.
    pub fn effective(&self) -> Stage {
        if self.hold == Some(Hold::Killed) { Stage::Off } else { self.stage }
    }
}

#[cfg(test)]
mod tests;
