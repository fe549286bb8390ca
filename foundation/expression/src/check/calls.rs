//! Operators and functions: what they take and what comes out.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::Check;
use crate::functions::{FUNCTIONS, Function, LOOPS};
use crate::mistake::Mistake;
use crate::scope::Kind;
use crate::verdict::sign;

impl Check<'_> {
    pub(super) fn call(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Kind, Mistake> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.expect(left, Kind::Boolean, &call.func_name)?;
                self.expect(right, Kind::Boolean, &call.func_name)?;
                Ok(Kind::Boolean)
            }
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [only]) => {
                self.expect(only, Kind::Boolean, &call.func_name)?;
                Ok(Kind::Boolean)
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.expect(condition, Kind::Boolean, &call.func_name)?;
                let (yes, no) = (self.kind(yes)?, self.kind(no)?);
                Ok(if yes == no { yes } else { Kind::Any })
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.alike(part, left, right, "is never equal to")?;
                Ok(Kind::Boolean)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                let kind = self.alike(part, left, right, "cannot be compared with")?;
                if matches!(kind, Kind::List | Kind::Map) {
                    let problem = format!("{} is neither less nor greater than another", kind.word());
                    return Err(self.source.mistake(part, problem));
                }
                Ok(Kind::Boolean)
            }
            (operators::ADD, [left, right]) => {
                let kind = self.alike(part, left, right, "cannot be added to")?;
                match kind {
                    Kind::Number | Kind::Text | Kind::List | Kind::Any => Ok(kind),
                    _ => Err(self.source.mistake(part, format!("{} cannot be added to", kind.word()))),
                }
            }
            (
                operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                [left, right],
            ) => {
                self.expect(left, Kind::Number, &call.func_name)?;
                self.expect(right, Kind::Number, &call.func_name)?;
                Ok(Kind::Number)
            }
            (operators::NEGATE, [only]) => {
                self.expect(only, Kind::Number, "-")?;
                Ok(Kind::Number)
            }
            (operators::IN, [element, owner]) => self.contained(part, element, owner),
            (operators::INDEX, [owner, index]) => self.indexed(part, owner, index),
            _ => self.function(part, call),
        }
    }

    fn expect(&mut self, part: &IdedExpr, kind: Kind, operation: &str) -> Result<(), Mistake> {
        let found = self.kind(part)?;
        if found == kind || found == Kind::Any || kind == Kind::Any {
            return Ok(());
        }
        let problem = format!("`{}` takes {}, and this is {}", sign(operation), kind.word(), found.word());
        Err(self.source.mistake(part, problem))
    }

    /// Two sides of one kind; null is of every kind.
    fn alike(
        &mut self,
        part: &IdedExpr,
        left: &IdedExpr,
        right: &IdedExpr,
        problem: &str,
    ) -> Result<Kind, Mistake> {
        match (self.kind(left)?, self.kind(right)?) {
            (Kind::Any, known) | (known, Kind::Any) => Ok(known),
            (left, right) if left == right => Ok(left),
            (left, right) => {
                let problem = format!("{} {problem} {}", left.word(), right.word());
                let mistake = self.source.mistake(part, problem);
                Err(match (left, right) {
                    (Kind::Moment, Kind::Text) | (Kind::Text, Kind::Moment) => {
                        mistake.hint("write `timestamp(\"2026-01-31T12:00:00Z\")`")
                    }
                    (Kind::Number, Kind::Text) | (Kind::Text, Kind::Number) => {
                        mistake.hint("convert one of them, with `int(…)` or `string(…)`")
                    }
                    _ => mistake,
                })
            }
        }
    }

    fn contained(&mut self, part: &IdedExpr, element: &IdedExpr, owner: &IdedExpr) -> Result<Kind, Mistake> {
        let kind = match &element.expr {
            Expr::Literal(LiteralValue::String(name)) => self.owner(owner, name.inner())?,
            _ => {
                self.kind(element)?;
                self.kind(owner)?
            }
        };
        match kind {
            Kind::List | Kind::Map | Kind::Any => Ok(Kind::Boolean),
            Kind::Text => {
                let mistake =
                    self.source.mistake(part, "`in` looks into a list or a map, and this is a text");
                Err(mistake.hint("use `contains`"))
            }
            kind => {
                let problem = format!("`in` looks into a list or a map, and this is {}", kind.word());
                Err(self.source.mistake(part, problem))
            }
        }
    }

    fn indexed(&mut self, part: &IdedExpr, owner: &IdedExpr, index: &IdedExpr) -> Result<Kind, Mistake> {
        let kind = match &index.expr {
            Expr::Literal(LiteralValue::String(name)) => self.owner(owner, name.inner())?,
            _ => {
                self.kind(index)?;
                self.kind(owner)?
            }
        };
        match kind {
            Kind::List | Kind::Map | Kind::Any => Ok(Kind::Any),
            kind => Err(self.source.mistake(part, format!("{} has no entries", kind.word()))),
        }
    }

    fn function(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Kind, Mistake> {
        let name = call.func_name.as_str();
        let called = |function: &&Function| {
            function.name == name
                && function.receiver.is_some() == call.target.is_some()
                && usize::from(function.argument.is_some()) == call.args.len()
        };
        let Some(function) = FUNCTIONS.iter().find(called) else {
            return Err(self.no_function(part, name));
        };
        if let (Some(target), Some(kind)) = (&call.target, function.receiver) {
            self.expect(target, kind, name)?;
        }
        if let (Some(argument), Some(kind)) = (call.args.first(), function.argument) {
            self.expect(argument, kind, name)?;
        }
        Ok(function.result)
    }

    fn no_function(&self, part: &IdedExpr, name: &str) -> Mistake {
        let examples = FUNCTIONS.iter().map(|function| (function.name, function.example));
        let examples = examples.chain(LOOPS.iter().copied());
        match examples.clone().find(|(known, _)| *known == name) {
            Some((_, example)) => {
                let problem = format!("`{name}` is not called like this");
                self.source.mistake_at_call(part, name, problem).hint(format!("write `{example}`"))
            }
            None => {
                let problem = format!("there is no function `{name}`");
                let known = examples.map(|(known, _)| known);
                self.source.mistake_at_call(part, name, problem).nearest(name, known)
            }
        }
    }
}
