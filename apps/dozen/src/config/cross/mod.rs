//! What no key shows alone: names that lead nowhere, ports that are taken twice, routes that hide each other.

mod access;
mod calling;
mod features;
mod messages;
mod place;
mod routes;
mod secrets;
mod translators;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::app::sqlite_file;
use super::check::Checker;
use super::diagnostic::{Span, suggest};
use super::item::{Field, Item, Value};
use super::keys::SERVICE;
use super::template::{Template, destination as split};

/// All checks across keys. `file` is the checked tree, with empty places where a value was wrong.
pub(crate) fn check(checker: &mut Checker<'_>, file: &Item) {
    let services = file.get("services").map(Item::fields).unwrap_or_default();
    for service in services {
        self::service(checker, service);
    }
    listeners(checker, file, services);
    // What is found by its name: services, and translators like them.
    let translators = file.get("translators").map(Item::fields).unwrap_or_default();
    let found = [services, translators].concat();
    routes::check(checker, file, &found);
    let names: Vec<&str> = found.iter().map(|field| field.name.as_str()).collect();
    access::check(checker, file, &names);
    calling::check(checker, file, services);
    features::check(checker, file, &found);
    let topics = messages::topics(checker, file);
    messages::subscriptions(checker, file, &found, &topics);
    translators::check(checker, file, services, &topics);
    messages::relays(checker, file, &topics);
    if let Some(item) = file.get("store") {
        store(checker, item);
    }
    secrets::check(checker, file);
}

/// Whether the service may get requests, and what to do if not.
fn service(checker: &mut Checker<'_>, service: &Field) {
    let (name, item) = (&service.name, &service.item);
    if matches!(item.value, Value::Off) {
        return;
    }
    match (item.field("run"), item.field("at")) {
        (None, None) => {
            let help =
                "give it `run: [command, arguments…]` to have it started, or `at: [\"http://host:port\"]`";
            checker.wrong(service.span, format!("the service `{name}` has neither `run` nor `at`"), help);
        }
        (Some(_), Some(at)) => {
            let help = "keep `run` if `dozen up` shall start it, `at` if it runs already";
            checker.wrong(at.span, format!("the service `{name}` has both `run` and `at`"), help);
        }
        (None, Some(_)) => {
            let for_run = |name: &str| SERVICE.key(name).is_some_and(|key| key.with == Some("run"));
            for field in item.fields().iter().filter(|field| field.given && for_run(&field.name)) {
                let wrong = format!("`{}` means nothing for a service that runs elsewhere", field.name);
                checker.wrong(field.span, wrong, "remove it, or start the service with `run`");
            }
        }
        (Some(_), None) => run(checker, item),
    }
}

fn run(checker: &mut Checker<'_>, item: &Item) {
    if let (Some(health), None) = (item.field("health"), item.field("port")) {
        let help = "add `port`, or remove `health`: without a port, running is all that can be seen";
        checker.wrong(health.span, "`health` asks a port, and the service has none", help);
    }
    let last = item.number("port").zip(item.number("instances")).map(|(port, count)| port + count - 1);
    if let (Some(last), Some(field)) = (last.filter(|last| *last > 65_535), item.field("instances")) {
        checker.wrong(
            field.span,
            format!("the last instance would get the port {last}"),
            "choose a lower `port`",
        );
    }
    if let Some(field) = item.field("dir").filter(|field| field.given) {
        let path = field.item.as_text().map(|dir| checker.around.folder.join(dir));
        if path.is_some_and(|path| !path.is_dir()) {
            let wrong = format!("there is no folder `{}`", field.item.shown());
            let help = format!("make it; relative paths start from {}", checker.around.folder.display());
            checker.wrong(field.item.span, wrong, help);
        }
    }
}

/// Two listeners on one port: the second in the file is the mistake.
fn listeners(checker: &mut Checker<'_>, file: &Item, services: &[Field]) {
    let mut taken: BTreeMap<u16, Vec<(IpAddr, String)>> = BTreeMap::new();
    for (address, what, span) in listening(file, services) {
        if address.port() == 0 {
            continue; // the system chooses a free one
        }
        let here = taken.entry(address.port()).or_default();
        let clash = here
            .iter()
            .find(|(ip, _)| *ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified());
        if let Some((_, other)) = clash {
            let wrong = format!("{what} would listen on port {}, where {other} listens", address.port());
            checker.wrong(span, wrong, "choose another port for one of the two");
        }
        here.push((address.ip(), what));
    }
}

