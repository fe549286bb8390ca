//! Which hosts a route is for.

/// A host, or all below a suffix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    /// This one, in small letters.
    Exact(String),
    /// Any that ends in this, which begins with a dot.
    Below(String),
    /// Any.
    Any,
}

impl Host {
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self::Any) };
        let text = text.to_ascii_lowercase();
        let (is_suffix, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text.as_str()),
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(allowed) {
            return None;
        }
        Some(if is_suffix { Self::Below(format!(".{name}")) } else { Self::Exact(text) })
    }

    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
        }
    }
}

/// The host of a `Host` header, without its port.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => &host[..at],
        _ => host,
    }
}
