//! From header lines to a header map.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::framing::{self, Field, Refusal};

/// The headers as a map, without those that belong to the connection, those that `Connection` names (looked for only
/// if it `names_more`), and those that `strip` picks.
pub(crate) fn map(
    fields: &[Field<'_>],
    names_more: bool,
    strip: impl Fn(&str) -> bool,
) -> Result<HeaderMap, Refusal> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let dropped = framing::is_hop_by_hop(field.name)
            || strip(field.name)
            || (names_more && framing::is_named_by_connection(field.name, fields));
        if !dropped {
            append(&mut map, field.name.as_bytes(), field.value)?;
        }
    }
    Ok(map)
}

/// Appends one header.
pub(crate) fn append(map: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
    let name = HeaderName::from_bytes(name).map_err(|_| Refusal::Malformed)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| Refusal::Malformed)?;
    map.append(name, value);
    Ok(())
}