/// Everything that listens on an address which the file names (or a default gives), in the order of the file.
fn listening(file: &Item, services: &[Field]) -> Vec<(SocketAddr, String, Span)> {
    let mut found = Vec::new();
    for (section, what) in [
        ("gateway", "the gateway"),
        ("registry", "the registry"),
        ("console", "the console"),
        ("api", "the API"),
    ] {
        let field = file.get(section).and_then(|item| item.field("listen"));
        if let Some((field, address)) = field.zip(file.get(section).and_then(|item| item.address("listen"))) {
            found.push((address, what.to_owned(), field.item.span));
        }
    }
    let tls = file.get("gateway").and_then(|gateway| gateway.get("tls"));
    if let Some((tls, field)) = tls.and_then(|tls| Some((tls, tls.field("redirect-from")?))) {
        let what = "what sends plain HTTP to `https`".to_owned();
        found.extend(tls.address("redirect-from").map(|address| (address, what, field.item.span)));
    }
    let local = |port: u64| {
        u16::try_from(port).ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    };
    for Field { name, item, .. } in services {
        if let Some((port, field)) = item.number("port").zip(item.field("port")) {
            let count = item.number("instances").unwrap_or(1);
            for instance in 0..count {
                let what = match count {
                    1 => format!("the service `{name}`"),
                    _ => format!("instance {} of the service `{name}`", instance + 1),
                };
                found.extend(local(port + instance).map(|address| (address, what, field.item.span)));
            }
        }
        let sidecar =
            item.get("sidecar").and_then(|sidecar| sidecar.number("port").zip(sidecar.field("port")));
        if let Some((port, field)) = sidecar {
            let what = format!("the sidecar of `{name}`");
            found.extend(local(port).map(|address| (address, what, field.item.span)));
        }
    }
    // Those that the file gives a place come first: a default must not make a written port look wrong.
    found.sort_by_key(|(_, _, span)| *span);
    found
}

/// The target at `to` names a service that takes requests, and fills its path from `names`.
/// `shown` are those of the names that a report lists.
fn destination(
    checker: &mut Checker<'_>,
    to: Option<&Item>,
    services: &[Field],
    names: Option<&[&str]>,
    shown: Option<&[&str]>,
) {
    let Some((item, Ok((name, path)))) = to.and_then(|item| item.as_text().map(|text| (item, split(text))))
    else {
        return;
    };
    match services.iter().find(|service| service.name == name) {
        None => {
            let help = suggest(name, "service", services.iter().map(|service| service.name.as_str()));
            checker.wrong(item.span, format!("there is no service {}", quoted(item, name)), help);
        }
        Some(Field { item: service, .. })
            if service.field("run").is_some() && service.field("port").is_none() =>
        {
            let wrong = format!("the service {} has no port, so it takes no requests", quoted(item, name));
            checker.wrong(
                item.span,
                wrong,
                format!("give it one: `services: {{ {name}: {{ port: 7001, … }} }}`"),
            );
        }
        Some(_) => {}
    }
    let Some(Ok(path)) = path.map(Template::parse) else { return };
    if let Some(unfilled) = path.names().find(|name| names.is_some_and(|names| !names.contains(name))) {
        let known: Vec<String> =
            shown.unwrap_or_default().iter().map(|name| format!("`{{{name}}}`")).collect();
        let help = match known.as_slice() {
            [] => "nothing here has names to fill it with; write a plain path".to_owned(),
            known => format!("the match has {}", known.join(", ")),
        };
        checker.wrong(item.span, format!("nothing fills `{{{unfilled}}}` in this path"), help);
    }
}

/// A name out of a value, or the placeholder that it came from.
fn quoted(item: &Item, name: &str) -> String {
    format!("`{}`", item.placeholder.as_deref().unwrap_or(name))
}

/// That a store's file can be written, as far as can be seen without writing.
fn store(checker: &mut Checker<'_>, item: &Item) {
    let Some(text) = item.as_text() else { return };
    let Some(path) = sqlite_file(text, checker.around.folder) else { return };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = match &item.placeholder {
        Some(placeholder) => format!("of `{placeholder}`"),
        None => format!("`{}`", folder.display()),
    };
    if path.is_dir() {
        checker.wrong(item.span, "the store is a file, and this is a folder", "name a file in it");
    } else if !folder.is_dir() {
        checker.wrong(
            item.span,
            format!("the store's folder {shown} does not exist"),
            "make it, or choose another",
        );
    } else if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err()
    {
        let help =
            "SQLite writes its file and two more beside it; choose a folder that this user may write to";
        checker.wrong(item.span, format!("the store's folder {shown} cannot be written to"), help);
    }
}
