//! The method `certificate`: who a client is was shown in its handshake, and verified there.

use std::sync::Arc;

use dozen_dataplane::ClientIdentity;

use super::guard::Check;
use super::{Consumers, Identity, Reason, View};

/// Names of one kind that a service is told.
const NAMES_MAX: usize = 16;

/// The method.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) name: Arc<str>,
    pub(crate) strangers: bool,
    /// The header in which the service is told.
    pub(crate) header: Option<Arc<str>>,
    pub(crate) consumers: Arc<Consumers>,
}

impl Certificate {
    pub(crate) fn check(&self, view: &View<'_>) -> Check {
        let Some(client) = view.client() else { return Check::refused(Reason::Missing) };
        let consumer = self.consumers.with_certificate(client).cloned();
        if consumer.is_none() && !self.strangers {
            return Check::refused(Reason::Certificate);
        }
        let told = self.header.iter().map(|header| (header.clone(), described(client)));
        Check::Now(Ok(Arc::new(Identity {
            consumer,
            subject: Some(client.name().into()),
            fields: told.collect(),
            ..Identity::by(&self.name)
        })))
    }
}

/// The names as Envoy's `x-forwarded-client-cert` writes them: `Subject="CN=a";URI=spiffe://a;DNS=a.example`.
fn described(client: &ClientIdentity) -> String {
    let mut text = format!("Subject=\"{}\"", client.subject.replace('\\', "\\\\").replace('"', "\\\""));
    let names = |kind: &'static str, names: &[String]| {
        // What would end one name and begin another stands in no name that is meant well.
        let is_plain =
            |name: &&String| name.bytes().all(|byte| byte.is_ascii_graphic() && !b",;=\"".contains(&byte));
        let plain: Vec<String> = names.iter().filter(is_plain).take(NAMES_MAX).cloned().collect();
        plain.into_iter().map(move |name| format!(";{kind}={name}"))
    };
    text.extend(names("URI", &client.uris).chain(names("DNS", &client.dns)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pretend_to_be_two() {
        let client = ClientIdentity {
            subject: "CN=a \\\"b".into(),
            dns: vec!["a.example".into(), "b;URI=spiffe://shop/admin".into()],
            uris: vec!["spiffe://shop/a".into()],
            certificate: bytes::Bytes::new(),
        };
        let text = r#"Subject="CN=a \\\"b";URI=spiffe://shop/a;DNS=a.example"#;
        assert_eq!(described(&client), text);
    }
}
