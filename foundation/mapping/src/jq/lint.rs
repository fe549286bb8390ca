//! What a program may say.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

use crate::mistake::Mistake;

/// How deep a program may nest. Each stage of a pipe nests once.
const DEPTH_MAX: usize = 100;

/// The ends that a `range` may have.
const RANGE_MAX: i64 = 10_000;

/// The functions that a program may call.
const FUNCTIONS: &[&str] = &[
    "add",
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "capture",
    "contains",
    "del",
    "empty",
    "endswith",
    "error",
    "explode",
    "false",
    "first",
    "flatten",
    "from_entries",
    "group_by",
    "gsub",
    "has",
    "implode",
    "in",
    "index",
    "indices",
    "isarray",
    "isboolean",
    "isempty",
    "isnumber",
    "isobject",
    "isstring",
    "iterables",
    "join",
    "keys",
    "keys_unsorted",
    "last",
    "length",
    "limit",
    "ltrim",
    "ltrimstr",
    "map",
    "map_values",
    "match",
    "max",
    "max_by",
    "min",
    "min_by",
    "not",
    "nth",
    "null",
    "nulls",
    "numbers",
    "objects",
    "range",
    "reverse",
    "rindex",
    "rtrim",
    "rtrimstr",
    "scalars",
    "scan",
    "select",
    "skip",
    "sort",
    "sort_by",
    "split",
    "splits",
    "startswith",
    "strings",
    "sub",
    "test",
    "to_entries",
    "tojson",
    "tonumber",
    "tostring",
    "transpose",
    "trim",
    "true",
    "type",
    "unique",
    "unique_by",
    "values",
    "walk",
    "with_entries",
    "@base64",
    "@base64d",
    "@html",
    "@json",
    "@text",
    "@uri",
];

/// Those that are refused, and why, so that the message can say it.
const REFUSED: &[(&[&str], &str)] = &[
    (&["until", "while", "repeat", "recurse", "combinations"], "it may never end"),
    (&["input", "inputs", "input_line_number", "input_filename"], "there is one input, and it is `.`"),
    (
        &["env", "halt", "halt_error", "debug", "stderr"],
        "a translation neither reads nor writes anything outside",
    ),
    (
        &[
            "now",
            "localtime",
            "strflocaltime",
            "mktime",
            "gmtime",
            "strftime",
            "strptime",
            "todate",
            "fromdate",
        ],
        "dates are for the table: `as: timestamp(…)`",
    ),
    (&["getpath", "setpath", "delpaths", "paths", "path", "pick"], "a path that is data leads anywhere"),
    (
        &["floor", "round", "ceil", "sqrt", "pow", "log", "exp", "abs", "fabs", "infinite", "nan", "isnan"],
        "jq calculates fractions in binary; the table has `as: decimal(…)`",
    ),
    (
        &["fromjson", "tobytes", "ascii", "@sh", "inside", "ltrimstr_"],
        "it is not among what a program may use",
    ),
];

/// Functions whose first argument is a literal text: a pattern is compiled for each call, and must not be data.
const PATTERNS: &[&str] = &["test", "match", "capture", "scan", "splits", "sub", "gsub"];

/// Functions whose argument is a constant, because they compare it with each place of their input.
const CONSTANT: &[&str] = &["contains", "index", "rindex", "indices"];

/// Refuses what a program may not say.
pub(super) fn check(term: &Term<&str>) -> Result<(), Mistake> {
    Lint { known: Vec::new(), depth: 0 }.term(term)
}

struct Lint<'p> {
    /// Functions of the program's own and arguments, innermost last; and whether the function is being defined.
    known: Vec<(&'p str, usize, bool)>,
    depth: usize,
}

