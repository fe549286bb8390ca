//! The whole shop, as a newcomer runs it: an order through the gateway, and its journey in a real browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dozen_browser::Browser;
use dozen_faults::{Place, ports, program};
use dozen_harness::{get, post};
use serde_json::Value;

/// What follows an order comes within this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The example's own file, with every listener moved to a port of this test's own.
fn shop() -> (Place, u16, u16) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    let mut yaml = std::fs::read_to_string(example.join("dozen.yaml")).unwrap();
    let first = ports(13);
    for (at, port) in [8080, 8500, 7001, 7002, 7003, 7005, 7006, 7007].into_iter().enumerate() {
        // `invoices` has two instances, and the second takes the port after the first's.
        let own = first + u16::try_from(at).unwrap() + u16::from((7004..8000).contains(&port));
        yaml = yaml.replace(&port.to_string(), &own.to_string());
    }
    for (sidecar, service) in (first + 9..).zip(["orders", "stock", "invoices", "mailer"]) {
        let start = yaml.find(&format!("  {service}:")).unwrap();
        let open = start + yaml[start..].find("{ ").unwrap() + 2;
        yaml.insert_str(open, &format!("sidecar: {{ port: {sidecar} }}, "));
    }
    let registry = ports(1);
    yaml.push_str(&format!("registry: {{ listen: \"127.0.0.1:{registry}\" }}\napi: false\n"));
    for name in ["shop-orders", "shop-stock", "shop-invoices", "shop-catalogue"] {
        yaml = yaml.replace(&format!("[{name}]"), &format!("[\"{}\"]", program(name).display()));
    }
    let place = Place::new(&yaml);
    for name in ["mailer.py", "legacy.py", "article.examples.json"] {
        std::fs::copy(example.join(name), place.file(name)).unwrap();
    }
    (place, first, first + 1)
}

/// Asks until the answer is `wanted`; the answers follow the order in their own time.
fn until(url: &str, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = get(url).unwrap();
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if wanted(&answer) {
            return;
        }
        assert!(Instant::now() < deadline, "{url} still answers {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn q_d3_an_order_of_the_running_shop_is_followed_from_the_request_to_each_acknowledgement() {
    let (place, gateway, console) = shop();
    let up = place.up().ready();
    let at = |path: &str| format!("http://127.0.0.1:{gateway}{path}");
    let reply = post(&at("/orders"), "application/json", r#"{"sku":"lamp","quantity":2}"#).unwrap();
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    let said: Value = serde_json::from_slice(&reply.body).unwrap();
    let (order, event) = (said["id"].as_str().unwrap(), said["event"].as_str().unwrap());

    let lamp = get(&at("/articles/lamp")).unwrap();
    let lamp: Value = serde_json::from_slice(&lamp.body).unwrap();
    assert_eq!(
        (&lamp["price"]["amount"], &lamp["since"]),
        (&"1049.50".into(), &"2024-01-31".into()),
        "{lamp}"
    );
    assert_eq!(get(&at("/articles/sofa")).unwrap().status, 404);

    until(&at("/stock/lamp"), |answer| answer["available"] == 99_998);
    until(&at(&format!("/invoices/{order}")), |answer| {
        answer["invoices"].as_array().is_some_and(|all| all.len() == 1)
    });
    until(&at("/mails"), |answer| answer["sent"] == 1 && answer["last"][0]["order"] == order);

    if let Some(browser) = Browser::start().unwrap_or_else(|reason| panic!("no browser: {reason}")) {
        browser.open(&format!("http://127.0.0.1:{console}/")).unwrap();
        browser.type_and_enter("input[name=id]", event).unwrap();
        let page = browser
            .wait(|browser| {
                let page = browser.texts("main").map(|texts| texts.join("\n"))?;
                let acknowledged = page.matches("acknowledged").count();
                if acknowledged >= 2 { Ok(page) } else { Err(format!("not yet acknowledged twice:\n{page}")) }
            })
            .unwrap();
        for step in
            ["POST /orders", "answered by orders", "stored in topic orders", "mailer", "stock", "handed out"]
        {
            assert!(page.contains(step), "the journey lacks `{step}`:\n{page}");
        }
        assert_eq!(browser.complaints().unwrap(), Vec::<String>::new());
    }
    up.stop();
}

/// What a shell in the shop's folder says, with `dozen` on its path.
fn typed(place: &Place, line: &str) -> String {
    let folder = program("dozen").parent().unwrap().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    place.mark(shell.args(["-c", line]).env("PATH", path));
    let output = shell.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Whether `said` has the words of `wanted` in their order; `…` stands for anything.
fn says(said: &str, wanted: &str) -> bool {
    let words = wanted.split_whitespace().flat_map(|word| word.split('…')).filter(|word| !word.is_empty());
    words.into_iter().try_fold(said, |rest, word| rest.split_once(word).map(|(_, rest)| rest)).is_some()
}

#[test]
fn sf_m4_the_shops_catalogue_moves_comes_back_and_is_strangled_as_the_readme_says() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let steps = readme.split("```console\n").find(|block| block.contains("feature journal")).unwrap();
    let steps = steps.split("```").next().unwrap();
    let (place, gateway, _) = shop();
    let up = place.up().ready();
    // The catalogue's port is the eighth of the shop's.
    let steps = steps.replace(":8080", &format!(":{gateway}")).replace(":7007", &format!(":{}", gateway + 8));
    for step in steps.split("$ ").skip(1) {
        let (line, wanted) = step.split_once('\n').unwrap_or((step, ""));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = typed(&place, line);
            if says(&said, wanted) {
                break;
            }
            // What only shows something shows it in its own time.
            assert!(!line.contains("forward"), "$ {line}\n{said}");
            assert!(Instant::now() < deadline, "$ {line}\n{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    up.stop();
}
