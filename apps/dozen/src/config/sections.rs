//! Two states of a file, section by section.

use super::expand;
use super::item::{Item, Value};
use super::keys::CALLING;

/// Each section of the file in full, with secrets masked; of services without how they are called, which can change.
pub(super) fn sections(file: &Item) -> Vec<(String, String)> {
    let alone = |field: &super::item::Field| {
        let mut field = field.clone();
        if field.name == "services" {
            field.item = without_calling(&field.item);
        }
        let name = field.name.clone();
        let one = Item::new(file.span, Value::Map(vec![field]));
        (name, expand::expanded(&one))
    };
    file.fields().iter().map(alone).collect()
}

fn without_calling(services: &Item) -> Item {
    let mut services = services.clone();
    if let Value::Map(all) = &mut services.value {
        for service in all {
            if let Value::Map(fields) = &mut service.item.value {
                fields.retain(|field| CALLING.iter().all(|key| key.name != field.name));
            }
        }
    }
    services
}

/// The sections that are not the same, but for the gateway's.
pub fn differing(old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let text = |of: &[(String, String)], name: &str| {
        of.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
    };
    let mut names: Vec<&String> = old.iter().chain(new).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    names.retain(|name| *name != "gateway" && text(old, name) != text(new, name));
    names.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::differing;

    #[test]
    fn what_else_differs_is_named_and_the_gateway_is_not() {
        let of = |sections: &[(&str, &str)]| -> Vec<(String, String)> {
            sections.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let old = of(&[("app", "a"), ("gateway", "x"), ("queues", "q")]);
        let new = of(&[("app", "a"), ("gateway", "y"), ("store", "s")]);
        assert_eq!(differing(&old, &new), ["queues", "store"]);
        assert!(differing(&old, &old).is_empty());
    }
}
