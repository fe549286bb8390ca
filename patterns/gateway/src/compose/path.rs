//! A path into what a call gave: `.sku`, `.items[0].price`.

use dozen_mapping::Value;

/// Steps of one path.
const STEPS_MAX: usize = 32;

/// What follows the name of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Path(Box<[Step]>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(Box<str>),
    Item(usize),
}

impl Path {
    /// From what stands behind a name: nothing, or `.name` and `[number]` in any order.
    pub(super) fn parse(mut rest: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(name) = rest.strip_prefix('.') {
                let (name, after) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
                if name.is_empty() || name.contains([']', '{', '}', ' ', '*']) {
                    return Err(format!("has `{rest}`, which is no step such as `.sku` or `[0]`"));
                }
                (Step::Member(name.into()), after)
            } else {
                let inside = rest.strip_prefix('[').and_then(|inside| inside.split_once(']'));
                let item = inside.and_then(|(item, after)| Some((item.parse::<usize>().ok()?, after)));
                let Some((item, after)) = item else {
                    return Err(format!("has `{rest}`, which is no step such as `.sku` or `[0]`"));
                };
                (Step::Item(item), after)
            };
            steps.push(step);
            rest = after;
        }
        match steps.len() > STEPS_MAX {
            true => Err(format!("has a path of more than {STEPS_MAX} steps")),
            false => Ok(Self(steps.into())),
        }
    }

    /// What stands there. Everything in null is null; what is not there is nothing.
    pub(super) fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match (step, value) {
            (_, Value::Null) => Some(value),
            (Step::Member(name), Value::Object(object)) => object.get(name),
            (Step::Item(at), Value::List(list)) => list.get(*at),
            _ => None,
        })
    }
}
