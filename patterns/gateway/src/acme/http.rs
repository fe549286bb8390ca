//! Requests to the authority, by the gateway's own client: one stack of TLS, one set of bounds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::{Body, Client, Protocol, Roots, Transport, TransportTls};
use http::header::HOST;
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use super::AcmeOptions;

/// How long the authority may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer: a chain of certificates is a few thousand.
const ANSWER_MAX: usize = 1 << 20;

pub(super) struct Http(Client);

type Answered = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl Http {
    pub(super) fn new(options: &AcmeOptions) -> Result<Self, dozen_dataplane::Error> {
        let roots = options.ca.clone().map_or(Roots::Native, Roots::File);
        let tls = TransportTls { roots, ..TransportTls::default() };
        let transport = Arc::new(Transport::new(Protocol::Http1, Some(&tls))?);
        Ok(Self(Client::new().over(Some(transport))))
    }
}

impl HttpClient for Http {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answered {
        let client = self.0.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let Some(authority) = parts.uri.authority().filter(|_| parts.uri.scheme_str() == Some("https"))
            else {
                return Err(Error::Other(format!("`{}` is no https:// address", parts.uri).into()));
            };
            let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(443));
            let host =
                HeaderValue::from_str(authority.as_str()).map_err(|error| Error::Other(error.into()))?;
            parts.headers.insert(HOST, host);
            let Ok(body) = body.collect().await;
            let request = Request::from_parts(parts, Body::from(body.to_bytes()));
            let other = |error: dozen_dataplane::Error| Error::Other(error.into());
            let (parts, body) = client.send(&address, request, PATIENCE).await.map_err(other)?.into_parts();
            let body = body.collect(ANSWER_MAX).await.map_err(other)?;
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}
