//! What becomes of a request: which side answers it, and what else.
//!
//! A decision is a load of a snapshot, a hash and a comparison: no lock, no store, no waiting.

use crate::feature::Feature;
use crate::options::ShadowWrites;
use crate::{Side, Stage, cohort};

/// What a decision is made of.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The request's key, where it has one.
    pub key: Option<&'r str>,
    /// The side that a tester, or a gateway that is trusted, has chosen.
    pub forced: Option<Side>,
    /// The method.
    pub method: &'r str,
    /// 64 random bits: which requests are sampled.
    pub random: u64,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// A side.
    Side(Side),
    /// Nobody any more: this status, with no service asked.
    Gone(u16),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who answers.
    pub serve: Serve,
    /// Who else is sent the request, and answers into the void.
    pub shadow: Option<Side>,
    /// Whether the old side is sent it twice, to learn its noise.
    pub twice: bool,
    /// Whether it goes into the feed, for this side.
    pub feed: Option<Side>,
    /// At which stage it was decided.
    pub stage: Stage,
    /// In which epoch.
    pub epoch: u64,
}

impl Decision {
    /// The side that serves.
    pub fn side(&self) -> Option<Side> {
        match self.serve {
            Serve::Side(side) => Some(side),
            Serve::Gone(_) => None,
        }
    }

    /// The value of `dozen-feature` for those behind this gateway, so that they decide the same.
    pub fn header(&self, feature: &str) -> Option<String> {
        self.side().map(|side| format!("{feature}={side}"))
    }
}

impl Feature {
    /// Decides what becomes of a request.
    pub fn decide(&self, asked: &Asked<'_>) -> Decision {
        let live = self.present();
        let stage = live.state.effective();
        let killed = stage != live.state.stage;
        let safe = is_safe(asked.method);
        let authority = self.authority(stage, killed).filter(|_| !safe);
        let forced = asked.forced.filter(|_| !killed);
        let serve = authority.or(forced).unwrap_or_else(|| match stage {
            Stage::Off | Stage::Shadow | Stage::Compare => Side::Old,
            // Without a key a request cannot be sticky, so it stays where it always was.
            Stage::Part(share) => match asked.key {
                Some(key) if share.takes(cohort::point(self.name(), key)) => Side::New,
                _ => Side::Old,
            },
            Stage::Complete | Stage::Retired => Side::New,
        });
        let is_gone = stage == Stage::Retired && serve == Side::Old;
        let shadow = self.shadow(stage, serve, safe, asked.random);
        Decision {
            serve: if is_gone { Serve::Gone(self.options().retire.answer_old) } else { Serve::Side(serve) },
            shadow,
            twice: shadow.is_some() && safe && stage >= Stage::Compare && self.is_replayed(asked.random),
            // Switched off, the new side is still fed: it must not have missed anything when it comes back.
            feed: authority
                .map(Side::other)
                .filter(|_| killed || !matches!(stage, Stage::Off | Stage::Retired)),
            stage,
            epoch: live.state.epoch,
        }
    }

    /// The one side that takes writes, where one does.
    fn authority(&self, stage: Stage, killed: bool) -> Option<Side> {
        let declared = self.options().writes.authority?;
        Some(match stage {
            Stage::Complete | Stage::Retired => Side::New,
            Stage::Off if killed => Side::Old,
            _ => declared,
        })
    }

    fn shadow(&self, stage: Stage, serve: Side, safe: bool, random: u64) -> Option<Side> {
        let other = match stage {
            Stage::Off | Stage::Retired => return None,
            Stage::Complete if !self.options().retire.reverse_shadow => return None,
            _ => serve.other(),
        };
        let may = safe
            || (other == Side::New
                && matches!(
                    self.options().writes.shadow,
                    ShadowWrites::Sandbox | ShadowWrites::IdempotencyKey
                ));
        // The lower half of the random bits decides on the sample, the upper half on the replay.
        (may && self.options().compare.sample.takes(random << 32)).then_some(other)
    }

    fn is_replayed(&self, random: u64) -> bool {
        let noise = &self.options().compare.noise;
        self.noise_of().is_learning(noise) || noise.replay_old.takes(random & !0xFFFF_FFFF)
    }
}

/// Methods that change nothing, and may be sent to several (RFC 9110, 9.2.1).
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}
