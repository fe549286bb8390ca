//! `dozen explain`: what would happen to this request, and why.

use std::path::Path;
use std::process::ExitCode;

use dozen_dataplane::{Protocol, Strategy};
use dozen_gateway::{Explanation, Question, RouteTable, ServiceOptions};
use serde_json::Value;

use crate::config::{self, App};
use crate::{Error, up};

const HELP: &str = "\
Examples:
  dozen explain GET /orders/7
  dozen explain shop.yaml POST 'http://shop.example/orders?dry-run=1' -H 'x-tenant: blue'

Nothing is sent. `dozen service list` says whether the service would answer.";

/// Says what the gateway would do with a request.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP, override_usage = "dozen explain [FILE] <METHOD> <URL> [-H 'name: value']... [--claims JSON]")]
pub(crate) struct Explain {
    /// The configuration (dozen.yaml if it is left out), the method, and a path or URL
    #[arg(required = true, num_args = 2..=3, value_names = ["FILE", "METHOD", "URL"])]
    request: Vec<String>,
    /// A header of the request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// What the caller's token would say, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = claims)]
    claims: Option<Value>,
}

fn claims(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(claims) if claims.is_object() => Ok(claims),
        _ => Err("write a JSON object: `{\"sub\": \"u-1\"}`".into()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write `name: value`".into()),
    }
}

impl Explain {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (file, method, url) = match self.request.as_slice() {
            [method, url] => (config::FILE, method, url),
            [file, method, url] => (file.as_str(), method, url),
            _ => return Err(Error::Usage("write `dozen explain [FILE] METHOD URL`".into())),
        };
        let app = config::load(Path::new(file))?.app;
        if app.gateway.is_none() {
            return Err(Error::Usage(format!("{file} has no gateway, so no request comes in")));
        }
        let table =
            RouteTable::compile(&up::routes(&app)).map_err(Error::pattern("understand the routes"))?;
        let method = method.to_uppercase();
        let claims = self.claims.as_ref();
        let question = Question { method: &method, url, headers: &self.headers, claims, address: None };
        let explanation = table.explain(&question, None);
        if self.json {
            let json = serde_json::to_string_pretty(&explanation).unwrap_or_default();
            return super::print(&format!("{json}\n"));
        }
        super::print(&told(&app, &explanation))
    }
}

fn told(app: &App, explanation: &Explanation) -> String {
    let Explanation { method, host, path, .. } = explanation;
    let mut text = format!("{method} {path}  (host {host})\n");
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:9} {value}\n"));
    match &explanation.route {
        Some(route) => line("route", &format!("{route}: {}", explanation.why)),
        None => line("route", &format!("none: {}", explanation.why)),
    }
    if let Some(status) = explanation.status {
        line("answer", &format!("{status}, by the gateway itself"));
        if let (Some(location), None) = (&explanation.target, &explanation.service) {
            line("location", location);
        }
    }
    let service = explanation.service.as_deref().and_then(|name| app.service(name));
    if let (Some(service), Some(target)) = (service, &explanation.target) {
        line("upstream", &format!("{} {target}", service.name));
        if let Some(choice) = &explanation.choice {
            line("choice", choice);
        }
        line("at", &service.addresses().join(", "));
        for (name, value) in calling(&service.calling) {
            line(name, &value);
        }
    }
    if let (None, Some(choice)) = (service, &explanation.choice) {
        line("choice", choice);
    }
    let is_translator = |name: &&str| app.translators.options.translators.contains_key(*name);
    if let (Some(translator), Some(target)) =
        (explanation.service.as_deref().filter(is_translator), &explanation.target)
    {
        line("upstream", &format!("translator {translator} {target}"));
    }
    for call in &explanation.calls {
        let waits = match call.waits_for.as_slice() {
            [] => "at once".to_owned(),
            waits_for => format!("after {}", waits_for.join(", ")),
        };
        line("call", &format!("{} {}: {} ({waits}; {})", call.level, call.call, call.asks, call.need));
    }
    if !explanation.shapes.is_empty() {
        line("shapes", &explanation.shapes.join(", "));
    }
    let named =
        |route: &&dozen_gateway::RouteOptions| explanation.route.as_deref() == Some(route.name().as_str());
    if let Some(route) = up::routes(app).iter().find(named) {
        line("timeout", &format!("{}s", route.timeout.as_secs_f64()));
        line("body-max", &format!("{} bytes", route.body_max));
    }
    for other in explanation.considered.iter().take(5) {
        line("not", &format!("{}: {}", other.route, other.why_not));
    }
    text
}

/// How a service is called, as far as that is out of the ordinary.
fn calling(options: &ServiceOptions) -> Vec<(&'static str, String)> {
    let ServiceOptions { policy, protocol, tls } = options;
    let shown = dozen_core::duration::text;
    let mut lines = Vec::new();
    let transport = match (protocol, tls.is_some()) {
        (Protocol::Http1, false) => None,
        (Protocol::Http1, true) => Some("HTTP/1.1 over TLS"),
        (Protocol::Http2, true) => Some("HTTP/2 over TLS"),
        (Protocol::Http2, false) => Some("HTTP/2 without TLS"),
    };
    lines.extend(transport.map(|transport| ("over", transport.to_owned())));
    if policy.strategy != Strategy::default() {
        let strategy = serde_json::to_value(policy.strategy).unwrap_or_default();
        lines.push(("balance", strategy.as_str().unwrap_or_default().to_owned()));
    }
    if policy.repeats() && policy.retry.attempts_max > 1 {
        let retry = &policy.retry;
        let on: Vec<String> = retry.on.iter().map(ToString::to_string).collect();
        let each = retry.per_try_timeout.map(|each| format!(", {} each", shown(each))).unwrap_or_default();
        let budget = &policy.budget;
        let budget = format!("{}% of requests and {} a second", budget.percent, budget.per_second_min);
        lines.push((
            "retry",
            format!("up to {} attempts{each} on {}; {budget}", retry.attempts_max, on.join(", ")),
        ));
    }
    if let Some(hedge) = policy.hedge {
        lines.push(("hedge", format!("after {}, {} more at most", hedge.after, hedge.max)));
    }
    if let Some(circuit) = policy.breaker {
        let open = shown(circuit.open);
        lines.push((
            "circuit",
            format!("opens for {open} when {}% of {} fail", circuit.failure_percent, circuit.requests_min),
        ));
    }
    if let Some(max) = policy.in_flight_max {
        lines.push(("at once", format!("{max}, and {} wait", policy.pending_max)));
    }
    if let Some(probe) = &policy.health {
        lines.push(("probe", format!("GET {} every {}", probe.path, shown(probe.interval))));
    }
    lines
}
