//! How services are called, and TLS on both sides.

use std::path::Path;

use dozen_dataplane::{Protocol, ServicePolicy};
use dozen_gateway::{AcmeOptions, Certificate, ClientCaOptions, ServiceOptions, ServiceTls, TlsOptions};
use serde_json::{Map, Value as Json};

use super::super::item::{Item, Value};
use super::super::keys::CALLING;
use super::super::scalar;
use super::json::json;

/// What the keys of a service say of calling it.
pub(crate) fn calling(service: &Item, folder: &Path) -> Result<ServiceOptions, String> {
    let mut policy = Map::new();
    for field in service.fields().iter().filter(|field| CALLING.iter().any(|key| key.name == field.name)) {
        if !matches!(field.name.as_str(), "protocol" | "tls") {
            policy.insert(field.name.clone(), json(&field.item));
        }
    }
    let policy: ServicePolicy =
        serde_json::from_value(Json::Object(policy)).map_err(|error| error.to_string())?;
    policy.check().map_err(|error| error.to_string())?;
    let protocol = match service.text("protocol") {
        Some("h2" | "h2c") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    let tls = service.get("tls").filter(|tls| !matches!(tls.value, Value::Off));
    let tls = tls.map(|tls| service_tls(tls, folder));
    let tls = tls.or_else(|| is_https(service).then(ServiceTls::default));
    Ok(ServiceOptions { policy, protocol, tls })
}

/// Whether an address of the service begins with `https`, which is the same as `tls: true`.
pub(crate) fn is_https(service: &Item) -> bool {
    let mut bases = service.list("at").iter().filter_map(|at| scalar::base_url(at.as_text()?));
    bases.any(|base| base.is_tls)
}

fn service_tls(item: &Item, folder: &Path) -> ServiceTls {
    let file = |name: &str| item.text(name).map(|file| folder.join(file));
    ServiceTls {
        ca: file("ca"),
        certificate: file("cert").zip(file("key")).map(|(cert, key)| Certificate { cert, key }),
        server_name: item.text("server-name").map(str::to_owned),
    }
}

/// What the gateway shows to clients, and asks them for.
pub(crate) fn gateway_tls(item: &Item, folder: &Path) -> Option<TlsOptions> {
    let file = |item: &Item, name: &str| Some(folder.join(item.text(name)?));
    let one = |item: &Item| Some(Certificate { cert: file(item, "cert")?, key: file(item, "key")? });
    let acme = |acme: &Item| {
        let names = acme.list("names").iter().map(|name| Some(name.as_text()?.to_owned()));
        Some(AcmeOptions {
            names: names.collect::<Option<_>>()?,
            directory: acme.text("directory")?.to_owned(),
            contact: acme.text("contact").map(str::to_owned),
            ca: file(acme, "ca"),
            folder: file(acme, "folder")?,
        })
    };
    let client_ca = item.get("client-ca").map(|ca| {
        Some(ClientCaOptions { file: file(ca, "file")?, optional: ca.flag("optional").unwrap_or(false) })
    });
    Some(TlsOptions {
        certificates: item.list("certificates").iter().map(one).collect::<Option<_>>()?,
        acme: match item.get("acme").map(acme) {
            Some(acme) => Some(acme?),
            None => None,
        },
        redirect_from: item.address("redirect-from"),
        client_ca: match client_ca {
            Some(ca) => Some(ca?),
            None => None,
        },
    })
}
