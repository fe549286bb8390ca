//! The drafts of JSON Schema, as far as they read the same words differently.

use serde_json::Value;

/// Which reading both schemas have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draft {
    /// Drafts 6 and 7: what stands beside a `$ref` is not read.
    Old,
    /// 2019-09: the elements of an array by place are `items`.
    Of2019,
    /// 2020-12, and whoever names no draft: they are `prefixItems`.
    Of2020,
}

impl Draft {
    /// The draft of both, or why they cannot be compared.
    pub(super) fn common(writer: &Value, reader: &Value) -> Result<Self, &'static str> {
        let named = |root: &Value| {
            let name = root.get("$schema").and_then(Value::as_str).unwrap_or("");
            name.trim_end_matches('#').replacen("https:", "http:", 1)
        };
        let (own, asked) = (Self::of(&named(writer))?, Self::of(&named(reader))?);
        if own != asked {
            return Err(
                "the draft that `$schema` names has changed, and drafts read the same words differently",
            );
        }
        Ok(own)
    }

    fn of(name: &str) -> Result<Self, &'static str> {
        match name {
            "" | "http://json-schema.org/draft/2020-12/schema" => Ok(Self::Of2020),
            "http://json-schema.org/draft/2019-09/schema" => Ok(Self::Of2019),
            "http://json-schema.org/draft-07/schema" | "http://json-schema.org/draft-06/schema" => {
                Ok(Self::Old)
            }
            _ => Err("only schemas of draft 6, draft 7, 2019-09 and 2020-12 are compared"),
        }
    }
}
