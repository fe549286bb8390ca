//! One evaluation: the variables, made when they are asked for, and the verdict.

use std::sync::OnceLock;

use cel::common::types::{CelBool, CelInt, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context as Frame, Value};
use dozen_core::{Attribute, Message};

use crate::DATA_MAX;
use crate::STEPS_MAX;
use crate::context::Context;
use crate::expression::Compiled;
use crate::fuel::Fuel;
use crate::functions::environment;
use crate::json::{self, Boxed, Wanted};
use crate::moment::Moment;
use crate::prepare::FUEL;
use crate::verdict::{Problem, Verdict};

/// Evaluates over a message.
pub(crate) fn over_message(compiled: &Compiled, message: &Message) -> Verdict {
    let scene = MessageScene { message, compiled, data: OnceLock::new(), attributes: OnceLock::new() };
    let fuel = Fuel::default();
    verdict(compiled, &Scene { compiled, variables: &scene, fuel: &fuel })
}

/// Evaluates over any values.
pub(crate) fn over_context(compiled: &Compiled, context: &Context<'_>) -> Verdict {
    with_context(compiled, context, verdict)
}

/// Evaluates over any values, to a text.
pub(crate) fn text_over_context(compiled: &Compiled, context: &Context<'_>) -> Result<String, Problem> {
    with_context(compiled, context, text_of)
}

fn with_context<T>(
    compiled: &Compiled,
    context: &Context<'_>,
    evaluate: impl FnOnce(&Compiled, &Scene<'_>) -> T,
) -> T {
    let values = context.values();
    let scene = ContextScene { values, made: values.iter().map(|_| OnceLock::new()).collect() };
    let fuel = Fuel::default();
    evaluate(compiled, &Scene { compiled, variables: &scene, fuel: &fuel })
}

fn verdict(compiled: &Compiled, scene: &Scene<'_>) -> Verdict {
    let truth = evaluate(compiled, scene, |value| match value.downcast_ref::<CelBool>() {
        Some(truth) => Ok(*truth.inner()),
        None => Err(Problem::NotBoolean { kind: value.get_type().name().to_owned() }),
    });
    match truth {
        Ok(true) => Verdict::Yes,
        Ok(false) => Verdict::No,
        Err(problem) => Verdict::Unknown(problem),
    }
}

fn text_of(compiled: &Compiled, scene: &Scene<'_>) -> Result<String, Problem> {
    evaluate(compiled, scene, |value| {
        if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            Ok(text.inner().to_owned())
        } else if let Some(whole) = value.downcast_ref::<CelInt>() {
            Ok(whole.inner().to_string())
        } else if let Some(truth) = value.downcast_ref::<CelBool>() {
            Ok(truth.inner().to_string())
        } else {
            Err(Problem::NotText { kind: value.get_type().name().to_owned() })
        }
    })
}

fn evaluate<T>(
    compiled: &Compiled,
    scene: &Scene<'_>,
    read: impl FnOnce(&dyn Val) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let mut frame = Frame::with_env(environment().clone());
    frame.set_variable_resolver(scene);
    match Value::resolve_val(&compiled.tree, &frame) {
        Ok(value) => read(value.as_ref()),
        Err(_) if scene.fuel.is_spent() => Err(Problem::TooMuchWork { limit: STEPS_MAX }),
        Err(_) if scene.fuel.too_large() => Err(Problem::TooLarge { limit: DATA_MAX }),
        Err(error) => Err(Problem::of(&error, &compiled.text)),
    }
}

/// The variables of one kind of subject.
trait Variables: Send + Sync {
    fn variable<'b>(&'b self, name: &str, fuel: &Fuel) -> Option<CowVal<'b, 'b>>;
}

/// Everything that the tree can name: variables, constants, and the budget.
struct Scene<'a> {
    compiled: &'a Compiled,
    variables: &'a dyn Variables,
    fuel: &'a Fuel,
}

impl VariableResolver for Scene<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name.strip_prefix('@') {
            None => self.variables.variable(name, self.fuel),
            Some(_) if name == FUEL => Some(CowVal::Borrowed(self.fuel)),
            Some(index) => {
                let constant = self.compiled.constants.get(index.parse::<usize>().ok()?)?;
                Some(CowVal::Borrowed(constant.as_ref()))
            }
        }
    }
}

struct MessageScene<'m> {
    message: &'m Message,
    compiled: &'m Compiled,
    data: OnceLock<Option<Boxed<'m>>>,
    attributes: OnceLock<Option<Boxed<'m>>>,
}

