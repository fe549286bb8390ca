//! A charge in front of all that repeats, put into the tree of a program and of jq's library.
//!
//! | where | what is charged |
//! |---|---|
//! | each value of `.[]` and `..`, behind `\|`, each call of an argument | a step |
//! | each step of `reduce` and `foreach` | a step, and now and then how deep the value has become |
//! | both sides of a comparison, what is put into a text, what a function goes through | all of that value |
//! | what `+`, `-`, `*`, `/` and `%` give | its length |

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

/// The definition that the program becomes.
pub(super) const PROGRAM: &str = "_program";

const TICK: &str = "_tick";
const FOLD: &str = "_fold_tick";
const WEIGH: &str = "_weigh";
const WHOLE: &str = "_whole";
const OPERAND: &str = "_operand";
const FACTOR: &str = "_factor";
const MADE: &str = "_made";
const NEGATED: &str = "_negated";
const SUMMAND: &str = "$_summand";

/// Functions that go through all of their input.
const HEAVY: &[&str] = &[
    "add",
    "ascii_downcase",
    "ascii_upcase",
    "contains",
    "decode_base64",
    "encode_base64",
    "encode_uri",
    "escape_html",
    "explode",
    "group_by",
    "implode",
    "indices",
    "join",
    "key_values",
    "keys_unsorted",
    "matches",
    "max_by_or_empty",
    "min_by_or_empty",
    "reverse",
    "sort",
    "sort_by",
    "split_",
    "split_matches",
    "tojson",
];

/// The definitions that charges are made by. They let a value through as it is, so that they can stand in a path, and
/// fail once everything is spent.
pub(super) fn own_defs() -> Vec<Def<&'static str>> {
    let gate = |name, asks| {
        let fails = Term::Call("error_empty", Vec::new());
        let body = Term::IfThenElse(vec![(Term::Call(asks, Vec::new()), Term::Id)], Some(Box::new(fails)));
        Def { name, args: Vec::new(), body }
    };
    vec![gate(TICK, "_step"), gate(FOLD, "_fold_step")]
}

/// A definition of the library, metered. What we do better ourselves is named away.
pub(super) fn def(def: Def<&str>) -> Def<&str> {
    let replaced = matches!((def.name, def.args.len()), ("add" | "tonumber", 0) | ("join", 1));
    let name = if replaced { "_replaced" } else { def.name };
    Def { name, args: def.args, body: term(def.body) }
}

fn call(name: &str) -> Term<&str> {
    Term::Call(name, Vec::new())
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn ticked(inner: Term<&str>) -> Term<&str> {
    pipe(call(TICK), term(inner))
}

fn boxed(inner: Term<&str>) -> Box<Term<&str>> {
    Box::new(term(inner))
}

/// A term, metered.
pub(super) fn term(own: Term<&str>) -> Term<&str> {
    match own {
        Term::Recurse => pipe(Term::Recurse, call(TICK)),
        own @ (Term::Id | Term::Num(_) | Term::Break(_) | Term::Var(_)) => own,
        Term::Str(format, parts) => {
            let part = |part| match part {
                StrPart::Term(inner) => StrPart::Term(pipe(term(inner), call(WEIGH))),
                plain => plain,
            };
            Term::Str(format, parts.into_iter().map(part).collect())
        }
        Term::Arr(inner) => Term::Arr(inner.map(|inner| boxed(*inner))),
        Term::Obj(members) => {
            let member = |(name, value): (_, Option<_>)| (term(name), value.map(term));
            Term::Obj(members.into_iter().map(member).collect())
        }
        // A number that is written with its sign is a number.
        Term::Neg(inner) => pipe(term(*inner), call(NEGATED)),
        Term::BinOp(left, operator, right) => operation(*left, operator, *right),
        Term::Label(name, inner) => Term::Label(name, boxed(*inner)),
        Term::Fold(kind, source, own, parts) => {
            let fold = |(at, part)| match at {
                0 => term(part),
                _ => pipe(call(FOLD), term(part)),
            };
            Term::Fold(kind, boxed(*source), pattern(own), parts.into_iter().enumerate().map(fold).collect())
        }
        Term::TryCatch(body, catch) => Term::TryCatch(boxed(*body), catch.map(|catch| boxed(*catch))),
        Term::IfThenElse(branches, otherwise) => {
            let branches = branches.into_iter().map(|(condition, then)| (term(condition), term(then)));
            Term::IfThenElse(branches.collect(), otherwise.map(|otherwise| boxed(*otherwise)))
        }
        Term::Def(defs, body) => {
            let defs =
                defs.into_iter().map(|own| Def { name: own.name, args: own.args, body: term(own.body) });
            Term::Def(defs.collect(), boxed(*body))
        }
        Term::Call(name, arguments) => {
            let own = Term::Call(name, arguments.into_iter().map(ticked).collect());
            match name {
                "length" => pipe(own, call(MADE)),
                name if HEAVY.contains(&name) => pipe(call(WEIGH), own),
                _ => own,
            }
        }
        Term::Path(from, Path(parts)) => {
            let repeats = parts.iter().any(|(part, _)| matches!(part, Part::Range(..)));
            let part = |(part, optional)| {
                let part = match part {
                    Part::Index(index) => Part::Index(term(index)),
                    Part::Range(from, to) => Part::Range(from.map(term), to.map(term)),
                };
                (part, optional)
            };
            let own = Term::Path(boxed(*from), Path(parts.into_iter().map(part).collect()));
            if repeats { pipe(own, call(TICK)) } else { own }
        }
    }
}

fn operation<'s>(left: Term<&'s str>, operator: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    let binary = |left, operator, right| Term::BinOp(Box::new(left), operator, Box::new(right));
    match operator {
        BinaryOp::Pipe(own) => binary(term(left), BinaryOp::Pipe(own.map(pattern)), ticked(right)),
        BinaryOp::Math(math) => calculation(term(left), math, term(right)),
        // `l += r` is `r as $x | l |= . + $x`.
        BinaryOp::UpdateMath(math) => {
            let sum = calculation(Term::Id, math, Term::Var(SUMMAND));
            let update = binary(term(left), BinaryOp::Update, pipe(call(TICK), sum));
            binary(term(right), BinaryOp::Pipe(Some(Pattern::Var(SUMMAND))), update)
        }
        BinaryOp::Update => binary(term(left), BinaryOp::Update, ticked(right)),
        BinaryOp::Cmp(comparison) => {
            let weighed = |side| pipe(term(side), call(WEIGH));
            binary(weighed(left), BinaryOp::Cmp(comparison), weighed(right))
        }
        operator => binary(term(left), operator, term(right)),
    }
}

fn calculation<'s>(left: Term<&'s str>, math: Math, right: Term<&'s str>) -> Term<&'s str> {
    let check = match math {
        Math::Add => WHOLE,
        // A text times a number would be as long as the number is large.
        Math::Mul => FACTOR,
        Math::Sub | Math::Div | Math::Rem => OPERAND,
    };
    let (left, right) = (pipe(left, call(check)), pipe(right, call(check)));
    pipe(Term::BinOp(Box::new(left), BinaryOp::Math(math), Box::new(right)), call(MADE))
}

fn pattern(own: Pattern<&str>) -> Pattern<&str> {
    match own {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(parts) => Pattern::Arr(parts.into_iter().map(pattern).collect()),
        Pattern::Obj(members) => {
            Pattern::Obj(members.into_iter().map(|(name, part)| (term(name), pattern(part))).collect())
        }
    }
}
