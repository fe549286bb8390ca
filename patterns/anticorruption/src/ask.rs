//! One way to ask one provider: a request in its model, and its answer in ours. No I/O.

use std::sync::Arc;

use bytes::Bytes;
use dozen_mapping::{DecodeError, Fault, Format, Limits, Mapping, Options, Value};
use dozen_schema::Schema;
use http::{StatusCode, header};
use serde_json::Value as Json;

use crate::drift::Drift;
use crate::error::Gathered;
use crate::foreign::{ForeignAnswer, Place};
use crate::meaning::Meaning;
use crate::options::{AskOptions, DriftOptions};
use crate::problem::Problem;
use crate::provider::Provider;
use crate::question::Question;
use crate::refusal::{self, Rule, Told, Undecided};

/// One way to ask.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) place: Place,
    pub(crate) provider: Arc<Provider>,
    /// Whether it may be asked twice, or somebody else after it, without harm.
    pub(crate) repeatable: bool,
    pub(crate) question: Question,
    pub(crate) answer_format: Format,
    answer: Option<Mapping>,
    errors: Vec<Rule>,
    pub(crate) drift: Drift,
    limits: Limits,
}

/// What the compiler of a way needs to know beside its options.
pub(crate) struct Around<'a> {
    /// Where it stands in the file.
    pub(crate) at: &'a str,
    pub(crate) place: Place,
    pub(crate) provider: Arc<Provider>,
    /// What `with` makes, and what the operation has to give if this is its only call.
    pub(crate) with: Option<&'a Json>,
    pub(crate) output: Option<&'a Json>,
    pub(crate) drift: DriftOptions,
}

impl Ask {
    pub(crate) fn compile(options: &AskOptions, around: Around<'_>, gathered: &mut Gathered) -> Option<Self> {
        let Around { at, place, provider, with, output, drift } = around;
        let answer = &options.answer;
        let asked = Options { input: with, ..Options::default() };
        let question = Question::compile(&options.request, provider.options.speaks, at, &asked, gathered);
        let answer_format = gathered.mapped(Format::parse(&answer.format, &format!("{at}.answer.format")));
        let read = Options { input: answer.schema.as_ref(), output, on_error: None };
        let translated = match (&answer.map, &answer.rule) {
            (None, None) => Some(None),
            (Some(table), None) => {
                gathered.mapped(Mapping::table(table, &format!("{at}.answer.map"), &read)).map(Some)
            }
            (None, Some(rule)) => {
                gathered.mapped(Mapping::rule(rule, &format!("{at}.answer.rule"), &read)).map(Some)
            }
            (Some(_), Some(_)) => {
                gathered.add(format!("{at}.answer"), "`map` and `rule` are two results");
                None
            }
        };
        let errors = options.errors.iter().enumerate();
        let has_faults = answer_format.as_ref().is_none_or(|format| format.name() == "soap");
        let errors_at = format!("{at}.errors");
        let errors: Vec<_> = errors
            .filter_map(|(place, rule)| Rule::compile(rule, (&errors_at, place), has_faults, gathered))
            .collect();
        if let Some(schema) = &answer.schema {
            gathered.take(&format!("{at}.answer.schema"), Schema::compile(schema.to_string().as_bytes()));
        }
        let (question, answer_format) = (question?, answer_format?);
        let limits = Limits { size: provider.options.answer_max.get(), ..Limits::default() };
        // An element that is there once and one that is there twice are the same element.
        let flat = matches!(answer_format.name(), "xml" | "soap");
        Some(Self {
            drift: Drift::new(drift, answer.schema.as_ref(), flat),
            repeatable: options.request.repeatable.unwrap_or_else(|| question.is_repeatable()),
            place,
            provider,
            question,
            answer_format,
            answer: translated?,
            errors,
            limits,
        })
    }

    /// The question in their model; a bare one has no header in its envelope.
    pub(crate) fn request(&self, with: &Value, is_bare: bool) -> Result<http::Request<Bytes>, Problem> {
        self.question.ask(with, &self.place.provider, &self.limits, is_bare)
    }

    /// The document of an answer, in their model.
    pub(crate) fn read(&self, answer: &ForeignAnswer) -> Result<Value, DecodeError> {
        if answer.body().is_empty() && answer.status() == http::StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        self.answer_format.decode(answer.body(), kind, &self.limits)
    }

    /// What an answer means in our model. Rules that cannot say whether they know it are added to `undecided`.
    pub(crate) fn understand(&self, answer: &ForeignAnswer, undecided: &mut Vec<Undecided>) -> Meaning {
        let status = answer.status();
        let read = self.read(answer);
        let fault = match &read {
            Err(DecodeError::Fault(fault)) => Some(&**fault),
            _ => None,
        };
        let told = Told { status: status.as_u16(), fault, body: read.as_ref().ok() };
        let found = refusal::find(&self.errors, &told, &self.limits, undecided);
        let is_unwell = is_unwell(status, fault, found.as_ref().map(|(rule, _)| *rule));
        if let Some((rule, problem)) = found {
            return Meaning::Problem { problem, is_unwell, next: rule.next, document: None };
        }
        let provider = &self.place.provider;
        if fault.is_some() {
            let detail = format!("`{provider}` answered with a fault that no rule of `errors` knows");
            let problem = Problem::refused(detail);
            return Meaning::Problem { problem, is_unwell, next: false, document: None };
        }
        if is_unwell {
            let detail = format!("`{provider}` answered with status {}", status.as_u16());
            let problem = Problem::unavailable(detail, None);
            // What may have been done is not done again elsewhere.
            return Meaning::Problem { problem, is_unwell, next: self.repeatable, document: None };
        }
        if !status.is_success() {
            let status = status.as_u16();
            let detail =
                format!("`{provider}` answered with status {status}, which no rule of `errors` knows");
            return Meaning::Problem {
                problem: Problem::refused(detail),
                is_unwell: false,
                next: false,
                document: None,
            };
        }
        let untranslatable = |detail: String, document| {
            let problem = Problem::untranslatable(detail);
            Meaning::Problem { problem, is_unwell: false, next: false, document }
        };
        let document = match read {
            Ok(document) => document,
            Err(error) => return untranslatable(format!("the answer of `{provider}`: {error}"), None),
        };
        match &self.answer {
            None => Meaning::Result { value: document.clone(), document, fallbacks: 0 },
            Some(mapping) => match mapping.apply(&document, &self.limits) {
                Ok(made) => Meaning::Result { value: made.value, document, fallbacks: made.fallbacks_total },
                Err(failure) => {
                    untranslatable(format!("the answer of `{provider}`: {failure}"), Some(document))
                }
            },
        }
    }
}

/// Whether an answer says that the provider is unwell, and not only of another opinion. Too many requests, and what a server
/// says is its own doing, is no word about the question, whatever a rule makes of it for the caller. Many servers call any
/// mistake their own in a fault; of one that a rule knows as a matter of the question that is not believed.
fn is_unwell(status: StatusCode, fault: Option<&Fault>, rule: Option<&Rule>) -> bool {
    match fault {
        None => status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        Some(fault) => {
            // SOAP 1.1 lets codes be refined: `Server.Timeout`.
            let code = fault.code.split('.').next().unwrap_or_default();
            matches!(code, "Server" | "Receiver") && !rule.is_some_and(Rule::is_opinion)
        }
    }
}
