//! What a feature's options must be, beyond the types of their values.

use std::time::Duration;

use dozen_core::Timestamp;

use crate::noise::REPLAYS_MAX;
use crate::options::ShadowWrites;
use crate::{Error, FeatureOptions, Share};

/// Whether a feature of this name can be as `options` say. What its ladder and its comparison need is checked where these
/// are made.
pub(super) fn check(name: &str, options: &FeatureOptions) -> Result<(), Error> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        return Err(Error::Name { name: name.chars().take(80).collect() });
    }
    let gate = &options.advance;
    for (setting, share) in [
        ("advance.parity", gate.parity),
        ("advance.confidence", gate.confidence),
        ("advance.reconciled", gate.reconciled),
    ] {
        if share == Share::NONE || share == Share::ALL {
            return Err(Error::share(name, setting, share));
        }
    }
    if !gate.p99.is_finite() || gate.p99 < 1.0 {
        return Err(Error::setting(
            name,
            "advance.p99",
            "must be 1 or more: 1.1 lets the new side be a tenth slower",
        ));
    }
    if gate.window < Duration::from_secs(1) {
        return Err(Error::setting(name, "advance.window", "must be a second or more"));
    }
    // Counts are halved beyond that many, and must not be too few for comparisons again.
    if u64::from(options.compare.noise.samples) > REPLAYS_MAX / 2 {
        let problem = format!("must be {} or less", REPLAYS_MAX / 2);
        return Err(Error::setting(name, "compare.noise.samples", problem));
    }
    if let Some(due) = &options.due
        && due_moment(due).is_none()
    {
        return Err(Error::setting(name, "due", "must be a day such as `2027-03-31`"));
    }
    if let Some(rewrite) = &options.rewrite
        && !rewrite.is_address()
    {
        let problem = "must be a scheme and a host, such as `https://shop.example`";
        return Err(Error::setting(name, "rewrite.facade", problem));
    }
    if options.writes.shadow == ShadowWrites::Record && options.writes.authority.is_none() {
        return Err(Error::setting(
            name,
            "writes.shadow",
            "can be `record` only where `authority` names a side",
        ));
    }
    Ok(())
}

/// The end of the day that a `due` names.
pub(crate) fn due_moment(due: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{due}T23:59:59Z"))
}
