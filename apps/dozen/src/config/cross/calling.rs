//! That services can be called as the file says, and that the gateway can speak what it says.

use super::super::app;
use super::super::check::Checker;
use super::super::diagnostic::suggest;
use super::super::item::{Field, Item, Value};
use super::place::{is_whole, place_of};

const HELP: &str = "docs/gateway.md says how services are called; docs/configuration.md has every key";
const CAUSES: [&str; 3] = ["connect", "reset", "timeout"];

/// Every service, the listener, and compositions.
pub(super) fn check(checker: &mut Checker<'_>, file: &Item, services: &[Field]) {
    for service in services.iter().filter(|service| !matches!(service.item.value, Value::Off)) {
        self::service(checker, &service.item);
    }
    let Some(gateway) = file.get("gateway") else { return };
    if let Some(head_max) = gateway.field("head-max")
        && gateway.number("head-max").is_some_and(|size| !(1 << 10..=1 << 20).contains(&size))
    {
        checker.wrong(
            head_max.item.span,
            "a head is bounded by 1KiB at least and 1MiB at most",
            "choose between them",
        );
    }
    if let Some(tls) = gateway.get("tls").filter(|tls| is_whole(tls)) {
        let read = app::gateway_tls(tls, checker.around.folder).map(|options| options.check());
        if let Some(Err(error)) = read {
            checker.wrong(
                tls.span,
                dozen_core::chain(&error).to_string(),
                "certificates and keys are PEM files; docs/gateway.md says more",
            );
        }
    }
}

fn service(checker: &mut Checker<'_>, item: &Item) {
    let written = item.field("tls");
    let tls = written.filter(|tls| !matches!(tls.item.value, Value::Off));
    let is_https = app::is_https(item);
    if let (true, None, Some(at)) = (is_https, tls, item.field("at")) {
        let is_plain = |at: &&Item| at.as_text().is_some_and(|text| text.starts_with("http://"));
        if written.is_some() {
            let wrong = "an address begins with `https`, and `tls` is off";
            checker.wrong(at.span, wrong, "remove one of the two");
        } else if let Some(plain) = item.list("at").iter().find(is_plain) {
            let wrong = "all instances of a service are spoken to in TLS, or none is";
            checker.wrong(plain.span, wrong, "write `https://` in all of them, or in none");
        }
    }
    match (item.text("protocol"), tls) {
        (Some("h2c"), None) if is_https => {
            let span = item.get("protocol").map_or(item.span, |protocol| protocol.span);
            let help = "write `protocol: h2`, or begin the address with `http`";
            checker.wrong(span, "`h2c` is HTTP/2 without TLS, and an address begins with `https`", help);
        }
        (Some("h2"), None) if !is_https => {
            let span = item.get("protocol").map_or(item.span, |protocol| protocol.span);
            let help = "add `tls: true`, or write `h2c` for HTTP/2 without TLS";
            checker.wrong(span, "`h2` is HTTP/2 over TLS, and this service has no `tls`", help);
        }
        (Some("h2c"), Some(tls)) => {
            checker.wrong(tls.span, "`h2c` is HTTP/2 without TLS", "write `protocol: h2`, or remove `tls`");
        }
        _ => {}
    }
    if let Some(tls) = tls {
        let (cert, key) = (tls.item.field("cert"), tls.item.field("key"));
        if let (Some(one), None) | (None, Some(one)) = (cert, key) {
            checker.wrong(
                one.span,
                "a certificate and its key belong together",
                "write both `cert` and `key`",
            );
        }
    }
    if let Some(health) = item.field("health")
        && (tls.is_some() || is_https || matches!(item.text("protocol"), Some("h2" | "h2c")))
    {
        let help = "remove it, and let the gateway ask with `probe`, over the transport of the service";
        checker.wrong(
            health.span,
            "`health` is asked in plain HTTP/1.1, which this service does not speak",
            help,
        );
    }
    let before = checker.mistakes.len();
    let causes = item.get("retry").map(|retry| retry.list("on")).unwrap_or_default();
    for cause in causes.iter().filter_map(|item| Some((item, item.as_text()?))) {
        let status = cause.1.parse::<u16>().is_ok_and(|status| (400..600).contains(&status));
        if !status && !CAUSES.contains(&cause.1) {
            let wrong = format!("`{}` is no failure that is retried", cause.0.shown());
            let help = suggest(cause.1, "failure", CAUSES);
            checker.wrong(cause.0.span, wrong, format!("{help}; or a status from 400 to 599"));
        }
    }
    if checker.mistakes.len() > before || !is_called(item) {
        return;
    }
    match app::calling(item, checker.around.folder) {
        Err(problem) => {
            let named = problem.split('`').nth(1).and_then(|text| place_of(item, text.rsplit('.').next()?));
            let span = named.map_or(item.span, |(span, _)| span);
            checker.wrong(span, problem, HELP);
        }
        Ok(options) => {
            if let (Err(error), Some(tls)) = (options.check(), tls) {
                checker.wrong(tls.span, dozen_core::chain(&error).to_string(), HELP);
            }
        }
    }
}

/// Whether every key that says how it is called could be read.
fn is_called(item: &Item) -> bool {
    item.fields().iter().all(|field| field.name == "sidecar" || field.name == "tls" || is_whole(&field.item))
}
