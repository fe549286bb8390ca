//! How much an expression may build, estimated before anything is built.
//!
//! Most expressions build nothing: they look, and answer yes or no. But `+`, a list, a map and `map(…)` make values of
//! values, and a chain of them doubles with each link: `["a"].map(x, [x, x]).map(x, [x, x])…`. So each part gets a
//! weight in bytes, taking every variable as large as it may be, and a part that could weigh too much is refused.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};

use crate::mistake::Mistake;
use crate::syntax::Source;
use crate::{BUILT_MAX, DATA_MAX};

/// What any value weighs beside its text.
const VALUE: u64 = 8;

/// Refuses `tree` if a part of it could weigh more than [`BUILT_MAX`].
pub(crate) fn check(tree: &IdedExpr, source: &Source<'_>) -> Result<(), Mistake> {
    Growth { source, locals: Vec::new() }.weight(tree).map(|_| ())
}

struct Growth<'c> {
    source: &'c Source<'c>,
    /// The variables of loops, with what they can weigh.
    locals: Vec<(String, u64)>,
}

impl Growth<'_> {
    fn weight(&mut self, part: &IdedExpr) -> Result<u64, Mistake> {
        let weight = match &part.expr {
            Expr::Literal(LiteralValue::String(text)) => VALUE + text.inner().len() as u64,
            Expr::Literal(LiteralValue::Bytes(bytes)) => VALUE + bytes.inner().len() as u64,
            Expr::Literal(_) | Expr::Unspecified | Expr::Struct(_) => VALUE,
            Expr::Ident(name) => match self.locals.iter().rev().find(|(local, _)| local == name) {
                Some((_, weight)) => *weight,
                None => DATA_MAX as u64,
            },
            Expr::Select(select) => self.weight(&select.operand)?,
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => self.sum(list.elements.iter())?,
            Expr::Map(map) => {
                let parts = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                    EntryExpr::StructField(_) => None,
                });
                self.sum(parts.flatten())?
            }
            Expr::Comprehension(walk) => self.walk(walk)?,
        };
        if weight > BUILT_MAX {
            let problem = format!("this could build more than {} MiB out of a message", BUILT_MAX >> 20);
            return Err(self
                .source
                .mistake(part, problem)
                .hint("compare parts instead of putting them together"));
        }
        Ok(weight)
    }

    fn sum<'e>(&mut self, parts: impl Iterator<Item = &'e IdedExpr>) -> Result<u64, Mistake> {
        parts.into_iter().try_fold(VALUE, |sum, part| Ok(sum.saturating_add(self.weight(part)?)))
    }

    fn call(&mut self, call: &CallExpr) -> Result<u64, Mistake> {
        let mut weights = Vec::with_capacity(call.args.len() + 1);
        for part in call.target.as_deref().into_iter().chain(&call.args) {
            weights.push(self.weight(part)?);
        }
        let largest = weights.iter().copied().max().unwrap_or(VALUE);
        Ok(match call.func_name.as_str() {
            operators::ADD => weights.iter().sum(),
            operators::CONDITIONAL | operators::INDEX => largest,
            "string" | "bytes" => largest,
            _ => VALUE,
        })
    }

    /// A loop whose result is a list keeps what its step appends; any other one keeps a truth or a number.
    ///
    /// The loop's variable is one element, and the elements together weigh what the range weighs. So what a step builds
    /// of its element adds up to one range, and only what it builds of anything else is built once for each element.
    fn walk(&mut self, walk: &ComprehensionExpr) -> Result<u64, Mistake> {
        let range = self.weight(&walk.iter_range)?;
        let outer = self.locals.len();
        self.locals.push((walk.accu_var.clone(), 0));
        self.locals.push((walk.iter_var.clone(), range));
        self.locals.extend(walk.iter_var2.iter().map(|name| (name.clone(), range)));
        self.weight(&walk.loop_step)?;
        let kept = match appended(walk) {
            None => VALUE,
            Some(item) => {
                let of_element = self.weight(item)?;
                for (_, weight) in &mut self.locals[outer + 1..] {
                    *weight = 0;
                }
                let beside = self.weight(item)?;
                of_element.saturating_add(beside.saturating_mul(elements(&walk.iter_range)))
            }
        };
        self.locals.truncate(outer);
        Ok(kept)
    }
}

/// What `map` or `filter` appends for an element.
fn appended(walk: &ComprehensionExpr) -> Option<&IdedExpr> {
    let mut step = &walk.loop_step;
    while let Expr::Call(call) = &step.expr {
        step = match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [_, step, _]) => step,
            (operators::ADD, [_, added]) => added,
            _ => return None,
        };
    }
    match &step.expr {
        Expr::List(list) if list.elements.len() == 1 => list.elements.first(),
        _ => None,
    }
}

/// How many elements a range can have. JSON spends two bytes at least on each.
fn elements(range: &IdedExpr) -> u64 {
    match &range.expr {
        Expr::List(list) => list.elements.len() as u64,
        Expr::Comprehension(walk) => elements(&walk.iter_range),
        Expr::Call(call) if call.func_name == operators::ADD => {
            call.args.iter().fold(0, |sum: u64, list| sum.saturating_add(elements(list)))
        }
        _ => DATA_MAX as u64 / 2,
    }
}
