//! What moves from an old service to a new one.

use dozen_strangler::FeatureOptions;

use super::super::item::Item;
use super::json::json;

/// One feature, in the words of the pattern. The error says what cannot be read.
pub(crate) fn feature(item: &Item) -> Result<FeatureOptions, String> {
    serde_json::from_value(json(item)).map_err(|error| error.to_string())
}