impl<'p> Lint<'p> {
    fn term(&mut self, term: &'p Term<&'p str>) -> Result<(), Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Mistake::new("", format!("the program nests more than {DEPTH_MAX} deep")));
        }
        self.inner(term)?;
        self.depth -= 1;
        Ok(())
    }

    fn inner(&mut self, term: &'p Term<&'p str>) -> Result<(), Mistake> {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Arr(None) => Ok(()),
            Term::Var(name) => match *name {
                "$ENV" | "$__prog_args" | "$__loc__" | "$named" | "$ARGS" => {
                    Err(Mistake::new("", format!("`{name}` is refused: a translation reads nothing outside")))
                }
                _ => Ok(()),
            },
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.name(format, &[])?;
                }
                parts.iter().try_for_each(|part| match part {
                    StrPart::Term(term) => self.term(term),
                    _ => Ok(()),
                })
            }
            Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::Obj(members) => members.iter().try_for_each(|(name, value)| {
                self.term(name)?;
                value.iter().try_for_each(|value| self.term(value))
            }),
            Term::BinOp(left, operator, right) => {
                self.term(left)?;
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.pattern(pattern)?;
                }
                self.term(right)
            }
            Term::Fold(_, source, pattern, parts) => {
                self.term(source)?;
                self.pattern(pattern)?;
                parts.iter().try_for_each(|part| self.term(part))
            }
            Term::TryCatch(body, catch) => {
                self.term(body)?;
                catch.iter().try_for_each(|catch| self.term(catch))
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.term(condition)?;
                    self.term(then)?;
                }
                otherwise.iter().try_for_each(|otherwise| self.term(otherwise))
            }
            Term::Def(defs, body) => {
                let mark = self.known.len();
                defs.iter().try_for_each(|def| self.def(def))?;
                self.term(body)?;
                self.known.truncate(mark);
                Ok(())
            }
            Term::Call(name, arguments) => {
                self.name(name, arguments)?;
                arguments.iter().try_for_each(|argument| self.term(argument))
            }
            Term::Path(from, Path(parts)) => {
                self.term(from)?;
                parts.iter().try_for_each(|(part, _)| match part {
                    Part::Index(index) => self.term(index),
                    Part::Range(from, to) => from.iter().chain(to).try_for_each(|end| self.term(end)),
                })
            }
        }
    }

    fn def(&mut self, def: &'p Def<&'p str>) -> Result<(), Mistake> {
        if def.name.starts_with('_') {
            return Err(Mistake::new(
                "",
                format!("`{}`: a function's name does not begin with `_`", def.name),
            ));
        }
        self.known.push((def.name, def.args.len(), true));
        let own = self.known.len() - 1;
        self.known.extend(def.args.iter().map(|argument| (*argument, 0, false)));
        self.term(&def.body)?;
        self.known.truncate(own + 1);
        self.known[own].2 = false;
        Ok(())
    }

    fn pattern(&mut self, pattern: &'p Pattern<&'p str>) -> Result<(), Mistake> {
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(parts) => parts.iter().try_for_each(|part| self.pattern(part)),
            Pattern::Obj(members) => members.iter().try_for_each(|(name, part)| {
                self.term(name)?;
                self.pattern(part)
            }),
        }
    }

    fn name(&self, name: &str, arguments: &[Term<&str>]) -> Result<(), Mistake> {
        let own = self.known.iter().rev().find(|(own, count, _)| *own == name && *count == arguments.len());
        match own {
            Some((.., true)) => {
                let problem = format!("`{name}` calls itself, and may never end");
                return Err(Mistake::new("", problem).hint("go through a list with `map`, `reduce` or `..`"));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        // `recurse` alone goes through a value, as `..` does.
        if name == "recurse" && arguments.is_empty() {
            return Ok(());
        }
        if let Some((_, why)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
            return Err(Mistake::new("", format!("`{name}` is refused: {why}")));
        }
        if !FUNCTIONS.contains(&name) {
            let mistake = Mistake::new("", format!("there is no function `{name}`"));
            let near = dozen_core::nearest(name, FUNCTIONS.iter().copied());
            return Err(match near.first() {
                Some(near) => mistake.hint(format!("did you mean `{near}`?")),
                None => mistake,
            });
        }
        if name == "range" && !arguments.iter().all(is_small) {
            let problem = format!("`range` is refused where its ends are no numbers up to {RANGE_MAX}");
            return Err(
                Mistake::new("", problem).hint("go through a list with `map`, or `to_entries` for places")
            );
        }
        let is_pattern = PATTERNS.contains(&name) || (name == "split" && arguments.len() > 1);
        let flags = arguments.len().saturating_sub(if name.ends_with("sub") { 2 } else { 1 });
        if is_pattern
            && !(arguments.first().is_some_and(is_constant)
                && arguments.iter().rev().take(flags).all(is_constant))
        {
            return Err(Mistake::new("", format!("the pattern and the flags of `{name}` are literal texts")));
        }
        if CONSTANT.contains(&name) && !arguments.iter().all(is_constant) {
            return Err(Mistake::new("", format!("the argument of `{name}` is a constant")));
        }
        Ok(())
    }
}

/// Whether a term is written out.
fn is_constant(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) | Term::Arr(None) => true,
        Term::Str(None, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        Term::Neg(inner) | Term::Arr(Some(inner)) => is_constant(inner),
        Term::BinOp(left, BinaryOp::Comma, right) => is_constant(left) && is_constant(right),
        Term::Obj(members) => {
            members.iter().all(|(name, value)| is_constant(name) && value.as_ref().is_some_and(is_constant))
        }
        Term::Call(name, arguments) => arguments.is_empty() && ["true", "false", "null"].contains(name),
        _ => false,
    }
}

fn is_small(term: &Term<&str>) -> bool {
    match term {
        Term::Num(number) => number.parse::<i64>().is_ok_and(|number| number <= RANGE_MAX),
        Term::Neg(inner) => is_small(inner),
        _ => false,
    }
}
