//! Reading an answer that somebody else has: what it says in our model, and nobody is asked, counted or compared.
//!
//! Two systems that answer the same question in their own ways can so be held against each other in ours.

use dozen_mapping::Value;

use crate::foreign::ForeignAnswer;
use crate::meaning::Meaning;
use crate::options::Speaks;
use crate::problem::Problem;
use crate::translator::Translator;

impl Translator {
    /// Whether an answer alone makes its result, as [`Self::read`] needs it; the error says what else it takes.
    pub fn reads(&self) -> Result<(), &'static str> {
        let [call] = self.0.part.calls.as_slice() else {
            return Err("its result is made of several answers");
        };
        if self.0.part.map.is_some() {
            return Err("its result is made of more than an answer; move its `map` to `answer`");
        }
        match call.ways.first().map(|way| way.provider.options.speaks) {
            Some(Speaks::Http) => Ok(()),
            _ => Err("its provider does not answer over HTTP"),
        }
    }

    /// What `answer` says as the answer of its first provider, however it was asked for.
    pub fn read(&self, answer: &ForeignAnswer) -> Result<Value, Problem> {
        self.reads().map_err(Problem::untranslatable)?;
        let way = self.0.part.calls.first().and_then(|call| call.ways.first());
        let way = way.ok_or_else(|| Problem::untranslatable("there is nobody to ask"))?;
        match way.understand(answer, &mut Vec::new()) {
            Meaning::Result { value, .. } => self.0.check_output(&value).map(|()| value),
            Meaning::Problem { problem, .. } => Err(problem),
        }
    }
}
