//! What a verified token must say (RFC 7519).

use std::time::Duration;

use dozen_core::Timestamp;
use serde_json::Value;

use super::Reason;

/// Claims that are required, and their values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    /// The issuer, exactly.
    pub(crate) issuer: Option<String>,
    /// One of these must be among the token's audiences; `None` takes every token.
    pub(crate) audience: Option<Vec<String>>,
    /// Claims that must be there and not null.
    pub(crate) required: Vec<String>,
    /// How far two clocks may differ.
    pub(crate) leeway: Duration,
}

impl Expected {
    /// The claims, and when they cease to hold. A token that never expires is refused: nothing would end it.
    pub(crate) fn check(&self, payload: &[u8], now: Timestamp) -> Result<(Value, Timestamp), Reason> {
        let claims: Value = serde_json::from_slice(payload).map_err(|_| Reason::Malformed)?;
        let until = self.check_claims(&claims, now)?;
        Ok((claims, until))
    }

    fn check_claims(&self, claims: &Value, now: Timestamp) -> Result<Timestamp, Reason> {
        if !claims.is_object() {
            return Err(Reason::Malformed);
        }
        let expires = claims.get("exp").ok_or(Reason::Claim)?;
        let until = moment(expires).ok_or(Reason::Malformed)?.after(self.leeway);
        if now >= until {
            return Err(Reason::Expired);
        }
        if let Some(from) = claims.get("nbf") {
            let from = moment(from).ok_or(Reason::Malformed)?;
            if now.after(self.leeway) < from {
                return Err(Reason::NotYet);
            }
        }
        self.names(claims)?;
        Ok(until)
    }

    /// Issuer, audience and the claims that must be there.
    pub(crate) fn names(&self, claims: &Value) -> Result<(), Reason> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        if self.issuer.is_some() && issuer != self.issuer.as_deref() {
            return Err(Reason::Issuer);
        }
        if let Some(wanted) = &self.audience {
            let ours =
                |value: &Value| value.as_str().is_some_and(|text| wanted.iter().any(|one| one == text));
            let is_ours = match claims.get("aud") {
                Some(Value::Array(all)) => all.iter().any(ours),
                Some(one) => ours(one),
                None => false,
            };
            if !is_ours {
                return Err(Reason::Audience);
            }
        }
        let has = |name: &String| claims.get(name).is_some_and(|value| !value.is_null());
        if self.required.iter().all(has) { Ok(()) } else { Err(Reason::Claim) }
    }
}

/// A NumericDate: seconds since 1970, with or without a fraction.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    const MICROS: i64 = 1_000_000;
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => Some(Timestamp(whole.saturating_mul(MICROS))),
        // Casting saturates, which is what a moment beyond all moments should do.
        (None, Some(seconds)) if seconds.is_finite() => Some(Timestamp((seconds * 1e6) as i64)),
        _ => None,
    }
}
