//! jq, where the table ends: within bounds that the program cannot lift.
//!
//! ```text
//!  text ──► parse ──► lint ──► meter ──► compile ──► Program ── run(&Value) ──► one value, or none
//!            jaq       names,   a charge in front
//!                      loops    of all that repeats
//! ```
//!
//! jq can loop for ever, eat all memory and read the environment, and its interpreter has no measure against any of it.
//! So three things stand around it.
//!
//! *What may be said* is listed, name by name ([`lint`]). What is not listed is refused when the program is compiled:
//! loops without an end (`until`, `while`, `repeat`, `recurse(f)`, a function that calls itself, a `range` whose ends are
//! no numbers), whatever reads or writes outside (`input`, `env`, `now`, `debug`, `halt`), paths as data (`getpath`,
//! `setpath`). What is left takes time that is polynomial in its input, which is still too long.
//!
//! *What it costs* is counted ([`meter`]). Each step of a loop, each call of an argument, each value that is built,
//! compared or written as text is charged before or as it is done, also inside of jq's own library; a program that has
//! spent [`Limits::jq_work`](crate::Limits::jq_work) or [`Limits::jq_time`](crate::Limits::jq_time) fails, and cannot
//! catch that. One single operation on one value is not interrupted, and is linear in it.
//!
//! *Numbers* pass unchanged, decimals too. jq would calculate with decimals as binary numbers, so calculating is for
//! whole numbers alone; a decimal in a calculation, or a division that leaves a rest, is an error. Comparing and sorting
//! decimals is done in binary, to about 15 digits.

mod convert;
mod lint;
mod meter;
mod natives;

use std::time::Instant;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader, parse};
use jaq_core::{Compiler, Ctx, Vars};

use crate::limits::Limits;
use crate::mistake::Mistake;
use crate::value::Value;
use natives::{Data, Meter, Metered};

/// The longest program, in bytes.
pub const PROGRAM_MAX: usize = 4096;

/// The stack that a program is compiled on, in bytes: the parser recurses as deep as the text nests.
const COMPILE_STACK: usize = 64 * 1024 * 1024;

/// A compiled program.
pub(crate) struct Program {
    text: String,
    filter: jaq_core::Filter<Metered>,
}

/// Why a program gives no value. The texts never hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// It says so itself, or does what cannot be done with what is there.
    #[error("the program fails on this input")]
    Failed,
    /// It gives several values.
    #[error("the program gives several values, where one belongs; put `[…]` around it for a list")]
    Several,
    /// It goes on for too long.
    #[error("the program does more work than it may")]
    TooMuchWork,
    /// It takes too long.
    #[error("the program takes longer than it may")]
    TooSlow,
    /// It calculates with numbers that are not whole.
    #[error("the program calculates with a fraction, which jq does not do exactly")]
    Inexact,
    /// What it gives nests too deep, is no text, or has names that are none.
    #[error("the program gives what is no JSON, or nests too deep")]
    NoJson,
}

impl Program {
    /// Compiles a program, or says what is wrong with it.
    pub(crate) fn compile(text: &str) -> Result<Self, Mistake> {
        if text.len() > PROGRAM_MAX {
            let problem = format!("the program has {} bytes, and {PROGRAM_MAX} are the most", text.len());
            return Err(Mistake::new("", problem));
        }
        let own = text.to_owned();
        let compiler = std::thread::Builder::new().stack_size(COMPILE_STACK).spawn(move || compiled(&own));
        let filter = compiler.ok().and_then(|thread| thread.join().ok());
        let filter = filter.unwrap_or_else(|| Err(Mistake::new("", "the program cannot be compiled")))?;
        Ok(Self { text: text.to_owned(), filter })
    }

    /// Runs it: the one value that it gives, or nothing for none and for null.
    pub(crate) fn run(&self, input: &Value, limits: &Limits) -> Result<Option<Value>, JqError> {
        let deadline = Instant::now().checked_add(limits.jq_time);
        let meter = Meter::new(limits.jq_work, deadline);
        let data = Data { lut: &self.filter.lut, meter: &meter };
        let context = Ctx::<Metered>::new(data, Vars::new([]));
        let mut outputs = self.filter.id.run((context, convert::into_jq(input)));
        let first = outputs.next();
        let second = match first {
            Some(Ok(_)) => outputs.next(),
            _ => None,
        };
        drop(outputs);
        if let Some(problem) = meter.problem() {
            return Err(problem);
        }
        match (first, second) {
            (None, _) => Ok(None),
            (Some(Ok(value)), None) => {
                let value = convert::from_jq(&value, limits)?;
                Ok(Some(value).filter(|value| *value != Value::Null))
            }
            (Some(Ok(_)), Some(Ok(_))) => Err(JqError::Several),
            (Some(Err(_)), _) | (_, Some(Err(_))) => Err(JqError::Failed),
        }
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Program").field(&self.text).finish()
    }
}

fn compiled(text: &str) -> Result<jaq_core::Filter<Metered>, Mistake> {
    // The program becomes a definition of its own, so that it can be metered as a tree and not as a text.
    let term = parse(text, |parser| parser.term()).ok_or_else(|| syntax(text))?;
    lint::check(&term)?;
    let library = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let library: Vec<_> = meter::own_defs().into_iter().chain(library.map(meter::def)).collect();
    let mut all: Vec<Def<&str>> = library;
    all.push(Def { name: meter::PROGRAM, args: Vec::new(), body: meter::term(term) });
    let loader = Loader::new(all);
    let arena = Arena::default();
    let unusable = || Mistake::new("", "the program cannot be compiled");
    let modules = loader.load(&arena, File { code: meter::PROGRAM, path: () }).map_err(|_| unusable())?;
    let natives = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs()).chain(natives::funs());
    Compiler::default().with_funs(natives).compile(modules).map_err(|errors| {
        // Functions are checked before, so what is left is a variable.
        let name = errors.iter().flat_map(|(_, undefined)| undefined).map(|(name, _)| *name).next();
        match name {
            Some(name) => Mistake::new("", format!("there is no `{name}`")),
            None => unusable(),
        }
    })
}

/// What the parser complains of, in a sentence.
fn syntax(text: &str) -> Mistake {
    use jaq_core::load::{Lexer, Parser, span};
    let place = |part: &str| {
        let before = &text[..span(text, part).start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("line {line}, column {column}")
    };
    match Lexer::new(text).lex() {
        Err(errors) => match errors.first() {
            Some((expected, part)) => {
                Mistake::new("", format!("{}: {} is missing", place(part), expected.as_str()))
            }
            None => Mistake::new("", "this is no jq"),
        },
        Ok(tokens) => match Parser::new(&tokens).parse(|parser| parser.term()) {
            Err(errors) => match errors.first() {
                Some((expected, found)) => {
                    let (at, found) = match found {
                        Some(token) => {
                            (place(token.0), format!(" before `{}`", crate::error::shown(token.0)))
                        }
                        None => ("at the end".to_owned(), String::new()),
                    };
                    Mistake::new("", format!("{at}: {} is missing{found}", expected.as_str()))
                }
                None => Mistake::new("", "this is no jq"),
            },
            Ok(_) => Mistake::new("", "this is no jq"),
        },
    }
}
