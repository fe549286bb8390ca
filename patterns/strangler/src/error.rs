//! What can be wrong with a move, and why.

use dozen_core::{Diagnose, Fault, Retry};

use crate::{Share, Stage};

/// Why a feature, or an order for one, is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such feature.
    #[error("there is no feature `{name}`{}", hint(known))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Names that exist, nearest first.
        known: Vec<String>,
    },
    /// More features than are looked after.
    #[error("there are {found} features, and {features_max} at most are looked after")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The limit.
        features_max: usize,
    },
    /// A feature's name cannot be used.
    #[error("feature `{name}` must be called by 1 to 64 letters, digits, `_` or `-`")]
    Name {
        /// The name.
        name: String,
    },
    /// The stages of a feature are no ladder.
    #[error("feature `{feature}`: its `stages` {problem}")]
    Ladder {
        /// The feature.
        feature: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A rule of comparison cannot be read.
    #[error("feature `{feature}`: the rule `{rule}` {problem}")]
    Rule {
        /// The feature.
        feature: String,
        /// The rule, as written.
        rule: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A setting makes no sense.
    #[error("feature `{feature}`: `{setting}` {problem}")]
    Setting {
        /// The feature.
        feature: String,
        /// Which one.
        setting: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A translator that nobody has.
    #[error("feature `{feature}`: there is no translator `{translator}`")]
    Translator {
        /// The feature.
        feature: String,
        /// Its name.
        translator: String,
    },
    /// The stage is not one that the file allows.
    #[error("feature `{feature}` cannot be at `{stage}`: its stages are {}", listed(allowed))]
    NotAllowed {
        /// The feature.
        feature: String,
        /// The stage.
        stage: Stage,
        /// Those that it may be at.
        allowed: Vec<Stage>,
    },
    /// There is no stage in that direction.
    #[error("feature `{feature}` is at `{stage}`, and there is no stage {direction} it")]
    AtTheEnd {
        /// The feature.
        feature: String,
        /// Where it is.
        stage: Stage,
        /// `before` or `after`.
        direction: &'static str,
    },
    /// The kill switch is on, and only lifting it is allowed.
    #[error("feature `{feature}` is switched off; lift the kill switch first")]
    Killed {
        /// The feature.
        feature: String,
    },
    /// Others changed the feature again and again in the meantime.
    #[error("feature `{feature}` was changed by others at the same time; look at it and try again")]
    Raced {
        /// The feature.
        feature: String,
    },
    /// What is stored cannot be read by this version.
    #[error("the stored state of feature `{feature}` cannot be read")]
    Stored {
        /// The feature.
        feature: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The store failed.
    #[error("cannot {doing}")]
    Store {
        /// What was being done.
        doing: String,
        /// The store's error.
        source: dozen_store::Error,
    },
}

impl Error {
    pub(crate) fn store(doing: impl Into<String>) -> impl FnOnce(dozen_store::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Store { doing, source }
    }

    pub(crate) fn setting(feature: &str, setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { feature: feature.to_owned(), setting, problem: problem.into() }
    }

    pub(crate) fn share(feature: &str, setting: &'static str, share: Share) -> Self {
        Self::setting(feature, setting, format!("must be more than 0% and less than 100%, and is {share}"))
    }
}

fn hint(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; did you mean `{}`?", known.join("` or `")),
    }
}

fn listed(stages: &[Stage]) -> String {
    stages.iter().map(|stage| format!("`{stage}`")).collect::<Vec<_>>().join(", ")
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Store { source, .. } => source.fault(),
            Self::Stored { .. } => Fault::Ourselves,
            _ => Fault::Caller,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Store { source, .. } => source.retry(),
            Self::Raced { .. } => Retry::Later,
            _ => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown-name",
            Self::Store { source, .. } => source.page(),
            Self::NotAllowed { .. } | Self::AtTheEnd { .. } | Self::Killed { .. } | Self::Raced { .. } => {
                "feature-order"
            }
            Self::Stored { .. } => "store-newer",
            _ => "configuration",
        }
    }
}
