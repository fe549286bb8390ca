//! What `#[message(…)]` says.

use syn::meta::ParseNestedMeta;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitInt, LitStr, Result, Type};

/// The longest name, which is the longest of a queue or topic too.
const NAME_MAX: usize = 200;

/// The attribute, read and judged.
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) from: Option<Type>,
    pub(crate) key: Option<Key>,
}

/// The field that orders.
pub(crate) struct Key {
    pub(crate) field: Ident,
    /// Whether it is an `Option`, as far as its spelling tells.
    pub(crate) optional: bool,
}

impl Options {
    /// Reads the attribute of `input`, and refuses what cannot be meant.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self> {
        let mut name: Option<LitStr> = None;
        let mut version: Option<LitInt> = None;
        let mut from: Option<Type> = None;
        let mut key: Option<Ident> = None;
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("message")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    once(&meta, &mut name)
                } else if meta.path.is_ident("version") {
                    once(&meta, &mut version)
                } else if meta.path.is_ident("from") {
                    once(&meta, &mut from)
                } else if meta.path.is_ident("key") {
                    once(&meta, &mut key)
                } else {
                    Err(meta
                        .error("not an option of a message; there are `name`, `version`, `from` and `key`"))
                }
            })?;
        }
        let name = name.ok_or_else(|| {
            Error::new_spanned(&input.ident, "a message needs a name: `#[message(name = \"stock.reserve\")]`")
        })?;
        Ok(Self {
            name: checked_name(&name)?,
            version: version.map_or(Ok(1), |version| checked_version(&version))?,
            from,
            key: key.map(|field| checked_key(input, field)).transpose()?,
        })
    }
}

fn once<T: syn::parse::Parse>(meta: &ParseNestedMeta<'_>, place: &mut Option<T>) -> Result<()> {
    if place.is_some() {
        return Err(meta.error("this is said twice"));
    }
    *place = Some(meta.value()?.parse()?);
    Ok(())
}

fn checked_name(literal: &LitStr) -> Result<String> {
    let name = literal.value();
    let wrong = |problem: String| Err(Error::new_spanned(literal, problem));
    if name.is_empty() {
        return wrong(
            "the name of a message is not empty: say what it is, for example `stock.reserve`".into(),
        );
    }
    if name.len() > NAME_MAX {
        return wrong(format!(
            "the name of a message has at most {NAME_MAX} characters, and this has {}",
            name.len()
        ));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    match name.chars().find(|c| !allowed(*c)) {
        Some(c) => wrong(format!(
            "the name of a message has no {c:?}: lower-case letters, digits, `.`, `-` and `_` are allowed"
        )),
        None => Ok(name),
    }
}

fn checked_version(literal: &LitInt) -> Result<u32> {
    match literal.base10_parse::<u32>() {
        Ok(0) => Err(Error::new_spanned(literal, "versions begin at 1")),
        Ok(version) => Ok(version),
        Err(_) => Err(Error::new_spanned(literal, "a version is a whole number from 1 to 4294967295")),
    }
}

fn checked_key(input: &DeriveInput, field: Ident) -> Result<Key> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(field, "only a struct has a field to be ordered by"));
    };
    let fields = match &data.fields {
        Fields::Named(fields) => &fields.named,
        Fields::Unnamed(_) | Fields::Unit => {
            return Err(Error::new_spanned(field, "only a struct with named fields can be ordered by one"));
        }
    };
    let names = || fields.iter().filter_map(|field| field.ident.as_ref());
    match fields.iter().find(|candidate| candidate.ident.as_ref() == Some(&field)) {
        Some(found) => Ok(Key { field, optional: is_option(&found.ty) }),
        None => {
            let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            let problem = format!("`{}` has no field `{field}`; it has {}", input.ident, names.join(", "));
            Err(Error::new_spanned(field, problem))
        }
    }
}

/// A macro sees how a type is spelt, not what it is; an alias of `Option` is none to it.
fn is_option(kind: &Type) -> bool {
    match kind {
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Option"),
        _ => false,
    }
}
