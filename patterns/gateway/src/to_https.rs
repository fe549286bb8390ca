//! Plain HTTP, answered with the way to TLS.
//!
//! A browser that is given a name alone asks port 80. There is nothing there but one answer, 308 with the same address in
//! `https`: method and body are to be repeated there, and nothing of the request goes on from here.

use std::sync::Arc;

use dozen_dataplane::{Handler, Incoming, Outcome, Outgoing, Proxy, ProxyOptions, Reply, Verdict};

use crate::host::without_port;
use crate::{Error, Options};

/// Sends everybody to where TLS is spoken.
#[derive(Debug)]
pub(crate) struct ToHttps {
    /// The port there.
    port: u16,
}

impl ToHttps {
    /// Listens where the options say, and sends everybody to `port`. Its limits are the gateway's.
    pub(crate) fn bind(
        options: &Options,
        proxy: &ProxyOptions,
        port: u16,
    ) -> Result<Option<Arc<Proxy<Self>>>, Error> {
        let Some(address) = options.tls.as_ref().and_then(|tls| tls.redirect_from) else { return Ok(None) };
        let own = ProxyOptions {
            setting: "gateway.tls.redirect-from".into(),
            workers: 1,
            tls: None,
            ..proxy.clone()
        };
        let bound = Proxy::bind(address, own, Arc::new(Self { port }));
        bound.map(|proxy| Some(Arc::new(proxy))).map_err(|source| Error::Listen { source })
    }

    fn location(&self, host: &str, target: &str) -> String {
        match self.port {
            443 => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        }
    }
}

impl Handler for ToHttps {
    type Ticket = ();

    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<()> {
        let host = without_port(request.head.host);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_name) {
            return Verdict::Reply(Reply::new(400, "the host that is asked for is missing"), ());
        }
        let mut reply = Reply::empty(308);
        reply.fields.push(("location", self.location(host, outgoing.target)));
        Verdict::Reply(reply, ())
    }

    fn end(&self, (): (), _: &Outcome<'_>) {}

    fn strips_from_request(&self, (): &(), _: &str) -> bool {
        true
    }

    fn strips_from_response(&self, _: &str) -> bool {
        true
    }
}
