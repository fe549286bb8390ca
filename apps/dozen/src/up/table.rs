//! What runs where: the table that `up` prints when all is started, and one line on what to do next.

use crate::config::{App, Gateway};

use super::children::probe;
use super::{Child, State};

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What runs: `gateway`, `console`, a service.
    pub what: String,
    /// Where it listens.
    pub at: String,
    /// Where its sidecar listens.
    pub sidecar: String,
    /// Its process, if it is not this one.
    pub pid: String,
    /// How it is.
    pub state: String,
}

impl Row {
    /// A part of this very process.
    pub fn part(what: &str, at: impl ToString, state: &str) -> Self {
        Self {
            what: what.to_owned(),
            at: at.to_string(),
            sidecar: String::new(),
            pid: String::new(),
            state: state.to_owned(),
        }
    }
}

/// The parts of this process that listen.
pub fn parts(app: &App) -> Vec<Row> {
    let part = |what: &str, at: std::net::SocketAddr| Row::part(what, format!("http://{at}"), "ready");
    let door = |gateway: &Gateway| {
        Row::part("gateway", format!("{}://{}", gateway.scheme(), gateway.listen), "ready")
    };
    let mut rows: Vec<Row> = app.gateway.iter().map(door).collect();
    rows.extend(app.console.map(|at| part("console", at)));
    rows.extend(app.api.as_ref().map(|api| part("api", api.listen)));
    rows.push(part("registry", app.registry));
    rows
}

/// The services: those that were started with their state, those that run elsewhere with their addresses.
pub fn services(app: &App, children: &[Child]) -> Vec<Row> {
    let mut rows = Vec::new();
    for service in &app.services {
        let sidecar = service.sidecar.map(|sidecar| format!("http://{sidecar}")).unwrap_or_default();
        let own: Vec<&Child> = children.iter().filter(|child| child.service == service.name).collect();
        for child in &own {
            rows.push(Row {
                what: if own.len() > 1 {
                    format!("{}.{}", service.name, child.instance)
                } else {
                    service.name.clone()
                },
                at: child
                    .port
                    .map(|port| format!("{}://127.0.0.1:{port}", service.scheme()))
                    .unwrap_or_default(),
                sidecar: sidecar.clone(),
                pid: child.pid.map(|pid| pid.to_string()).unwrap_or_default(),
                state: describe(&child.state),
            });
        }
        if own.is_empty() {
            let url = |address: &String| format!("{}://{address}", service.scheme());
            let addresses: Vec<String> = service.addresses().iter().map(url).collect();
            rows.push(Row { sidecar, ..Row::part(&service.name, addresses.join(" "), "runs elsewhere") });
        }
    }
    rows
}

pub(super) fn describe(state: &State) -> String {
    match state {
        State::Starting => "starting".into(),
        State::Healthy => "healthy".into(),
        State::Unhealthy { .. } => "unhealthy".into(),
        State::Restarting { wait, .. } => format!("not running; again in {:.1}s", wait.as_secs_f64()),
        State::Stopped { .. } => "stopped".into(),
    }
}