impl Variables for MessageScene<'_> {
    fn variable<'b>(&'b self, name: &str, fuel: &Fuel) -> Option<CowVal<'b, 'b>> {
        let message = self.message;
        match name {
            "id" => text(&message.id, fuel),
            "source" => text(&message.source, fuel),
            "type" => text(&message.kind, fuel),
            "subject" => maybe(message.subject.as_deref(), fuel),
            "key" => maybe(message.key(), fuel),
            "time" => match message.time {
                Some(time) => Some(CowVal::owned(Moment(time))),
                None => Some(CowVal::Borrowed(&NULL)),
            },
            "data" => made(&self.data, || self.data(fuel)),
            "attributes" => made(&self.attributes, || attributes(message, fuel)),
            _ => None,
        }
    }
}

impl<'m> MessageScene<'m> {
    fn data(&self, fuel: &Fuel) -> Option<Boxed<'m>> {
        let payload: &'m [u8] = &self.message.data;
        if !self.message.is_json() {
            return Some(Box::new(CelNull));
        }
        if !fuel.carry(payload.len()) {
            return None;
        }
        let wanted = self.compiled.needs.get("data").unwrap_or(&Wanted::All);
        Some(json::parse(payload, wanted).unwrap_or_else(|| Box::new(CelNull)))
    }
}

struct ContextScene<'c> {
    values: &'c [(&'c str, &'c serde_json::Value)],
    made: Vec<OnceLock<Option<Boxed<'c>>>>,
}

impl Variables for ContextScene<'_> {
    fn variable<'b>(&'b self, name: &str, fuel: &Fuel) -> Option<CowVal<'b, 'b>> {
        let at = self.values.iter().position(|(known, _)| *known == name)?;
        let value = self.values[at].1;
        made(&self.made[at], || {
            let mut size = 0;
            let value = json::convert(value, &mut size, DATA_MAX);
            if fuel.carry(size) { value } else { None }
        })
    }
}

static NULL: CelNull = CelNull;

/// Made once for an evaluation, and lent from then on; `None` if it is too large.
fn made<'b, 'v: 'b>(
    place: &'b OnceLock<Option<Boxed<'v>>>,
    make: impl FnOnce() -> Option<Boxed<'v>>,
) -> Option<CowVal<'b, 'b>> {
    let value: &'b (dyn Val + 'b) = place.get_or_init(make).as_deref()?;
    Some(CowVal::Borrowed(value))
}

fn text<'b>(text: &'b str, fuel: &Fuel) -> Option<CowVal<'b, 'b>> {
    // Attributes are short; one that is not counts like a payload.
    (text.len() <= 1024 || fuel.carry(text.len())).then(|| CowVal::owned(CelString::from(text)))
}

fn maybe<'b>(attribute: Option<&'b str>, fuel: &Fuel) -> Option<CowVal<'b, 'b>> {
    attribute.map_or(Some(CowVal::Borrowed(&NULL)), |attribute| text(attribute, fuel))
}

/// All attributes that are there, under their CloudEvents names.
fn attributes<'m>(message: &'m Message, fuel: &Fuel) -> Option<Boxed<'m>> {
    let mut map: std::collections::HashMap<CelMapKey<'m>, Boxed<'m>> = std::collections::HashMap::new();
    let mut size = 0;
    let optional = [
        ("subject", &message.subject),
        ("datacontenttype", &message.content_type),
        ("dataschema", &message.data_schema),
    ];
    let texts = [("id", &message.id), ("source", &message.source), ("type", &message.kind)].into_iter();
    let texts = texts.chain(optional.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))));
    for (name, text) in texts {
        size += text.len();
        map.insert(CelMapKey::String(name.into()), Box::new(CelString::from(text.as_str())));
    }
    if let Some(time) = message.time {
        map.insert(CelMapKey::String("time".into()), Box::new(Moment(time)));
    }
    for (name, value) in &message.extensions {
        let value: Boxed<'m> = match value {
            Attribute::Text(text) => {
                size += text.len();
                Box::new(CelString::from(text.as_str()))
            }
            Attribute::Integer(number) => Box::new(CelInt::from(*number)),
            Attribute::Boolean(truth) => Box::new(CelBool::from(*truth)),
        };
        size += name.len();
        map.insert(CelMapKey::String(name.as_str().into()), value);
    }
    fuel.carry(size).then(|| Box::new(CelMap::from(map)) as Boxed<'m>)
}
