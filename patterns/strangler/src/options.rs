//! What a user writes about features: the bounds of a move. How far it has come stands in the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Key, Share, Stage};

mod compare;
mod face;

pub use compare::{CompareOptions, NoiseOptions, Tolerance, TranslatorNames};
pub use face::{LoginOptions, ProofOptions, RewriteOptions, SideRewrite};

/// One of the section `features`: a capability that moves from an old system to a new one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FeatureOptions {
    /// The service that has the capability today.
    pub old: String,
    /// The service that will have it.
    pub new: String,
    /// Who is responsible for the move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The day by which it should be done, for example `2027-03-31`. Named in reports once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Who stays together: all requests of one key see the same side.
    #[serde(default)]
    pub key: Key,
    /// The stages that it may be in, in their order. The first is where it begins.
    #[serde(default = "stages")]
    pub stages: Vec<Stage>,
    /// What a tester must know to choose a side with `dozen-feature: NAME=new; key=…`. Without it nobody can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_key: Option<String>,
    /// How answers are compared.
    #[serde(default)]
    pub compare: CompareOptions,
    /// When it may go on.
    #[serde(default)]
    pub advance: GateOptions,
    /// What happens when a threshold is broken while the new system serves users.
    #[serde(default)]
    pub on_breach: OnBreach,
    /// What becomes of requests that may change something.
    #[serde(default)]
    pub writes: WriteOptions,
    /// When it is over.
    #[serde(default)]
    pub retire: RetireOptions,
    /// What stands for the systems' own addresses and cookies in answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<RewriteOptions>,
    /// How somebody who is logged in on one side is known on the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginOptions>,
}

impl FeatureOptions {
    /// A move from `old` to `new` with all else as usual.
    pub fn new(old: impl Into<String>, new: impl Into<String>) -> Self {
        Self {
            old: old.into(),
            new: new.into(),
            owner: None,
            due: None,
            key: Key::default(),
            stages: stages(),
            force_key: None,
            compare: CompareOptions::default(),
            advance: GateOptions::default(),
            on_breach: OnBreach::default(),
            writes: WriteOptions::default(),
            retire: RetireOptions::default(),
            rewrite: None,
            login: None,
        }
    }
}

fn stages() -> Vec<Stage> {
    let shares = [1, 5, 25, 50].map(|percent| Stage::Part(Share::percent(percent)));
    [Stage::Shadow, Stage::Compare]
        .into_iter()
        .chain(shares)
        .chain([Stage::Complete, Stage::Retired])
        .collect()
}

/// When a feature may go on to its next stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GateOptions {
    /// Whether it goes on by itself. If not, the gate only says what it would do; it still goes back by itself.
    pub automatic: bool,
    /// How many of the compared answers must be equal.
    pub parity: Share,
    /// How sure the gate must be, each time that it says pass or fail.
    pub confidence: Share,
    /// How many samples it needs at least before it says pass.
    pub samples: u64,
    /// How long a stage lasts at least.
    #[serde(with = "dozen_core::duration")]
    pub hold: Duration,
    /// By how much the slowest hundredth of the new side's answers may be slower than the old side's: 1.1 is a tenth.
    pub p99: f64,
    /// By how much the new side may fail more often than the old.
    pub errors: Share,
    /// How many of the reconciled writes must be equal on both sides.
    pub reconciled: Share,
    /// How far the side that is fed may be behind.
    #[serde(with = "dozen_core::duration")]
    pub lag: Duration,
    /// How long a window is in which a sudden break is looked for.
    #[serde(with = "dozen_core::duration")]
    pub window: Duration,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            automatic: true,
            parity: Share::millionths(999_000),
            confidence: Share::percent(95),
            samples: 2_000,
            hold: Duration::from_secs(30 * 60),
            p99: 1.1,
            errors: Share::millionths(1_000),
            reconciled: Share::millionths(999_000),
            lag: Duration::from_secs(30),
            window: Duration::from_secs(60),
        }
    }
}

/// What happens when a threshold is broken while the new system serves users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBreach {
    /// All of it goes back to the old system.
    #[default]
    Rollback,
    /// It stays where it is, for moves that cannot be taken back.
    Freeze,
}

/// What becomes of requests that may change something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WriteOptions {
    /// The side that takes every write until the move is complete; the other is fed. Without it, a write goes where a read
    /// of its key goes, and the two systems share their data.
    pub authority: Option<crate::Side>,
    /// Whether and how writes are shadowed.
    pub shadow: ShadowWrites,
    /// How long after a write was applied on the other side the two are compared.
    #[serde(with = "dozen_core::duration")]
    pub reconcile_after: Duration,
}

/// Whether and how writes are sent to the side that only watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShadowWrites {
    /// Not at all.
    #[default]
    Never,
    /// With the header `dozen-sandbox: true`, which the new system promises to obey.
    Sandbox,
    /// With the client's `idempotency-key`, or one of its own.
    IdempotencyKey,
    /// They are recorded, applied later through the feed, and compared then.
    Record,
}

/// When a feature is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetireOptions {
    /// How long nobody may have asked the old system, while the new one served, also in the last seventh of that time. Without
    /// it a person decides, and also with `advance: { automatic: false }`.
    #[serde(with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// Whether the old system is asked for comparison once the new one serves all, so that the way back stays proven.
    pub reverse_shadow: bool,
    /// What requests for the old system get once it is retired.
    pub answer_old: u16,
}

impl Default for RetireOptions {
    fn default() -> Self {
        Self { after: None, reverse_shadow: true, answer_old: 410 }
    }
}
