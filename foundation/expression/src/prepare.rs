//! Makes the tree ready to be evaluated often: patterns and moments are made once, and loops pay for what they walk.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::common::types::CelInt;
use cel::common::value::Val;
use dozen_core::Timestamp;

use crate::fuel::COPY_RATE;
use crate::functions::{WALK, WEIGH};
use crate::mistake::Mistake;
use crate::moment::Moment;
use crate::pattern::Pattern;
use crate::syntax::Source;

/// The variable that holds the budget. No text can spell it.
pub(crate) const FUEL: &str = "@fuel";

/// How often a search for a pattern counts as looking through a text: it is far slower than a comparison.
const PATTERN_RATE: u64 = 64;

/// Values that the tree refers to as `@0`, `@1`, ….
pub(crate) type Constants = Vec<Arc<dyn Val>>;

/// Rewrites `tree`, which has been checked.
pub(crate) fn prepare(tree: &mut IdedExpr, source: &Source<'_>) -> Result<Constants, Mistake> {
    let mut prepare = Prepare { source, constants: Constants::new(), loops: 0 };
    prepare.part(tree)?;
    Ok(prepare.constants)
}

struct Prepare<'c> {
    source: &'c Source<'c>,
    constants: Constants,
    /// How many loops we are in.
    loops: usize,
}

impl Prepare<'_> {
    /// Prepares a part, and says what evaluating it once costs, in steps, without the elements of its loops.
    fn part(&mut self, part: &mut IdedExpr) -> Result<i64, Mistake> {
        if let Some(constant) = self.constant(part)? {
            let name = Expr::Ident(format!("@{}", self.constants.len()));
            self.constants.push(constant);
            match &mut part.expr {
                // The pattern takes the place of its text; what is searched stays.
                Expr::Call(call) if call.func_name == "matches" => {
                    call.args = vec![IdedExpr { id: part.id, expr: name }];
                }
                expr => *expr = name,
            }
        }
        let inner = match &mut part.expr {
            Expr::Call(call) => {
                let inner = self.all(call.target.as_deref_mut().into_iter().chain(&mut call.args))?;
                inner + self.weigh_operands(call)
            }
            Expr::Select(select) => self.part(&mut select.operand)?,
            Expr::List(list) => {
                let inner = self.all(list.elements.iter_mut())?;
                inner + list.elements.iter_mut().map(|element| self.weigh(element, COPY_RATE)).sum::<i64>()
            }
            Expr::Map(map) => {
                let mut inner = 0;
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        inner += self.part(&mut entry.key)? + self.part(&mut entry.value)?;
                        inner +=
                            self.weigh(&mut entry.key, COPY_RATE) + self.weigh(&mut entry.value, COPY_RATE);
                    }
                }
                inner
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

    /// Puts a charge around what a call looks through whole. Beside a literal it looks no further than that is long.
    fn weigh_operands(&self, call: &mut CallExpr) -> i64 {
        use operators::{ADD, EQUALS, GREATER, GREATER_EQUALS, IN, LESS, LESS_EQUALS, NOT_EQUALS};
        match (call.func_name.as_str(), call.target.as_deref_mut(), call.args.as_mut_slice()) {
            (EQUALS | NOT_EQUALS | LESS | LESS_EQUALS | GREATER | GREATER_EQUALS, None, [left, right]) => {
                if is_plain(right) {
                    0
                } else {
                    self.weigh(left, 1)
                }
            }
            (IN, None, [_, owner]) => self.weigh(owner, 1),
            (ADD, None, [left, right]) => self.weigh(left, COPY_RATE) + self.weigh(right, COPY_RATE),
            ("matches", Some(text), _) => self.weigh(text, PATTERN_RATE),
            ("startsWith" | "endsWith", _, [end]) => self.weigh(end, 1),
            (_, Some(target), _) => self.weigh(target, 1),
            ("size" | "string" | "bytes" | "int" | "uint" | "double" | "bool", None, [only]) => {
                self.weigh(only, 1)
            }
            _ => 0,
        }
    }

    /// Puts the charge around one part, and says what the call itself costs.
    fn weigh(&self, part: &mut IdedExpr, rate: u64) -> i64 {
        if self.loops == 0 || is_plain(part) {
            return 0;
        }
        charge(part, WEIGH, i64::try_from(rate).unwrap_or(i64::MAX));
        1
    }

    /// The value of `timestamp("…")`, or the pattern of `matches("…")`.
    fn constant(&self, part: &IdedExpr) -> Result<Option<Arc<dyn Val>>, Mistake> {
        let Expr::Call(call) = &part.expr else { return Ok(None) };
        let argument = call.args.first();
        let literal = argument.and_then(|argument| match &argument.expr {
            Expr::Literal(LiteralValue::String(text)) => Some((argument, text.inner())),
            _ => None,
        });
        match (call.func_name.as_str(), literal) {
            ("matches", Some((argument, pattern))) => match Pattern::compile(pattern) {
                Ok(pattern) => Ok(Some(Arc::new(pattern))),
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
                Some(moment) => Ok(Some(Arc::new(Moment(moment)))),
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
        self.loops += 1;
        let each = self.part(&mut walk.loop_cond)? + self.part(&mut walk.loop_step)?;
        self.loops -= 1;
        charge(&mut walk.iter_range, WALK, each);
        Ok(outside + self.part(&mut walk.result)?)
    }
}

/// Makes `part` an argument of a charge at `price`.
fn charge(part: &mut IdedExpr, name: &str, price: i64) {
    let id = part.id;
    let beside = |expr| IdedExpr { id, expr };
    let value = std::mem::take(part);
    let account = beside(Expr::Ident(FUEL.to_owned()));
    let price = beside(Expr::Literal(LiteralValue::Int(CelInt::from(price))));
    let call = CallExpr { func_name: name.to_owned(), target: None, args: vec![value, account, price] };
    *part = beside(Expr::Call(call));
}

/// Whether a part is as small as its text: a literal, a list of them, something of ours, or a list whose elements are
/// charged on their own.
fn is_plain(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) => true,
        Expr::Ident(name) => name.starts_with('@'),
        _ => false,
    }
}
