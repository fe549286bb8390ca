//! What can be found wrong without a message: names, kinds, and how deep it goes.
//!
//! A kind is what is known of a value before there is one. Where nothing is known ([`Kind::Any`]) everything is
//! allowed; a mistake is only what no value could make right.

mod calls;

use std::collections::BTreeMap;

use cel::IdedExpr;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};

use crate::functions::TYPES;
use crate::json::Wanted;
use crate::mistake::Mistake;
use crate::scope::{Kind, Scope};
use crate::syntax::Source;
use crate::{DEPTH_MAX, LOOPS_MAX};

/// What a look at the whole tree shows: which variables it needs, and how much of each.
pub(crate) type Needs = BTreeMap<String, Wanted>;

/// Checks that `tree` is over `scope`, and gives a `wanted`.
pub(crate) fn result(
    wanted: Kind,
    tree: &IdedExpr,
    source: &Source<'_>,
    scope: &Scope,
) -> Result<Needs, Mistake> {
    let mut check = Check { source, scope, locals: Vec::new(), needs: Needs::new(), depth: 0, loops: 0 };
    match check.kind(tree)? {
        Kind::Any => Ok(check.needs),
        kind if kind == wanted => Ok(check.needs),
        kind => {
            let problem = format!("the result is {}, and must be {}", kind.word(), wanted.word());
            let hint =
                if wanted == Kind::Boolean { "compare it with something" } else { "write `string(…)`" };
            Err(source.mistake(tree, problem).hint(hint))
        }
    }
}

struct Check<'c> {
    source: &'c Source<'c>,
    scope: &'c Scope,
    /// The variables of the loops that we are in, innermost last.
    locals: Vec<(String, Kind)>,
    needs: Needs,
    depth: usize,
    loops: usize,
}

impl Check<'_> {
    fn kind(&mut self, part: &IdedExpr) -> Result<Kind, Mistake> {
        if self.depth == DEPTH_MAX {
            let problem = format!("the expression nests more than {DEPTH_MAX} deep");
            return Err(self.source.mistake(part, problem));
        }
        self.depth += 1;
        let kind = self.kind_at_depth(part)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn kind_at_depth(&mut self, part: &IdedExpr) -> Result<Kind, Mistake> {
        match &part.expr {
            Expr::Literal(literal) => Ok(kind_of(literal)),
            Expr::Ident(name) => self.name(part, name, &Wanted::All),
            Expr::Select(select) => self.select(part, select),
            Expr::Call(call) => self.call(part, call),
            Expr::Comprehension(walk) => self.walk(part, walk),
            Expr::List(list) => {
                for element in &list.elements {
                    self.kind(element)?;
                }
                Ok(Kind::List)
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind(&entry.key)?;
                        self.kind(&entry.value)?;
                    }
                }
                Ok(Kind::Map)
            }
            Expr::Struct(made) => {
                let problem = format!("there is no type `{}` to make", made.type_name);
                Err(self.source.mistake(part, problem).hint("a map is written `{\"name\": value}`"))
            }
            Expr::Unspecified => Err(self.source.mistake(part, "this part cannot be read")),
        }
    }

    /// A name on its own, or one of which only a member is wanted.
    fn name(&mut self, part: &IdedExpr, name: &str, wanted: &Wanted) -> Result<Kind, Mistake> {
        if let Some((_, kind)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Ok(*kind);
        }
        if let Some(kind) = self.scope.kind(name) {
            let needed = self.needs.entry(name.to_owned()).or_insert(Wanted::Nothing);
            match (&mut *needed, wanted) {
                (Wanted::Members(needed), Wanted::Members(more)) => needed.extend(more.iter().cloned()),
                (Wanted::All, _) => {}
                (needed, wanted) => *needed = wanted.clone(),
            }
            return Ok(kind);
        }
        if TYPES.contains(&name) {
            return Ok(Kind::Any);
        }
        let locals = self.locals.iter().map(|(local, _)| local.as_str());
        let known = self.scope.names().chain(locals.filter(|local| !local.starts_with('@')));
        Err(self.source.mistake(part, format!("there is no variable `{name}`")).nearest(name, known))
    }

    /// The kind of something of which only `member` is wanted.
    fn owner(&mut self, owner: &IdedExpr, member: &str) -> Result<Kind, Mistake> {
        match &owner.expr {
            Expr::Ident(name) => {
                let is_local = self.locals.iter().any(|(local, _)| local == name);
                if let Some(known) = self.scope.members(name).filter(|_| !is_local)
                    && !known.iter().any(|known| known == member)
                {
                    let problem = format!("`{name}` has no member `{member}`");
                    return Err(self
                        .source
                        .mistake(owner, problem)
                        .nearest(member, known.iter().map(String::as_str)));
                }
                let member = Wanted::Members([member.to_owned()].into());
                self.name(owner, name, &member)
            }
            _ => self.kind(owner),
        }
    }

    fn select(&mut self, part: &IdedExpr, select: &SelectExpr) -> Result<Kind, Mistake> {
        match self.owner(&select.operand, &select.field)? {
            Kind::Map | Kind::Any => Ok(if select.test { Kind::Boolean } else { Kind::Any }),
            kind => {
                let problem = format!("{} has no member `{}`", kind.word(), select.field);
                Err(self.source.mistake(part, problem))
            }
        }
    }

    fn walk(&mut self, part: &IdedExpr, walk: &ComprehensionExpr) -> Result<Kind, Mistake> {
        if self.loops == LOOPS_MAX {
            let problem = format!("loops nest at most {LOOPS_MAX} deep");
            return Err(self.source.mistake(part, problem));
        }
        match self.kind(&walk.iter_range)? {
            Kind::List | Kind::Map | Kind::Any => {}
            kind => {
                let problem = format!("{} has no elements to walk", kind.word());
                return Err(self.source.mistake(&walk.iter_range, problem));
            }
        }
        let start = self.kind(&walk.accu_init)?;
        let outer = self.locals.len();
        self.locals.push((walk.accu_var.clone(), start));
        self.locals.push((walk.iter_var.clone(), Kind::Any));
        self.locals.extend(walk.iter_var2.iter().map(|name| (name.clone(), Kind::Any)));
        self.loops += 1;
        self.kind(&walk.loop_cond)?;
        self.kind(&walk.loop_step)?;
        let result = self.kind(&walk.result)?;
        self.loops -= 1;
        self.locals.truncate(outer);
        Ok(result)
    }
}

fn kind_of(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Boolean,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Number,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) | LiteralValue::Null => Kind::Any,
    }
}
