//! What an expression may refer to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a value is, as far as it is known before there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Boolean,
    /// A number of any kind.
    Number,
    /// Text.
    Text,
    /// A moment, as `timestamp(…)` makes it.
    Moment,
    /// A list.
    List,
    /// A map from names to values.
    Map,
    /// Only a value can tell.
    Any,
}

impl Kind {
    /// In a sentence: "it is a …".
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Moment => "a moment",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Any => "any value",
        }
    }
}

/// The variables that there are, declared before any expression is compiled.
///
/// A variable may be null whatever its kind: `subject == null` can always be asked.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    variables: BTreeMap<String, Kind>,
    /// The members of those variables whose members are all known.
    members: BTreeMap<String, Vec<String>>,
}

impl Scope {
    /// These variables. A name is an identifier of CEL: letters, digits and `_`, no digit first.
    pub fn of<N: Into<String>>(variables: impl IntoIterator<Item = (N, Kind)>) -> Self {
        let variables = variables.into_iter().map(|(name, kind)| (name.into(), kind)).collect();
        Self { variables, members: BTreeMap::new() }
    }

    /// With these members, and no others, in `variable`, where it is not null. Another one is then a mistake.
    #[must_use]
    pub fn with_members(mut self, variable: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|&member| member.to_owned()).collect();
        self.members.insert(variable.to_owned(), members);
        self
    }

    /// What can be said of a message.
    ///
    /// `id`, `source`, `type`, `subject`, `time`, `key` (the ordering key), `data` (the payload when it is JSON, else
    /// null), and `attributes`: all CloudEvents attributes that it has, by their names, extensions too.
    pub fn message() -> &'static Self {
        static MESSAGE: LazyLock<Scope> = LazyLock::new(|| {
            Scope::of([
                ("id", Kind::Text),
                ("source", Kind::Text),
                ("type", Kind::Text),
                ("subject", Kind::Text),
                ("time", Kind::Moment),
                ("key", Kind::Text),
                ("data", Kind::Any),
                ("attributes", Kind::Map),
            ])
        });
        &MESSAGE
    }

    /// The kind of a variable, if there is one of this name.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.variables.get(name).copied()
    }

    /// The members of a variable, if all of them are known.
    pub(crate) fn members(&self, name: &str) -> Option<&[String]> {
        self.members.get(name).map(Vec::as_slice)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.variables.keys().map(String::as_str)
    }
}
