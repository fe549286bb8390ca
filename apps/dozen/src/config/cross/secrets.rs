//! What must be secret and is not, or cannot be.

use dozen_messaging::Keyring;

use super::super::check::Checker;
use super::super::item::{Field, Item};

/// Keys that are none, what is sealed without one, and an API that is open to the world.
pub(super) fn check(checker: &mut Checker<'_>, file: &Item) {
    let keys = file.get("keys").map(Item::fields).unwrap_or_default();
    for Field { name, item, .. } in keys {
        if let Some(Err(error)) = item.as_secret().map(|text| Keyring::new([(name.as_str(), text)])) {
            checker.wrong(item.span, error.to_string(), "make one with `openssl rand -base64 32`");
        }
    }
    for (section, noun) in [("queues", "queue"), ("topics", "topic")] {
        for Field { name, item, .. } in file.get(section).map(Item::fields).unwrap_or_default() {
            if let Some(field) =
                item.field("sealed").filter(|_| keys.is_empty() && item.flag("sealed") == Some(true))
            {
                let wrong = format!("the {noun} `{name}` is sealed, and there is no key to seal with");
                let help = "add one: `keys: { \"2026\": \"${env:DOZEN_KEY_2026}\" }`";
                checker.wrong(field.item.span, wrong, help);
            }
        }
    }
    let Some(api) = file.get("api") else { return };
    if let (Some(address), None, Some(field)) = (api.address("listen"), api.get("token"), api.field("listen"))
        && !address.ip().is_loopback()
    {
        let wrong = "the API would be open to every machine that reaches this address";
        checker.wrong(field.item.span, wrong, "add a `token`, or listen on 127.0.0.1");
    }
}
