//! What belongs to a feature, as routes of the gateway.
//!
//! ```text
//!  features: { checkout: { match: /checkout/{*rest}, … } }
//!       └──► gateway: { routes: [{ match: /checkout/{*rest}, feature: checkout }] }
//! ```
//!
//! The tree is changed before anything looks across it, so that checks, `check --expanded` and the program know one form.

use super::check::Checker;
use super::item::{Field, Item, Value};

/// Moves each `match` of a feature to the gateway's routes.
pub(super) fn expand(checker: &mut Checker<'_>, file: &mut Item) {
    let Value::Map(sections) = &mut file.value else { return };
    let mut routes = Vec::new();
    let features = sections.iter_mut().find(|section| section.name == "features");
    let Some(Value::Map(features)) = features.map(|features| &mut features.item.value) else { return };
    for feature in features {
        let Value::Map(keys) = &mut feature.item.value else { continue };
        let Some(at) = keys.iter().position(|key| key.name == "match") else { continue };
        let Field { span, item, .. } = keys.remove(at);
        let Value::List(matches) = item.value else { continue };
        let name = Item::new(feature.span, Value::Text(feature.name.clone()));
        for matching in matches {
            let place = matching.span;
            let field = |name: &str, item: Item| Field { name: name.into(), span, item, given: true };
            let route = vec![field("match", matching), field("feature", name.clone())];
            routes.push(Item::new(place, Value::Map(route)));
        }
    }
    let Some(first) = routes.first().map(|route| route.span) else { return };
    let gateway = sections.iter_mut().find(|section| section.name == "gateway");
    let Some(Value::Map(gateway)) = gateway.map(|gateway| &mut gateway.item.value) else {
        let help = "add `gateway: {}`: its defaults are enough";
        return checker.wrong(first, "`match` takes requests of the gateway, and the file has none", help);
    };
    if let Some(Value::List(all)) =
        gateway.iter_mut().find(|key| key.name == "routes").map(|routes| &mut routes.item.value)
    {
        all.extend(routes);
    }
}
