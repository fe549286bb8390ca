//! Whether there can be an answer without a call, and what stands in for it then.

use dozen_mapping::Value;

use super::Wrong;
use super::read::Keys;
use super::status::Failure;

/// What it means when a call fails.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need {
    /// The whole fails.
    Required,
    /// This stands in.
    Optional(Otherwise),
}

/// What stands in for an optional call that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Otherwise {
    /// Nothing; what refers to it finds nothing.
    Omit,
    /// Null; what refers to it, or into it, is null.
    Null,
    /// This value.
    Default(Value),
    /// Nothing, if the service says that there is none (404, 410). Otherwise the whole fails.
    Fail,
}

impl Need {
    /// What stands in for a call that failed so, or nothing if the whole fails.
    pub(super) fn stands_in(&self, failure: Failure) -> Option<Option<Value>> {
        match self {
            Self::Required => None,
            Self::Optional(Otherwise::Omit) => Some(None),
            Self::Optional(Otherwise::Null) => Some(Some(Value::Null)),
            Self::Optional(Otherwise::Default(value)) => Some(Some(value.clone())),
            Self::Optional(Otherwise::Fail) => failure.is_absence().then_some(None),
        }
    }

    pub(super) fn read(keys: &Keys<'_>) -> Result<Self, Wrong> {
        let is_optional = match keys.text("need")? {
            None | Some("required") => false,
            Some("optional") => true,
            Some(other) => {
                return keys.wrong("need", format!("is `{other}`; a call is `required` or `optional`"));
            }
        };
        let (default, on_error) = (keys.get("default"), keys.get("on-error"));
        if !is_optional {
            return match (default, on_error) {
                (None, None) => Ok(Self::Required),
                (Some(_), _) => {
                    keys.wrong("default", "means nothing for a required call; say `need: optional`")
                }
                (_, Some(_)) => {
                    keys.wrong("on-error", "means nothing for a required call; say `need: optional`")
                }
            };
        }
        let otherwise = match (on_error, default) {
            (None, None) => Otherwise::Omit,
            (None, Some(value)) => Otherwise::Default(value.clone()),
            (Some(on_error), default) => match (on_error, on_error.as_text(), default) {
                (_, Some("default"), Some(value)) => Otherwise::Default(value.clone()),
                (_, Some("default"), None) => return keys.wrong("on-error", "needs a `default` beside it"),
                (_, _, Some(_)) => {
                    return keys.wrong("default", "stands beside an `on-error` that is not `default`");
                }
                (Value::Null, _, None) | (_, Some("null"), None) => Otherwise::Null,
                (_, Some("omit"), None) => Otherwise::Omit,
                (_, Some("fail"), None) => Otherwise::Fail,
                _ => return keys.wrong("on-error", "is none of `omit`, `null`, `default` and `fail`"),
            },
        };
        Ok(Self::Optional(otherwise))
    }
}
