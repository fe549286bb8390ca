//! A compiled expression.

use std::fmt;
use std::sync::Arc;

use cel::IdedExpr;
use dozen_core::Message;

use crate::check::{self, Needs};
use crate::context::Context;
use crate::json::Wanted;
use crate::mistake::Mistake;
use crate::prepare::{self, Constants};
use crate::scope::{Kind, Scope};
use crate::verdict::{Problem, Verdict};
use crate::{evaluate, growth, syntax};

/// A condition that can be asked of many messages, from many threads. Cloning it copies nothing.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

pub(crate) struct Compiled {
    pub(crate) text: String,
    pub(crate) tree: IdedExpr,
    pub(crate) constants: Constants,
    pub(crate) needs: Needs,
}

impl Expression {
    /// Compiles a condition over `scope`. It takes some tens of microseconds, and milliseconds for the longest texts.
    pub fn compile(text: &str, scope: &Scope) -> Result<Self, Mistake> {
        Self::compile_as(Kind::Boolean, text, scope)
    }

    /// Compiles a text over `scope`, for [`Expression::text_of`]: a key to count by, a name to look up.
    pub fn compile_text(text: &str, scope: &Scope) -> Result<Self, Mistake> {
        Self::compile_as(Kind::Text, text, scope)
    }

    fn compile_as(kind: Kind, text: &str, scope: &Scope) -> Result<Self, Mistake> {
        let (mut tree, source) = syntax::parse(text)?;
        let needs = check::result(kind, &tree, &source, scope)?;
        growth::check(&tree, &source)?;
        let constants = prepare::prepare(&mut tree, &source)?;
        Ok(Self(Arc::new(Compiled { text: text.to_owned(), tree, constants, needs })))
    }

    /// Compiles a condition over messages, [`Scope::message`].
    pub fn for_messages(text: &str) -> Result<Self, Mistake> {
        Self::compile(text, Scope::message())
    }

    /// Whether it holds for `message`. It must have been compiled for messages.
    ///
    /// The payload is parsed only when the evaluation comes to `data`, and of an object only the members that the
    /// expression names.
    pub fn matches(&self, message: &Message) -> Verdict {
        evaluate::over_message(&self.0, message)
    }

    /// Whether it holds for these values of the variables it was compiled for.
    pub fn decide(&self, context: &Context<'_>) -> Verdict {
        evaluate::over_context(&self.0, context)
    }

    /// The text that it gives for these values of the variables it was compiled for. Whole numbers and booleans are
    /// written out.
    pub fn text_of(&self, context: &Context<'_>) -> Result<String, Problem> {
        evaluate::text_over_context(&self.0, context)
    }

    /// Whether it refers to this variable: one that does not refer to `data` can be decided without a payload.
    pub fn refers_to(&self, variable: &str) -> bool {
        self.0.needs.get(variable).is_some_and(|wanted| *wanted != Wanted::Nothing)
    }

    /// Whether it may look at this member of a variable: what is not looked at need not be given.
    pub fn refers_to_member(&self, variable: &str, member: &str) -> bool {
        match self.0.needs.get(variable) {
            None | Some(Wanted::Nothing) => false,
            Some(Wanted::Members(members)) => members.contains(member),
            Some(Wanted::All) => true,
        }
    }

    /// Its text, as it was given.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Expression {
    /// Equal texts; what they were compiled for is not looked at.
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.0.text).finish()
    }
}
