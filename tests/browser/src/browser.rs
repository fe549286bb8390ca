//! One session of one browser.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dozen_harness::{Program, ensure_debian, free_port, request};
use serde_json::{Value, json};

/// How long a page may take to become what a test expects.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a page.
const STEP: Duration = Duration::from_millis(20);
/// Loopback pages only: nothing in the background, no network beyond them, small memory.
const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox", // tests run as root in containers, where the sandbox cannot be set up; pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
];
/// The key that sends a form, in WebDriver's words.
const ENTER: &str = "\u{e007}";
/// The member that names an element, in WebDriver's words.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless Chromium with one open tab.
pub struct Browser {
    session: String,
    /// Killed after the session has been ended.
    _driver: Program,
}

impl Browser {
    /// Starts one. `Ok(None)` where the environment says `DOZEN_NO_BROWSER`; an error where there can be none.
    pub fn start() -> Result<Option<Self>, String> {
        if std::env::var_os("DOZEN_NO_BROWSER").is_some() {
            eprintln!("DOZEN_NO_BROWSER is set: this test has looked at nothing");
            return Ok(None);
        }
        ensure_debian(&["chromium", "chromium-driver"])?;
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let driver = Program::start("chromedriver", command)?;
        // Its own word, not its port: it listens for a moment to try the port out, and then once more.
        driver.wait_for_line("started successfully", PATIENCE)?;
        let base = format!("http://127.0.0.1:{port}/session");
        let options = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": ARGUMENTS },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = call("POST", &base, &options)
            .map_err(|error| format!("{error}; chromedriver wrote:\n{}", driver.output()))?;
        let id = session["sessionId"].as_str().ok_or("chromedriver gave no session")?;
        Ok(Some(Self { session: format!("{base}/{id}"), _driver: driver }))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        call("POST", &format!("{}{path}", self.session), body)
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) -> Result<(), String> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// Where it is.
    pub fn url(&self) -> Result<String, String> {
        let url = call("GET", &format!("{}/url", self.session), &Value::Null)?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// Runs the body of a function in the page; its arguments are `arguments[0]`, ….
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<Value, String> {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// The texts of all elements that `selector` selects, in the order of the page.
    pub fn texts(&self, selector: &str) -> Result<Vec<String>, String> {
        let script = "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText)";
        let texts = self.run(script, &[selector])?;
        let text = |text: &Value| text.as_str().unwrap_or_default().replace('\u{a0}', " ");
        Ok(texts.as_array().map(|texts| texts.iter().map(text).collect()).unwrap_or_default())
    }

    fn element(&self, selector: &str) -> Result<String, String> {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }))?;
        let element = found[ELEMENT].as_str().ok_or_else(|| format!("`{selector}` selects nothing"))?;
        Ok(format!("/element/{element}"))
    }

    /// Types into the first element that `selector` selects, and presses Enter.
    pub fn type_and_enter(&self, selector: &str, text: &str) -> Result<(), String> {
        let element = self.element(selector)?;
        self.post(&format!("{element}/value"), &json!({ "text": format!("{text}{ENTER}") })).map(drop)
    }

    /// Clicks the first element that `selector` selects.
    pub fn click(&self, selector: &str) -> Result<(), String> {
        let element = self.element(selector)?;
        self.post(&format!("{element}/click"), &json!({})).map(drop)
    }

    /// Asks until the page is as it should be: `look` gives what it found, or what it saw instead.
    pub fn wait<T>(&self, mut look: impl FnMut(&Self) -> Result<T, String>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match look(self) {
                Ok(found) => return Ok(found),
                Err(seen) if Instant::now() >= deadline => return Err(format!("after {PATIENCE:?}: {seen}")),
                Err(_) => sleep(STEP), // the page gives no signal to wait for
            }
        }
    }

    /// Waits until the texts of what `selector` selects please `expected`.
    pub fn wait_for_texts(
        &self,
        selector: &str,
        expected: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, String> {
        self.wait(|browser| {
            let texts = browser.texts(selector)?;
            if expected(&texts) { Ok(texts) } else { Err(format!("`{selector}` says {texts:?}")) }
        })
    }

    /// What the page's console said since the last call: also what its content security policy blocked.
    pub fn complaints(&self) -> Result<Vec<String>, String> {
        let log = self.post("/se/log", &json!({ "type": "browser" }))?;
        let lines = log.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(lines.iter().filter_map(|line| line["message"].as_str()).map(str::to_owned).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium in good order; the driver is killed in any case.
        let _ = call("DELETE", &self.session, &Value::Null);
    }
}

/// One step. WebDriver answers `{"value": …}`, and says what went wrong in the same place.
fn call(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = request(method, url, &[("content-type", "application/json")], body.as_bytes())?;
    let mut answer: Value =
        serde_json::from_slice(&reply.body).map_err(|error| format!("{method} {url}: {error}"))?;
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(error) if reply.status >= 400 => {
            let message = value["message"].as_str().unwrap_or_default();
            Err(format!("{error}: {}", message.lines().next().unwrap_or_default()))
        }
        _ => Ok(value),
    }
}
