//! Not all requests are alike.
//!
//! Each class may use a part of a limit only, so under pressure the unimportant ones are refused first, and the last part
//! is kept for the critical ones ("criticality" in *Site Reliability Engineering*, O'Reilly 2016, chapter 21).

use serde::{Deserialize, Serialize};

/// How much a request matters when not all can be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Can wait: gets half of the limit.
    Background,
    /// Can be done without: seven tenths.
    Low,
    /// The usual: nine tenths.
    #[default]
    Normal,
    /// What the rest is there for: all of it.
    Critical,
}

impl Priority {
    /// The part of a limit that it may use, in tenths.
    pub(super) fn tenths(self) -> u32 {
        match self {
            Self::Background => 5,
            Self::Low => 7,
            Self::Normal => 9,
            Self::Critical => 10,
        }
    }
}
