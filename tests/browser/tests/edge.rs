//! The pages of the gateway and of the translators: which route takes a request and why, the request's journey, another system
//! that changes its contract, and the line of the file that replaces it by its examples.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dozen_browser::Browser;
use dozen_faults::{Place, origin, ports};
use dozen_harness::get;

const EXAMPLE: &str = r#"{ "examples": [ { "name": "a lamp", "input": { "sku": "lamp" },
  "exchanges": [ { "call": "it", "provider": "erp", "request": { "method": "GET", "target": "/items/lamp" },
    "answer": { "content-type": "application/json", "body": "{\"id\": \"lamp\", \"left\": 3}" } } ],
  "output": { "sku": "lamp", "quantity": 3 } } ] }"#;

#[test]
fn the_gateways_page_explains_routes_and_shows_requests_and_the_translators_page_shows_drift_and_mocks() {
    let Some(browser) = Browser::start().unwrap_or_else(|reason| panic!("no browser: {reason}")) else {
        return;
    };
    let changed = Arc::new(AtomicBool::new(false));
    let has_changed = changed.clone();
    let erp = origin(move |_| {
        let color = if has_changed.load(Ordering::SeqCst) { r#","color":"vermilion""# } else { "" };
        Some(format!(r#"{{"id":"lamp","left":3{color}}}"#))
    });
    let first = ports(3);
    let (gateway, console) = (first, first + 1);
    let yaml = format!(
        r#"
app: shop
api: false
registry: {{ listen: "127.0.0.1:{}" }}
console: {{ listen: "127.0.0.1:{console}" }}
services: {{ erp: {{ at: "http://127.0.0.1:{erp}", sidecar: false }} }}
providers: {{ erp: }}
translators:
  stock:
    calls:
      it:
        ask:
          provider: erp
          request: {{ path: "/items/{{sku}}" }}
          answer: {{ map: {{ sku: id!, quantity: {{ from: left, as: integer, required: true }} }} }}
    drift: {{ one-in: 1 }}
    examples: stock.json
gateway:
  listen: 127.0.0.1:{gateway}
  routes:
    "GET /stock/{{sku}}": "stock:/?sku={{sku}}"
    "GET /stock/lamp/raw": {{ to: "erp:/items/lamp", timeout: 3s }}
"#,
        first + 2
    );
    let place = Place::new(&yaml);
    std::fs::write(place.file("stock.json"), EXAMPLE).unwrap();
    let up = place.up().ready();
    let ask = |path: &str| get(&format!("http://127.0.0.1:{gateway}{path}")).unwrap();
    let open = |page: &str| browser.open(&format!("http://127.0.0.1:{console}{page}")).unwrap();
    let says = |wanted: &[&str]| {
        browser.wait_for_texts("main", |texts| wanted.iter().all(|part| texts[0].contains(part))).unwrap();
    };

    // Who wonders which route takes a request asks for it, and reads why.
    open("/gateway");
    says(&["/stock/{sku}", "/stock/lamp/raw", "stock:/?sku={sku}", "erp:/items/lamp", "No request yet."]);
    browser.type_and_enter("input[name=request]", "GET /stock/lamp/raw").unwrap();
    says(&["GET /stock/lamp/raw", "service", "erp", "/items/lamp", "the path is longer than the route's"]);
    open("/gateway");
    browser.type_and_enter("input[name=request]", "DELETE /nowhere").unwrap();
    says(&["none", "no route matches", "404, by the gateway itself"]);

    // A request is there with who answered it, on a page that is open, and leads to its journey.
    open("/gateway");
    says(&["No request yet."]);
    assert_eq!(ask("/stock/lamp/raw").text(), r#"{"id":"lamp","left":3}"#);
    assert_eq!(ask("/stock/lamp").text(), r#"{"sku":"lamp","quantity":3}"#);
    says(&["GET /stock/lamp/raw", "GET /stock/lamp", "200"]);
    browser.click("main a.id").unwrap();
    browser
        .wait(|browser| browser.url().and_then(|url| if url.contains("/trace/") { Ok(()) } else { Err(url) }))
        .unwrap();
    says(&["GET /stock/lamp"]);

    // A field that is new is told by its name, and its value is not. From here on nobody opens the page again.
    open("/translator");
    says(&["stock", "it: erp", "closed", "No answer differs from what is known of it."]);
    changed.store(true, Ordering::SeqCst);
    assert_eq!(ask("/stock/lamp").status, 200);
    says(&["color", "is new", "stock.it at erp"]);
    let told = browser.texts("main").unwrap().concat();
    assert!(!told.contains("vermilion"), "{told}");

    // One line of the file.
    std::fs::write(place.file("dozen.yaml"), yaml.replace("{ erp: }\n", "{ erp: { mock: true } }\n"))
        .unwrap();
    says(&["mocked by its examples"]);
    assert_eq!(ask("/stock/lamp").text(), r#"{"sku":"lamp","quantity":3}"#);
    assert_eq!(ask("/stock/sofa").status, 503);
    says(&["unavailable 1"]);
    assert_eq!(browser.complaints().unwrap(), Vec::<String>::new());
    up.stop();
}
