//! Makes the tree ready to be evaluated often: patterns and moments are made once, and loops pay for what they walk.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};
use cel::common::types::CelInt;
use cel::common::value::Val;
use dozen_core::Timestamp;

use crate::functions::WALK;
use crate::mistake::Mistake;
use crate::moment::Moment;
use crate::pattern::Pattern;
use crate::syntax::Source;

/// The variable that holds the budget. No text can spell it.
pub(crate) const FUEL: &str = "@fuel";

/// What a search for a pattern costs, in steps: it is far slower than a comparison.
const PATTERN_COST: i64 = 256;

/// Values that the tree refers to as `@0`, `@1`, ….
pub(crate) type Constants = Vec<Arc<dyn Val>>;

/// Rewrites `tree`, which has been checked.
pub(crate) fn prepare(tree: &mut IdedExpr, source: &Source<'_>) -> Result<Constants, Mistake> {
    let mut prepare = Prepare { source, constants: Constants::new() };
    prepare.part(tree)?;
    Ok(prepare.constants)
}

struct Prepare<'c> {
    source: &'c Source<'c>,
    constants: Constants,
}

impl Prepare<'_> {
    /// Prepares a part, and says what evaluating it once costs, in steps, without the elements of its loops.
    fn part(&mut self, part: &mut IdedExpr) -> Result<i64, Mistake> {
        if let Some((constant, cost)) = self.constant(part)? {
            let name = format!("@{}", self.constants.len());
            self.constants.push(constant);
            match &mut part.expr {
                // The pattern takes the place of its text; what is searched stays.
                Expr::Call(call) if call.func_name == "matches" => {
                    let target = call.target.as_mut().map_or(Ok(0), |target| self.part(target))?;
                    call.args = vec![IdedExpr { id: part.id, expr: Expr::Ident(name) }];
                    return Ok(target + cost);
                }
                expr => *expr = Expr::Ident(name),
            }
            return Ok(cost);
        }
        let inner = match &mut part.expr {
            Expr::Call(call) => self.all(call.target.as_deref_mut().into_iter().chain(&mut call.args))?,
            Expr::Select(select) => self.part(&mut select.operand)?,
            Expr::List(list) => self.all(list.elements.iter_mut())?,
            Expr::Map(map) => {
                let entries = map.entries.iter_mut().filter_map(|entry| match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => Some([&mut entry.key, &mut entry.value]),
                    EntryExpr::StructField(_) => None,
                });
                self.all(entries.flatten())?
            }
            Expr::Comprehension(walk) => self.walk(walk)?,
            Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => 0,
        };
        Ok(1 + inner)
    }

    fn all<'e>(&mut self, parts: impl Iterator<Item = &'e mut IdedExpr>) -> Result<i64, Mistake> {
        let mut cost = 0;
        for part in parts {
            cost += self.part(part)?;
        }
        Ok(cost)
    }

    /// The value of `timestamp("…")`, or the pattern of `matches("…")`.
    fn constant(&self, part: &IdedExpr) -> Result<Option<(Arc<dyn Val>, i64)>, Mistake> {
        let Expr::Call(call) = &part.expr else { return Ok(None) };
        let argument = call.args.first();
        let literal = argument.and_then(|argument| match &argument.expr {
            Expr::Literal(LiteralValue::String(text)) => Some((argument, text.inner())),
            _ => None,
        });
        match (call.func_name.as_str(), literal) {
            ("matches", Some((argument, pattern))) => match Pattern::compile(pattern) {
                Ok(pattern) => Ok(Some((Arc::new(pattern), PATTERN_COST))),
                Err(problem) => Err(self.source.mistake(argument, problem)),
            },
            ("matches", None) => {
                let problem = "`matches` takes a pattern that is written here, not one out of a message";
                Err(self
                    .source
                    .mistake(argument.unwrap_or(part), problem)
                    .hint("write `matches(\"^order[.]\")`"))
            }
            ("timestamp", Some((argument, text))) => match Timestamp::parse(text) {
                Some(moment) => Ok(Some((Arc::new(Moment(moment)), 1))),
                None => Err(self
                    .source
                    .mistake(argument, "this is no RFC 3339 timestamp")
                    .hint("write `timestamp(\"2026-01-31T12:00:00Z\")`")),
            },
            _ => Ok(None),
        }
    }

    /// Puts the charge around a loop's range.
    fn walk(&mut self, walk: &mut ComprehensionExpr) -> Result<i64, Mistake> {
        let outside = self.part(&mut walk.iter_range)? + self.part(&mut walk.accu_init)?;
        let each = self.part(&mut walk.loop_cond)? + self.part(&mut walk.loop_step)?;
        let result = self.part(&mut walk.result)?;
        let unnamed = |expr| IdedExpr { id: walk.iter_range.id, expr };
        let cost = unnamed(Expr::Literal(LiteralValue::Int(CelInt::from(each))));
        let fuel = unnamed(Expr::Ident(FUEL.to_owned()));
        let range = std::mem::take(&mut walk.iter_range);
        let charge = CallExpr { func_name: WALK.to_owned(), target: None, args: vec![range, fuel, cost] };
        walk.iter_range = IdedExpr { id: charge.args[0].id, expr: Expr::Call(charge) };
        Ok(outside + result)
    }
}
