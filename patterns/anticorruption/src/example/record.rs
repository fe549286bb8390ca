//! Examples from real answers: the operation is called once, live, and what was asked and answered is kept, masked.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dozen_mapping::{DecodeError, Fault, Value};

use super::mask::Mask;
use super::recorded::play;
use super::{Example, Exchange, Failed, ProblemExample, RecordedAnswer, RecordedRequest};
use crate::ask::Ask;
use crate::foreign::{Foreign, ForeignAnswer, ForeignError, ForeignRequest, Place};
use crate::problem::Problem;
use crate::provider::Providers;
use crate::run::Source;
use crate::translator::Translator;

/// A recorded example, and what there is to know about it. Somebody should look at it before it is kept: what is personal is
/// known by the names of members alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The example.
    pub example: Example,
    /// What is not as it was, for a person.
    pub notes: Vec<String>,
}

/// Asks the providers, and keeps what they say. Each way is asked once at most, so what it keeps is bounded.
struct Recorder {
    providers: Arc<Providers>,
    heard: Mutex<Vec<(Place, Heard)>>,
}

enum Heard {
    Answer(ForeignAnswer),
    Failed(Failed),
}

#[async_trait]
impl Foreign for Recorder {
    async fn ask(&self, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        let place = asked.place.clone();
        let answered = self.providers.live.ask(asked).await;
        let heard = match &answered {
            Ok(answer) => Some(Heard::Answer(answer.clone())),
            Err(ForeignError::Unreachable(_)) => Some(Heard::Failed(Failed::Unreachable)),
            Err(ForeignError::Broken(_)) => Some(Heard::Failed(Failed::Broken)),
            Err(ForeignError::TimedOut) => Some(Heard::Failed(Failed::Timeout)),
            Err(_) => None,
        };
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(heard.map(|heard| (place, heard)));
        answered
    }
}

/// Answers with what was heard, whatever the request is, and notes the request.
struct Replay {
    answers: Vec<(Place, RecordedAnswer)>,
    exchanges: Mutex<Vec<Exchange>>,
}

#[async_trait]
impl Foreign for Replay {
    async fn ask(&self, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        let found = self.answers.iter().find(|(place, _)| *place == asked.place);
        let (place, answer) = found.ok_or(ForeignError::NotRecorded)?;
        let exchange = Exchange {
            call: place.call.to_string(),
            provider: place.provider.to_string(),
            request: RecordedRequest::of(&asked.request),
            answer: answer.clone(),
        };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        play(answer)
    }
}

impl Translator {
    /// Calls the operation once, live and past the cache, and makes an example of it; not while one of its providers is mocked. Members that look personal, and
    /// those that `redact` names, are masked in input, questions, answers and result alike; headers are not kept.
    pub async fn record(&self, name: &str, input: Value) -> Recording {
        let (mask, mut notes) = (Mask::new(&self.0.part.options.redact), Vec::new());
        for way in
            self.0.part.calls.iter().flat_map(|call| &call.ways).filter(|way| way.provider.options.mock)
        {
            notes.push(format!("{}: it is mocked; without `mock: true` it can be recorded", way.place));
        }
        let recorder = Arc::new(Recorder { providers: self.0.providers.clone(), heard: Mutex::default() });
        let real = Example { name: name.to_owned(), input, ..Example::default() };
        let live = self.play(&real, Source::Instead(recorder.clone())).await;
        let heard = std::mem::take(&mut *recorder.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let mut answers = Vec::with_capacity(heard.len());
        for (place, heard) in heard {
            let answer = match heard {
                Heard::Failed(failed) => RecordedAnswer { failed: Some(failed), ..RecordedAnswer::default() },
                Heard::Answer(answer) => {
                    let way =
                        self.0.part.calls.iter().flat_map(|call| &call.ways).find(|way| way.place == place);
                    let Some(way) = way else { continue };
                    masked(way, answer, &mask, &mut notes)
                }
            };
            answers.push((place, answer));
        }
        // What is asked and what comes out is made anew from what is masked, so that the example fits itself.
        let mut example = Example { input: mask.over(&real.input), ..real };
        let replay = Arc::new(Replay { answers, exchanges: Mutex::default() });
        let again = self.play(&example, Source::Played(replay.clone())).await;
        if outcome(&live) != outcome(&again) {
            notes.push(format!(
                "masked, it ends otherwise: it was {}, and is {}",
                outcome(&live),
                outcome(&again)
            ));
        }
        example.exchanges =
            std::mem::take(&mut *replay.exchanges.lock().unwrap_or_else(PoisonError::into_inner));
        match again {
            Ok(output) => example.output = Some(output),
            Err(problem) => example.problem = Some(ProblemExample::from(&problem)),
        }
        Recording { example, notes }
    }
}

fn outcome(answered: &Result<Value, Problem>) -> &str {
    match answered {
        Ok(_) => "a result",
        Err(problem) => &problem.kind,
    }
}

fn masked(way: &Ask, answer: ForeignAnswer, mask: &Mask, notes: &mut Vec<String>) -> RecordedAnswer {
    let place = &way.place;
    let document = match way.read(&answer) {
        Ok(Value::Null) => Ok(Bytes::new()),
        Ok(document) => way
            .answer_format
            .encode(&mask.over(&document))
            .map(Bytes::from)
            .map_err(|error| error.to_string()),
        Err(DecodeError::Fault(fault)) => {
            notes.push(format!("{place}: of the fault only the code is kept"));
            Ok(fault_of(&fault).into())
        }
        Err(error) => Err(error.to_string()),
    };
    let document = document.unwrap_or_else(|error| {
        notes.push(format!("{place}: the document is left out, because it cannot be masked: {error}"));
        Bytes::new()
    });
    // The format writes in its own charset, and says so.
    let (mut parts, _) = answer.into_parts();
    if let Ok(kind) = way.answer_format.content_type().parse() {
        parts.headers.insert(http::header::CONTENT_TYPE, kind);
    }
    RecordedAnswer::of(&http::Response::from_parts(parts, document))
}

/// A fault in our words with their code.
fn fault_of(fault: &Fault) -> String {
    let safe =
        |code: &str| match code.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_'))
        {
            true => code.to_owned(),
            false => "masked".to_owned(),
        };
    let code = safe(&fault.code);
    match &fault.subcode {
        None => format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>\
             <faultcode>{code}</faultcode><faultstring>masked</faultstring></s:Fault></s:Body></s:Envelope>"
        ),
        Some(subcode) => format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body><s:Fault><s:Code>\
             <s:Value>{code}</s:Value><s:Subcode><s:Value>{}</s:Value></s:Subcode></s:Code><s:Reason>\
             <s:Text xml:lang=\"en\">masked</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
            safe(subcode)
        ),
    }
}
