//! The page of features while a capability moves: a shift is started, its parity watched, the new side breaks, and it rolls back.
//! The page is opened once for that; what it shows, it shows by itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dozen_browser::Browser;
use dozen_faults::{Place, ports, program};
use dozen_harness::request;

/// A system that tells a price to whoever asks, the right one or the wrong one, and at which request.
fn system(wrong: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (wrong, asked) = (wrong.clone(), Arc::new(AtomicU64::new(0)));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (wrong, asked) = (wrong.clone(), asked.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                    head.push(byte[0]);
                }
                let price = if wrong.load(Ordering::SeqCst) { 99 } else { 10 };
                let at = asked.fetch_add(1, Ordering::SeqCst);
                let body = format!(r#"{{"at":{at},"price":{price},"email":"ann@example.com"}}"#);
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    port
}

#[test]
fn a_shift_is_started_on_the_page_and_rolls_back_before_the_eyes_when_the_new_side_breaks() {
    let Some(browser) = Browser::start().unwrap_or_else(|reason| panic!("no browser: {reason}")) else {
        return;
    };
    let broken = Arc::new(AtomicBool::new(false));
    let (old, new) = (system(&Arc::default()), system(&broken));
    let first = ports(2);
    let (gateway, console) = (first, first + 1);
    let place = Place::new(&format!(
        "app: shop\napi: false\nregistry: {{ listen: '127.0.0.1:0' }}\nconsole: {{ listen: '127.0.0.1:{console}' }}\n\
         services:\n  legacy: {{ at: 'http://127.0.0.1:{old}' }}\n  orders: {{ at: 'http://127.0.0.1:{new}' }}\n\
         features:\n  checkout:\n    old: legacy\n    new: orders\n    match: /checkout\n    key: header x-user\n    owner: ann\n\
         \x20   stages: [compare, 50%, complete]\n    compare: {{ confirm-after: 1ms, noise: {{ samples: 2 }} }}\n\
         \x20   advance: {{ automatic: false, samples: 40, parity: 90%, hold: 0s, p99: 1000 }}\n\
         gateway:\n  listen: 127.0.0.1:{gateway}\n  routes: {{ '/{{*rest}}': legacy }}\n"
    ));
    let up = place.up().ready();
    let (ends, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let users = std::thread::spawn({
        let (ends, asked) = (ends.clone(), asked.clone());
        move || {
            while !ends.load(Ordering::SeqCst) {
                let user = format!("user-{}", asked.fetch_add(1, Ordering::SeqCst));
                let url = format!("http://127.0.0.1:{gateway}/checkout");
                request("GET", &url, &[("x-user", &user)], b"").unwrap();
                request("GET", &format!("http://127.0.0.1:{gateway}/reports/17"), &[], b"").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    });

    let page = format!("http://127.0.0.1:{console}/feature/checkout");
    let stage = |wanted: &str| {
        browser.wait_for_texts(".ladder [aria-current=step]", |texts| texts == [wanted]).unwrap();
    };
    // What is said to a page is gone once it is loaded again.
    let stays = || drop(browser.run("window.stayed = true", &[]).unwrap());
    let stayed = |what: &str| {
        assert_eq!(browser.run("return window.stayed === true", &[]).unwrap(), true, "{what}");
    };
    browser.open(&page).unwrap();
    stays();
    stage("compare");
    browser.wait_for_texts("main", |texts| texts[0].contains("0 of") && texts[0].contains("pass")).unwrap();
    // What the old side is unsure of is named, and is no difference.
    browser.wait_for_texts("main", |texts| texts[0].contains("$.at")).unwrap();

    // Somebody else gives orders, in another process.
    let order = |arguments: &[&str]| {
        let mut command = std::process::Command::new(program("dozen"));
        let by = ["feature", arguments[0], "checkout", "--by", "bob", "--why", arguments[1]];
        place.mark(command.args(by));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    order(&["forward", "a look at half of it"]);
    stage("50%");
    order(&["back", "that was enough"]);
    stage("compare");
    browser.wait_for_texts("main", |texts| texts[0].contains("that was enough")).unwrap();
    stayed("the page follows what others order without a reload");

    browser.run("document.querySelector('input[name=by]').value = 'ann'", &[]).unwrap();
    // Enter presses the first button, which is `Forward`.
    browser.type_and_enter("input[name=why]", "parity is fine").unwrap();
    browser.wait_for_texts(".notice", |texts| texts.iter().any(|text| text.starts_with("Done"))).unwrap();
    stays();
    stage("50%");

    broken.store(true, Ordering::SeqCst);
    stage("compare");
    let told = browser.wait_for_texts("main", |texts| texts[0].contains("parity:")).unwrap().concat();
    for part in ["frozen", "gate", "parity is fine", "$.price", "99"] {
        assert!(told.contains(part), "the page lacks `{part}`:\n{told}");
    }
    assert!(!told.contains("ann@example.com"), "personal data is on the page:\n{told}");
    stayed("it rolls back before the eyes");
    browser.open(&format!("http://127.0.0.1:{console}/feature")).unwrap();
    browser.wait_for_texts("main", |texts| texts[0].contains("GET /reports/{id}")).unwrap();
    assert_eq!(browser.complaints().unwrap(), Vec::<String>::new());
    ends.store(true, Ordering::SeqCst);
    users.join().unwrap();
    up.stop();
}
