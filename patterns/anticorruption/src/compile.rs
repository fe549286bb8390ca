//! From options to translators: everything that can be found wrong is found here, and told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dozen_core::Ids;
use dozen_mapping::{Format, Limits, Mapping, Options as TableOptions};
use dozen_schema::Schema;
use serde_json::Value as Json;

use crate::ask::{Around, Ask};
use crate::cache::Cache;
use crate::error::{Error, Gathered};
use crate::example::{Example, Recorded};
use crate::foreign::{Foreign, Place};
use crate::options::{CallOptions, Options, TranslatorOptions};
use crate::plan::{self, INPUT};
use crate::provider::{self, Provider, ProviderStatus, Providers};
use crate::scope;
use crate::tally::Tally;
use crate::translator::{Call, Inner, Translator};

/// Calls of one translator.
const CALLS_MAX: usize = 32;
/// Ways to make one call.
const WAYS_MAX: usize = 8;

/// All translators of a file, and the providers that they share.
#[derive(Debug)]
pub struct Translators {
    pub(crate) all: BTreeMap<String, Translator>,
    pub(crate) providers: Arc<Providers>,
}

impl Translators {
    /// Compiles them. `foreign` asks their providers, and `examples` are those of each translator, by its name.
    ///
    /// Nothing is asked: a provider that is away keeps nobody from starting.
    pub fn compile(
        options: &Options,
        examples: &BTreeMap<String, Vec<Example>>,
        foreign: Arc<dyn Foreign>,
        ids: Ids,
    ) -> Result<Self, Error> {
        let mut gathered = Gathered::default();
        let mut shared: BTreeMap<&str, Arc<Provider>> = BTreeMap::new();
        for (name, options) in &options.providers {
            let at = format!("providers.{name}");
            scope::check_name(name, &at, &mut gathered);
            gathered.take(&at, provider::policy(options).check());
            let service = options.service.as_deref().unwrap_or(name).into();
            let provider = Provider { name: name.as_str().into(), service, options: options.clone() };
            shared.insert(name, Arc::new(provider));
        }
        let mut recorded = Recorded::default();
        let mut parts = Vec::new();
        for (name, translator) in &options.translators {
            scope::check_name(name, &format!("translators.{name}"), &mut gathered);
            let Some(part) = translator_of(name, translator, &shared, &mut gathered) else { continue };
            let own = examples.get(name).map(Vec::as_slice).unwrap_or_default();
            for example in own {
                learn(example, &part, &mut recorded, &format!("translators.{name}.examples"), &mut gathered);
            }
            parts.push((name.clone(), part, own.to_vec()));
        }
        for name in examples.keys().filter(|name| !options.translators.contains_key(*name)) {
            gathered.add("translators", format!("there are examples for `{name}`, and no such translator"));
        }
        let providers = Arc::new(Providers {
            all: shared.into_values().collect(),
            upstreams: provider::upstreams(options),
            live: foreign,
            recorded: Arc::new(recorded),
            ids,
        });
        let all = parts.into_iter().map(|(name, part, examples)| {
            let cache = part.options.cache.map(Cache::new);
            let inner =
                Inner { part, providers: providers.clone(), examples, cache, tally: Tally::default() };
            (name, Translator(Arc::new(inner)))
        });
        let translators = Self { all: all.collect(), providers: providers.clone() };
        gathered.settle(translators)
    }

    /// How the providers stand, by name.
    pub fn providers(&self) -> Vec<ProviderStatus> {
        self.providers.statuses()
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Translator> {
        self.all.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Translator)> {
        self.all.iter().map(|(name, translator)| (name.as_str(), translator))
    }
}

/// What a translator is, without the world around it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: Arc<str>,
    pub(crate) options: TranslatorOptions,
    pub(crate) input_format: Format,
    pub(crate) output_format: Format,
    pub(crate) input: Option<Schema>,
    pub(crate) output: Option<Schema>,
    pub(crate) calls: Vec<Call>,
    pub(crate) map: Option<Mapping>,
    pub(crate) limits: Limits,
}

