//! The functions that there are: how they are called, and where they live.

use std::sync::{Arc, LazyLock};

use cel::Env;
use cel::common::types::{DYN_TYPE, INT_TYPE, STRING_TYPE};

use crate::fuel;
use crate::moment;
use crate::pattern;
use crate::scope::Kind;

/// Under which names work is charged, see [`fuel`]. No text can spell them.
pub(crate) const WALK: &str = "@walk";
pub(crate) const WEIGH: &str = "@weigh";

/// One function, as far as a call of it can be judged.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// What it is called on, where it is called on something.
    pub(crate) receiver: Option<Kind>,
    /// What its argument is; all of these functions take one or none.
    pub(crate) argument: Option<Kind>,
    pub(crate) result: Kind,
    /// How to call it.
    pub(crate) example: &'static str,
}

const fn global(name: &'static str, argument: Kind, result: Kind, example: &'static str) -> Function {
    Function { name, receiver: None, argument: Some(argument), result, example }
}

const fn on_text(name: &'static str, result: Kind, example: &'static str) -> Function {
    Function { name, receiver: Some(Kind::Text), argument: Some(Kind::Text), result, example }
}

pub(crate) const FUNCTIONS: &[Function] = &[
    global("size", Kind::Any, Kind::Number, "size(data.items)"),
    Function {
        name: "size",
        receiver: Some(Kind::Any),
        argument: None,
        result: Kind::Number,
        example: "data.items.size()",
    },
    on_text("contains", Kind::Boolean, "subject.contains(\"/eu/\")"),
    on_text("startsWith", Kind::Boolean, "type.startsWith(\"order.\")"),
    on_text("endsWith", Kind::Boolean, "type.endsWith(\".placed\")"),
    on_text("matches", Kind::Boolean, "type.matches(\"^order[.]\")"),
    global("timestamp", Kind::Text, Kind::Moment, "timestamp(\"2026-01-31T12:00:00Z\")"),
    global("int", Kind::Any, Kind::Number, "int(data.count)"),
    global("uint", Kind::Any, Kind::Number, "uint(data.count)"),
    global("double", Kind::Any, Kind::Number, "double(data.total)"),
    global("string", Kind::Any, Kind::Text, "string(data.number)"),
    global("bool", Kind::Any, Kind::Boolean, "bool(data.flag)"),
    global("bytes", Kind::Text, Kind::Any, "bytes(data.name)"),
    global("type", Kind::Any, Kind::Any, "type(data.total) == int"),
];

/// The words that the parser turns into loops, with how each is called.
pub(crate) const LOOPS: &[(&str, &str)] = &[
    ("has", "has(data.total)"),
    ("all", "data.items.all(item, item.price > 0)"),
    ("exists", "data.items.exists(item, item.price > 100)"),
    ("exists_one", "data.items.exists_one(item, item.main)"),
    ("existsOne", "data.items.existsOne(item, item.main)"),
    ("filter", "data.items.filter(item, item.price > 100)"),
    ("map", "data.items.map(item, item.sku)"),
];

/// The names of types, for `type(x) == int`.
pub(crate) const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// The environment that everything is parsed and evaluated in, made once.
pub(crate) fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let once = "these names are free in an environment without time and patterns";
        let mut env = Env::stdlib().with_optional_support(false);
        env.add_member_overload(
            "matches",
            "string_matches",
            STRING_TYPE,
            vec![pattern::TYPE],
            pattern::matches,
        )
        .expect(once);
        env.add_overload("timestamp", "string_to_timestamp", vec![STRING_TYPE], moment::timestamp)
            .expect(once);
        let paid = || vec![DYN_TYPE, fuel::TYPE, INT_TYPE];
        env.add_overload(WALK, "walk", paid(), fuel::walk).expect(once);
        env.add_overload(WEIGH, "weigh", paid(), fuel::weigh).expect(once);
        Arc::new(env)
    });
    &ENVIRONMENT
}
