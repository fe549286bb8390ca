//! Examples as tests: each is played, and what was asked and what came out is compared with what it says.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dozen_mapping::json;
use tokio::time::Instant;

use super::difference::differences;
use super::recorded::{Recorded, play};
use super::{Example, ProblemExample, RecordedRequest};
use crate::foreign::{Foreign, ForeignAnswer, ForeignError, ForeignRequest, Place};
use crate::problem::Problem;
use crate::run::{Run, Source};
use crate::translator::Translator;

/// Signs of a document that a report shows.
const SHOWN_MAX: usize = 400;

/// What became of a translator's examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The translator.
    pub translator: Arc<str>,
    /// Its examples, in order.
    pub cases: Vec<Case>,
}

/// What became of one example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What is not as it says; nothing if it holds.
    pub mistakes: Vec<String>,
}

impl Report {
    /// Whether all of them hold.
    pub fn holds(&self) -> bool {
        self.cases.iter().all(|case| case.mistakes.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.cases.iter().filter(|case| !case.mistakes.is_empty()).count();
        match (self.cases.len(), failed) {
            (0, _) => write!(f, "{}: there are no examples", self.translator)?,
            (all, 0) => write!(f, "{}: {all} of {all} examples hold", self.translator)?,
            (all, failed) => write!(f, "{}: {failed} of {all} examples fail", self.translator)?,
        }
        for case in self.cases.iter().filter(|case| !case.mistakes.is_empty()) {
            write!(f, "\n  {}", case.name)?;
            for mistake in &case.mistakes {
                write!(f, "\n    {mistake}")?;
            }
        }
        Ok(())
    }
}

/// Plays one example, and notes what was asked beside it.
struct Player {
    recorded: Recorded,
    asked: Mutex<Vec<(Place, RecordedRequest)>>,
    strange: Mutex<Vec<String>>,
}

#[async_trait]
impl Foreign for Player {
    async fn ask(&self, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        let ForeignRequest { place, request, .. } = asked;
        let own = RecordedRequest::of(&request);
        let Some(answer) = self.recorded.find(&place, &request) else {
            let body = own.body.as_deref().map(|body| format!(" with {}", shown(body))).unwrap_or_default();
            let strange = format!(
                "`{}` is asked {} {}{body}, which the example does not have",
                place.provider, own.method, own.target
            );
            self.strange.lock().unwrap_or_else(PoisonError::into_inner).push(strange);
            return Err(ForeignError::NotRecorded);
        };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((place, own));
        play(answer)
    }
}

impl Translator {
    /// Plays the examples. Nothing is asked outside, nothing is counted, and providers' guards stay as they are.
    pub async fn run_examples(&self) -> Report {
        let mut cases = Vec::with_capacity(self.0.examples.len());
        for example in &self.0.examples {
            let mistakes = self.check(example).await;
            cases.push(Case { name: example.name.clone(), mistakes });
        }
        Report { translator: self.name().clone(), cases }
    }

    async fn check(&self, example: &Example) -> Vec<String> {
        let (mut recorded, mut doubts) = (Recorded::default(), Vec::new());
        for exchange in &example.exchanges {
            let ways = self.0.part.calls.iter().flat_map(|call| &call.ways);
            for way in ways
                .filter(|way| *way.place.call == *exchange.call && *way.place.provider == *exchange.provider)
            {
                recorded.add(way, exchange);
                let mut undecided = Vec::new();
                if let Some(answer) = exchange.answer.whole() {
                    way.understand(&answer, &mut undecided);
                }
                doubts.extend(undecided.iter().map(|rule| {
                    format!(
                        "`errors[{}]` of `{}` cannot be decided: {}",
                        rule.place, exchange.provider, rule.why
                    )
                }));
            }
        }
        let player = Arc::new(Player { recorded, asked: Mutex::default(), strange: Mutex::default() });
        let answered = self.play(example, Source::Played(player.clone())).await;
        let mut mistakes =
            std::mem::take(&mut *player.strange.lock().unwrap_or_else(PoisonError::into_inner));
        let asked = std::mem::take(&mut *player.asked.lock().unwrap_or_else(PoisonError::into_inner));
        if asked.len() < example.exchanges.len() && mistakes.is_empty() {
            for exchange in &example.exchanges {
                let is_asked = asked.iter().any(|(place, own)| {
                    *place.call == *exchange.call
                        && *place.provider == *exchange.provider
                        && own.target == exchange.request.target
                });
                if !is_asked {
                    mistakes.push(format!("`{}` is not asked for `{}`", exchange.provider, exchange.call));
                }
            }
        }
        mistakes.extend(doubts);
        match (answered, &example.output, &example.problem) {
            (Ok(output), Some(wanted), _) => mistakes.extend(differences(wanted, &output)),
            (Ok(output), None, wanted) => {
                let kind = wanted.as_ref().map_or("a problem", |wanted| &wanted.kind);
                let output = shown(&json::write(&output));
                mistakes.push(format!("the result is {output}; wanted the problem `{kind}`"));
            }
            (Err(problem), _, Some(wanted)) if ProblemExample::from(&problem) == *wanted => {}
            (Err(problem), _, _) => {
                mistakes.push(format!("the problem `{}` ({}): {problem}", problem.kind, problem.status));
            }
        }
        mistakes
    }

    /// One example, answered by `source`.
    pub(super) async fn play(
        &self,
        example: &Example,
        source: Source,
    ) -> Result<dozen_mapping::Value, Problem> {
        self.0.check_input(&example.input)?;
        let until = Instant::now() + self.0.part.options.timeout;
        Run { inner: &self.0, source, until }.whole(example.input.clone()).await
    }
}

pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