fn translator_of(
    name: &str,
    options: &TranslatorOptions,
    providers: &BTreeMap<&str, Arc<Provider>>,
    gathered: &mut Gathered,
) -> Option<Part> {
    let at = format!("translators.{name}");
    let input_format = gathered.mapped(Format::parse(&options.input_format, &format!("{at}.input-format")));
    let output_format =
        gathered.mapped(Format::parse(&options.output_format, &format!("{at}.output-format")));
    let mut schema = |schema: &Option<Json>, key: &str| {
        let schema = schema.as_ref()?;
        gathered.take(&format!("{at}.{key}"), Schema::compile(schema.to_string().as_bytes()))
    };
    let (input, output) = (schema(&options.input, "input"), schema(&options.output, "output"));
    if options.calls.len() > CALLS_MAX {
        gathered.add(format!("{at}.calls"), format!("there are more than {CALLS_MAX}"));
        return None;
    }
    if options.map.is_none() && options.calls.len() != 1 {
        gathered.add(
            format!("{at}.map"),
            "say what the result is made of: only an operation of one call has its result",
        );
    }
    let needs = plan::plan(&options.calls, &format!("{at}.calls"), gathered);
    let scope = scope::of(options);
    let mut calls = Vec::with_capacity(options.calls.len());
    for ((call, own), needs) in options.calls.iter().zip(needs) {
        let at = format!("{at}.calls.{call}");
        scope::check_name(call, &at, gathered);
        if call == INPUT {
            gathered.add(&*at, "`input` is what comes in; a call has another name");
        }
        let names = Names { translator: name, call };
        calls.extend(call_of(&names, own, options, &scope, needs, providers, gathered));
    }
    let seen = TableOptions { input: Some(&scope), output: options.output.as_ref(), on_error: None };
    let map = options
        .map
        .as_ref()
        .and_then(|map| gathered.mapped(Mapping::table(map, &format!("{at}.map"), &seen)));
    Some(Part {
        name: name.into(),
        options: options.clone(),
        input_format: input_format?,
        output_format: output_format?,
        input,
        output,
        calls,
        map,
        limits: Limits::default(),
    })
}

struct Names<'a> {
    translator: &'a str,
    call: &'a str,
}

fn call_of(
    names: &Names<'_>,
    call: &CallOptions,
    options: &TranslatorOptions,
    scope: &Json,
    needs: Vec<usize>,
    providers: &BTreeMap<&str, Arc<Provider>>,
    gathered: &mut Gathered,
) -> Option<Call> {
    let at = format!("translators.{}.calls.{}", names.translator, names.call);
    let seen = TableOptions { input: Some(scope), ..TableOptions::default() };
    let with = match &call.with {
        None => None,
        Some(table) => Some(gathered.mapped(Mapping::table(table, &format!("{at}.with"), &seen))?),
    };
    let asked = match &call.with {
        // Only the names are known; what stands behind them may still be missing.
        Some(table) => Some(scope::object(table.as_object()?.iter().map(|(name, _)| &**name), &[])),
        None => options.input.clone(),
    };
    if call.ask.is_empty() || call.ask.len() > WAYS_MAX {
        gathered.add(format!("{at}.ask"), format!("there are 1 to {WAYS_MAX} ways to ask"));
    }
    let mut asked_already = BTreeSet::new();
    let mut ways = Vec::with_capacity(call.ask.len());
    for (place, way) in call.ask.iter().enumerate() {
        let at = format!("{at}.ask[{place}]");
        let Some(provider) = providers.get(way.provider.as_str()) else {
            let near = dozen_core::nearest(&way.provider, providers.keys().copied());
            let hint = near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            gathered.add(format!("{at}.provider"), format!("there is no provider `{}`{hint}", way.provider));
            continue;
        };
        if !asked_already.insert(&way.provider) {
            gathered.add(format!("{at}.provider"), "it is asked for this already");
        }
        let around = Around {
            at: &at,
            place: Place {
                translator: names.translator.into(),
                call: names.call.into(),
                provider: provider.name.clone(),
            },
            provider: provider.clone(),
            with: asked.as_ref(),
            output: options.output.as_ref().filter(|_| options.map.is_none()),
            drift: options.drift,
        };
        ways.extend(Ask::compile(way, around, gathered));
    }
    Some(Call { name: names.call.into(), with, ways, needs, optional: call.optional })
}

/// Puts the exchanges of an example where mocks and drift find them.
fn learn(example: &Example, part: &Part, recorded: &mut Recorded, at: &str, gathered: &mut Gathered) {
    for exchange in &example.exchanges {
        let mut ways =
            part.calls.iter().filter(|call| *call.name == *exchange.call).flat_map(|call| &call.ways);
        let way = ways.find(|way| *way.place.provider == *exchange.provider);
        let Some(way) = way else {
            // A way that does not compile is told already.
            let call = part.options.calls.get(&exchange.call);
            if !call.is_some_and(|call| call.ask.iter().any(|way| way.provider == exchange.provider)) {
                let problem = format!(
                    "`{}` asks `{}` at `{}`, which is no way of this translator",
                    example.name, exchange.call, exchange.provider
                );
                gathered.add(at, problem);
            }
            continue;
        };
        if let Some(document) = exchange
            .answer
            .whole()
            .and_then(|answer| answer.status().is_success().then(|| way.read(&answer).ok()).flatten())
        {
            way.drift.learn(&document);
        }
        recorded.add(way, exchange);
    }
}