/// The table as text; columns that nobody uses are left out.
pub fn render(rows: &[Row]) -> String {
    let head = Row {
        what: "WHAT".into(),
        at: "WHERE".into(),
        sidecar: "SIDECAR".into(),
        pid: "PID".into(),
        state: "STATE".into(),
    };
    let cells = |row: &Row| [&row.what, &row.at, &row.sidecar, &row.pid, &row.state].map(String::clone);
    let lines: Vec<[String; 5]> = std::iter::once(&head).chain(rows).map(cells).collect();
    let widths: Vec<usize> = (0..5)
        .map(|column| match lines.iter().skip(1).all(|cells| cells[column].is_empty()) {
            true => 0,
            false => lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0),
        })
        .collect();
    let line = |cells: &[String; 5]| {
        let used = cells.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let padded: Vec<String> = used.map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("  {}", padded.join("  ").trim_end())
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What to do next: something to ask, and a page to open.
pub fn hint(app: &App) -> Option<String> {
    let plain = |path: &str| !path.contains('{') && !path.ends_with('*');
    let curl = app.gateway.as_ref().and_then(|gateway| {
        let asked = |route: &&dozen_gateway::RouteOptions| {
            let matching = &route.matching;
            matching.host.is_none()
                && matching.regex.is_none()
                && (matching.method.is_empty() || matching.method.iter().any(|method| method == "GET"))
        };
        let routes: Vec<_> = gateway.routes.iter().filter(asked).collect();
        let route = routes
            .iter()
            .map(|route| &route.matching)
            .find(|route| plain(&route.path))
            .or(routes.first().map(|route| &route.matching))?;
        let path = if plain(&route.path) {
            route.path.clone()
        } else {
            let segments = route.path.split('/').map(|part| match part.strip_prefix("{") {
                Some(name) if name.starts_with('*') => "",
                None if part == "*" => "",
                Some(_) => "1",
                None => part,
            });
            segments.collect::<Vec<_>>().join("/")
        };
        Some(format!("try `curl -i {}://{}{path}`", gateway.scheme(), gateway.listen))
    });
    let page = app.console.map(|console| format!("open http://{console}"));
    let parts: Vec<String> = curl.into_iter().chain(page).collect();
    (!parts.is_empty()).then(|| parts.join(", or "))
}

/// The services as they answer now, asked one instance after the other.
pub async fn asked(app: &App) -> Vec<Row> {
    let mut rows = Vec::new();
    for service in &app.services {
        let sidecar = service.sidecar.map(|sidecar| format!("http://{sidecar}")).unwrap_or_default();
        let addresses = service.addresses();
        if addresses.is_empty() {
            rows.push(Row { sidecar, ..Row::part(&service.name, "", "has no port to ask") });
            continue;
        }
        // Over TLS no more is asked than whether somebody is there.
        let path = service.health.as_deref().filter(|_| service.calling.tls.is_none());
        for address in addresses {
            let state = match probe(&address, path).await {
                Ok(()) if service.calling.tls.is_some() => "accepts connections".to_owned(),
                Ok(()) => "healthy".to_owned(),
                Err(why) => why,
            };
            let at = format!("{}://{address}", service.scheme());
            rows.push(Row { sidecar: sidecar.clone(), ..Row::part(&service.name, at, &state) });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, parse};

    fn app(text: &str) -> App {
        let around = Surroundings { env: &|_| None, folder: &std::env::temp_dir(), reads: &|_| () };
        parse("dozen.yaml", text.as_bytes(), &around).unwrap().app
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let rows = [Row::part("gateway", "http://127.0.0.1:8080", "ready"), Row::part("x", "", "healthy")];
        assert_eq!(
            render(&rows),
            "  WHAT     WHERE                  STATE\n  gateway  http://127.0.0.1:8080  ready\n  \
             x                               healthy"
        );
    }

    #[test]
    fn a_service_is_told_with_the_scheme_that_it_is_asked_in() {
        let app =
            app("app: a\nservices: { s: { at: 'https://pay.example' }, p: { at: 'http://127.0.0.1:1' } }");
        let rows = services(&app, &[]);
        let at: Vec<&str> = rows.iter().map(|row| row.at.as_str()).collect();
        assert_eq!(at, ["https://pay.example:443", "http://127.0.0.1:1"]);
    }

    #[test]
    fn the_hint_names_something_to_ask_and_a_page_to_open() {
        let text = "app: a\nservices: { s: { run: x, port: 1 } }\n\
                    gateway: { routes: { 'POST /a': s, 'GET /o/{id}/x': s } }";
        let app = app(text);
        let all = "try `curl -i http://127.0.0.1:8080/o/1/x`, or open http://127.0.0.1:8500";
        assert_eq!(hint(&app).as_deref(), Some(all));
    }

    #[test]
    fn what_the_hint_names_can_be_asked() {
        for (path, asked) in [("/a/*", "/a/"), ("/a/{*rest}", "/a/"), ("/{id}/b/*", "/1/b/")] {
            let app = self::app(&format!(
                "app: a\nservices: {{ s: {{ run: x, port: 1 }} }}\ngateway: {{ routes: {{ '{path}': s }} }}"
            ));
            assert!(hint(&app).unwrap().contains(&format!(":8080{asked}`")), "{path}");
        }
    }
}
