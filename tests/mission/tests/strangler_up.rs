//! SF · strangler fig, as a user runs it: `dozen up` in front of two real systems, and `dozen feature` beside it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use dozen_dataplane::{Limits, Server};
use dozen_faults::{LOOK, PATIENCE, Place, Up, ports, program};
use dozen_harness::{Reply, request};
use dozen_lifecycle::{Ready, Stop};
use serde_json::{Value, json};

/// A system that answers with its name and a price, keeps what it is sent, and knows who is logged in.
#[derive(Default)]
struct System {
    name: &'static str,
    asked: AtomicU64,
    shadowed: AtomicU64,
    wrong: AtomicBool,
    hangs: AtomicBool,
    written: Mutex<BTreeMap<String, String>>,
    /// Method and idempotency key of each write.
    writes: Mutex<Vec<(String, String)>>,
}

async fn answer(
    State(system): State<Arc<System>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    if headers.contains_key("dozen-shadow") {
        system.shadowed.fetch_add(1, Ordering::SeqCst);
    } else {
        system.asked.fetch_add(1, Ordering::SeqCst);
    }
    let me = system.name;
    while system.hangs.load(Ordering::SeqCst) {
        tokio::time::sleep(LOOK).await;
    }
    match (method, uri.path()) {
        // Whose a session of the old, or a token of the new system is; and a new one.
        (Method::GET, "/whose") => {
            let proof = text("cookie").strip_prefix("SESSION=").map(str::to_owned);
            let proof = proof.or_else(|| text("authorization").strip_prefix("Bearer ").map(str::to_owned));
            match proof.as_deref().and_then(|proof| proof.strip_prefix(&format!("{me}-"))) {
                Some(name) => axum::Json(json!({ "sub": name })).into_response(),
                None => StatusCode::UNAUTHORIZED.into_response(),
            }
        }
        (Method::POST, "/issue") => {
            let said: Value = serde_json::from_slice(&body).unwrap();
            axum::Json(json!({ "proof": format!("{me}-{}", said["sub"].as_str().unwrap()) })).into_response()
        }
        (Method::GET, "/checkout/who") => {
            format!("{me}:{}|{}", text("cookie"), text("authorization")).into_response()
        }
        (Method::GET, "/checkout/links") => {
            let body = format!("<a href=\"http://{me}.internal:8080/app/cart\">cart</a>");
            let headers = [
                ("content-type", "text/html"),
                ("set-cookie", "sid=1; Domain=legacy.internal; Path=/app; HttpOnly"),
                ("location", "http://legacy.internal:8080/app/next"),
            ];
            (headers, body).into_response()
        }
        (Method::GET, "/checkout/noisy") => {
            let id = system.asked.load(Ordering::SeqCst) + system.shadowed.load(Ordering::SeqCst);
            axum::Json(json!({ "id": format!("{me}-{id}"), "price": 10 })).into_response()
        }
        (Method::GET, "/checkout/private") => StatusCode::UNAUTHORIZED.into_response(),
        (Method::GET, path) => {
            let price = if system.wrong.load(Ordering::SeqCst) { 99 } else { 10 };
            let body = system.written.lock().unwrap().get(path).cloned();
            let body = body.unwrap_or_else(|| format!(r#"{{"price":{price}}}"#));
            ([("content-type", "application/json"), ("x-system", me)], body).into_response()
        }
        (_, "/checkout/9") if system.wrong.load(Ordering::SeqCst) => {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        (method, path) => {
            while path == "/checkout/slow" && system.wrong.load(Ordering::SeqCst) {
                tokio::time::sleep(LOOK).await;
            }
            let key = text("idempotency-key");
            system.writes.lock().unwrap().push((method.to_string(), key));
            system.written.lock().unwrap().insert(path.to_owned(), String::from_utf8(body.to_vec()).unwrap());
            ([("x-system", me)], "{}").into_response()
        }
    }
}

/// Two systems, and a gateway with its own file for each of `gateways`, all on one store.
struct World {
    old: Arc<System>,
    new: Arc<System>,
    places: Vec<(Place, u16)>,
    up: Vec<Up>,
    /// Takes the new system down.
    down: Stop,
    _runtime: tokio::runtime::Runtime,
    _store: tempfile::TempDir,
}

const QUICK: &str = "
    advance: { samples: 40, parity: 90%, hold: 0s, p99: 1000, window: 10s }
    compare: { confirm-after: 1ms, noise: { samples: 2 } }";

impl World {
    /// `feature` are the lines of `features.checkout` beside its services; or a whole file that begins with its `app`.
    fn new(gateways: usize, feature: &str, routes: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let serve = |name: &'static str| {
            let system = Arc::new(System { name, ..System::default() });
            let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
            let port = server.local_addr().port();
            let router = Router::new().fallback(answer).with_state(system.clone());
            let stop = Stop::new();
            runtime.spawn(server.serving(router).run(stop.clone(), Ready::channel().0));
            (system, port, stop)
        };
        let ((old, old_port, _), (new, new_port, down)) = (serve("legacy"), serve("orders"));
        let store = tempfile::tempdir().unwrap();
        let file = store.path().join("shop.db");
        let place = |_| {
            let first = ports(1);
            if let Some(guide) = feature.strip_prefix("app: ") {
                let yaml = guide.replace("127.0.0.1:7001", &format!("127.0.0.1:{old_port}"));
                let yaml = yaml.replace("127.0.0.1:7002", &format!("127.0.0.1:{new_port}"));
                let yaml = yaml.replace("127.0.0.1:8080", &format!("127.0.0.1:{first}"));
                let quiet = "console: false\napi: false\nregistry: { listen: '127.0.0.1:0' }\n";
                return (Place::new(&format!("app: {yaml}{quiet}")), first);
            }
            let yaml = format!(
                "app: shop\nstore: 'sqlite:{}'\nconsole: false\napi: false\nregistry: {{ listen: '127.0.0.1:0' }}\n\
                 services:\n  legacy: {{ at: 'http://127.0.0.1:{old_port}' }}\n  orders: {{ at: 'http://127.0.0.1:{new_port}' }}\n\
                 features:\n  checkout:\n    old: legacy\n    new: orders\n{feature}\n\
                 gateway:\n  listen: 127.0.0.1:{first}\n  routes:\n    /{{*rest}}: legacy\n{routes}",
                file.display()
            );
            (Place::new(&yaml), first)
        };
        let places: Vec<(Place, u16)> = (0..gateways).map(place).collect();
        let up = places.iter().map(|(place, _)| place.up().ready()).collect();
        Self { old, new, places, up, down, _runtime: runtime, _store: store }
    }

    fn ask(&self, gateway: usize, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let url = format!("http://127.0.0.1:{}{path}", self.places[gateway].1);
        request(method, &url, headers, body.as_bytes()).unwrap()
    }

    /// Which system answers a read by `user`.
    fn read(&self, gateway: usize, user: &str) -> String {
        let reply = self.ask(gateway, "GET", "/checkout/price", &[("x-user", user)], "");
        reply.header("x-system").unwrap().to_owned()
    }

    /// `dozen feature …`; gives what it prints.
    fn feature(&self, arguments: &[&str]) -> String {
        let place = &self.places[0].0;
        let mut command = std::process::Command::new(program("dozen"));
        place.mark(command.arg("feature").args(arguments));
        let output = command.output().unwrap();
        let (out, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{arguments:?}: {out}{errors}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.feature(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn stage(&self) -> String {
        self.json(&["show", "checkout"])["feature"]["stage"].as_str().unwrap().to_owned()
    }

    fn to(&self, stage: &str) {
        self.feature(&["to", "checkout", stage, "--why", "a test", "--by", "ann"]);
    }

    /// A user comes to each gateway each 10 ms, whatever has become of those before, until so many at each gateway were
    /// answered by this system; gives the moment at which the last of them was.
    fn answered_by(&self, system: &str, times: usize, method: &'static str) -> Instant {
        let ((tell, told), began) = (mpsc::channel(), Instant::now());
        let mut missing = vec![times; self.places.len()];
        loop {
            for (gateway, (_, port)) in self.places.iter().enumerate() {
                let (tell, url) = (tell.clone(), format!("http://127.0.0.1:{port}/checkout/price"));
                std::thread::spawn(move || {
                    let body: &[u8] = if method == "GET" { b"" } else { b"{}" };
                    let reply = request(method, &url, &[], body).ok();
                    let by = reply.and_then(|reply| reply.header("x-system").map(str::to_owned));
                    let _ = tell.send((gateway, by, Instant::now()));
                });
            }
            let next = Instant::now() + Duration::from_millis(10);
            while let Ok((gateway, by, at)) =
                told.recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                if by.as_deref() == Some(system) {
                    missing[gateway] = missing[gateway].saturating_sub(1);
                }
                if missing.iter().all(|missing| *missing == 0) {
                    return at;
                }
            }
            assert!(began.elapsed() < PATIENCE, "never: {system} answers {times} at each gateway");
        }
    }

    /// Takes the new system down, as a crash does.
    fn crash(&self) {
        self.down.soft.cancel();
        self.down.hard.cancel();
    }

    /// The check of the gate of this name.
    fn check(&self, name: &str) -> Value {
        let shown = self.json(&["show", "checkout"]);
        let checks = shown["feature"]["judgement"]["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == name).unwrap_or(Value::Null)
    }

    fn stop(self) {
        self.up.into_iter().for_each(|up| drop(up.stop()));
    }
}

/// Waits until `holds`; gives how long that took.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(LOOK);
    }
    began.elapsed()
}

const MATCHED: &str = "    match: '/checkout/{*rest}'\n    key: header x-user\n    owner: team-shop";

#[test]
fn sf_m1_a_facade_stands_in_front_of_the_legacy_and_moves_one_capability_to_the_new_system() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}"), "");
    assert_eq!(world.ask(0, "GET", "/any/page", &[], "").header("x-system"), Some("legacy"));
    assert_eq!(world.read(0, "ann"), "legacy", "a feature begins with the old system");
    world.to("complete");
    let took = until("everybody is served by the new system", || world.read(0, "ann") == "orders");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(
        world.ask(0, "GET", "/any/page", &[], "").header("x-system"),
        Some("legacy"),
        "the rest stays"
    );
    world.stop();
}

#[test]
fn sf_m2_what_is_new_lives_in_the_new_system_and_the_old_one_hears_nothing_of_it() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}"), "    /loyalty/{*rest}: orders\n");
    assert_eq!(world.read(0, "ann"), "legacy");
    let asked = world.old.asked.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(world.ask(0, "GET", "/loyalty/points", &[], "").header("x-system"), Some("orders"));
    }
    assert_eq!(world.old.asked.load(Ordering::SeqCst), asked);
    assert_eq!(world.read(0, "ann"), "legacy", "what is not new is not touched");
    // What goes to the old system by another way is a move that nobody has thought of; what goes to the new one is not.
    world.ask(0, "GET", "/any/page", &[], "");
    let mut unmapped = json!([]);
    until("what no feature takes is told", || {
        unmapped = world.json(&["list"])["unmapped"].clone();
        unmapped != json!([])
    });
    assert_eq!((&unmapped[0]["name"], &unmapped[1]), (&json!("GET /any/page"), &Value::Null), "{unmapped}");
    world.stop();
}

#[test]
fn sf_m3_each_request_goes_to_a_side_by_path_method_cohort_share_and_a_testers_header() {
    let feature = format!(
        "    match: {{ path: '/checkout/{{*rest}}', method: GET }}\n    key: header x-user\n    force-key: s3cret{QUICK}"
    );
    let world = World::new(1, &feature, "");
    world.to("50%");
    let users: Vec<String> = (0..60).map(|at| format!("user-{at}")).collect();
    until("half of the keys", || users.iter().any(|user| world.read(0, user) == "orders"));
    let first: Vec<String> = users.iter().map(|user| world.read(0, user)).collect();
    let again: Vec<String> = users.iter().map(|user| world.read(0, user)).collect();
    assert_eq!(first, again, "a key stays on its side");
    let new = first.iter().filter(|side| *side == "orders").count();
    assert!((15..=45).contains(&new), "{new} of 60 at 50%");
    let post = world.ask(0, "POST", "/checkout/x", &[("x-user", "ann")], "{}");
    assert_eq!(post.header("x-system"), Some("legacy"), "the match is for GET");
    let forced = |side: &str, key: &str| {
        let header = format!("checkout={side}; key={key}");
        let reply = world.ask(0, "GET", "/checkout/price", &[("dozen-feature", &header)], "");
        reply.header("x-system").unwrap().to_owned()
    };
    assert_eq!([forced("new", "s3cret"), forced("old", "s3cret")], ["orders", "legacy"]);
    assert_eq!(forced("new", "guess"), "legacy", "nobody else can");
    world.feature(&["kill", "checkout", "--why", "the till is down"]);
    until("everything is back", || users.iter().all(|user| world.read(0, user) == "legacy"));
    assert_eq!(forced("new", "s3cret"), "legacy", "the kill switch is stronger");
    world.stop();
}

const LADDER: &str = "    stages: [shadow, compare, 50%, complete, retired]\n    force-key: k";

/// Reads of many users, until the gate has taken the feature all the way.
fn until_complete(world: &World) {
    let mut at = 0;
    let took = until("it is complete", || {
        for _ in 0..40 {
            at += 1;
            world.read(0, &format!("user-{at}"));
        }
        world.ask(0, "GET", &format!("/reports/{at}"), &[], "");
        world.stage() == "complete"
    });
    println!("from shadow to complete in {took:?}, by {at} reads");
}

#[test]
fn sf_m4_live_traffic_takes_a_feature_from_shadow_to_complete_by_proof() {
    let world = World::new(1, &format!("{MATCHED}\n{LADDER}{QUICK}"), "");
    until_complete(&world);
    let journal = world.json(&["journal", "checkout"]);
    let stages: Vec<&str> =
        journal.as_array().unwrap().iter().map(|one| one["to"].as_str().unwrap()).collect();
    assert_eq!(stages, ["shadow", "compare", "50%", "complete"]);
    assert!(journal[2]["why"].as_str().unwrap().contains("compared answers differ"), "{journal}");
    assert!(world.new.shadowed.load(Ordering::SeqCst) > 0);
    until("the old system is shadowed in reverse", || {
        let before = world.old.shadowed.load(Ordering::SeqCst);
        world.read(0, "ann");
        world.old.shadowed.load(Ordering::SeqCst) > before
    });
    world.stop();
}

#[test]
fn sf_m5_the_share_of_the_legacy_shrinks_until_it_is_retired_and_the_progress_is_told() {
    let world = World::new(1, &format!("{MATCHED}\n{LADDER}{QUICK}"), "");
    until_complete(&world);
    let mut progress = Value::Null;
    until("the volume is counted", || {
        progress = world.json(&["list"]);
        progress["moved"].as_f64().is_some_and(|moved| moved > 0.5 && moved < 1.0)
    });
    assert_eq!(progress["unmapped"][0]["name"], "GET /reports/{id}");
    world.to("retired");
    let old =
        || world.ask(0, "GET", "/checkout/price", &[("dozen-feature", "checkout=old; key=k")], "").status;
    until("the old side is gone", || old() == 410);
    assert_eq!(world.read(0, "ann"), "orders");
    let removable = world.json(&["removable"]);
    assert_eq!(removable[0]["what"], "features.checkout");
    assert_eq!(removable[0]["lines"]["first"], 10, "{removable}");
    assert_eq!(removable.as_array().unwrap().len(), 1, "the old service still has its own route");
    world.stop();
}

#[test]
fn sf_d3_a_broken_threshold_takes_the_traffic_back_on_both_gateways_within_a_second() {
    // People take the steps forward, so that it is at the one that is meant when the new side breaks.
    let by_hand = QUICK.replace("samples: 40,", "samples: 40, automatic: false,");
    let world = World::new(2, &format!("{MATCHED}{by_hand}"), "");
    let users: Vec<String> = (0..20).map(|at| format!("user-{at}")).collect();
    world.to("50%");
    for gateway in [0, 1] {
        until("half of the keys", || users.iter().any(|user| world.read(gateway, user) == "orders"));
    }
    // Noise is learnt, and both are equal so far.
    for user in users.iter().cycle().take(100) {
        world.read(0, user);
        world.read(1, user);
    }
    assert_eq!(world.stage(), "50%");
    world.new.wrong.store(true, Ordering::SeqCst);
    // When the gate has what it needs: the moment that the journal names.
    until("it goes back", || {
        users.iter().for_each(|user| drop(world.read(0, user)));
        world.json(&["journal", "checkout"]).as_array().unwrap().iter().any(|one| one["who"] == "gate")
    });
    let took = until("both gateways are back", || {
        [0, 1].iter().all(|gateway| users.iter().all(|user| world.read(*gateway, user) == "legacy"))
    });
    assert!(took < Duration::from_secs(1), "{took:?}");
    let journal = world.json(&["journal", "checkout"]);
    let last = journal.as_array().unwrap().last().unwrap();
    assert_eq!((last["to"].as_str(), last["hold"].as_str()), (Some("compare"), Some("frozen")), "{journal}");
    assert!(last["why"].as_str().unwrap().contains("parity"), "with its reason: {journal}");
    let mut differences = String::new();
    until("the differences are shown", || {
        differences = world.feature(&["diff", "checkout"]);
        differences.contains("$.price: 10 → 99")
    });
    world.stop();
}

/// A new side that breaks after the move, while `method` is what its users ask for; gives how long it takes from there until the
/// users of both gateways are served by the old side.
fn goes_back(feature: &str, method: &'static str, breaks: impl FnOnce(&World)) -> Duration {
    let world = World::new(2, feature, "");
    world.to("complete");
    // For more than two windows: what is usual is known then.
    world.answered_by("orders", 250, method);
    let began = Instant::now();
    breaks(&world);
    let took = world.answered_by("legacy", 5, method) - began;
    println!("{method}: from the break to the old side on both gateways: {took:?}");
    world.new.hangs.store(false, Ordering::SeqCst);
    let journal = world.json(&["journal", "checkout"]);
    let last = journal.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["who"], &last["to"], &last["hold"]),
        (&json!("gate"), &json!("compare"), &json!("frozen"))
    );
    let why = last["why"].as_str().unwrap();
    // Whichever has the proof first: a side that is down is also slow.
    assert!(["errors: ", "parity: ", "latency: "].iter().any(|check| why.contains(check)), "{why}");
    println!("{why}");
    world.stop();
    took
}

/// People take the steps. Answers may take three times as long as the old side's; where so few are asked, that alone is no proof.
const STRICT: &str = "
    advance: { automatic: false, samples: 2000, parity: 90%, hold: 0s, p99: 3, window: 1s }
    compare: { confirm-after: 1ms, noise: { samples: 2 } }";
const NOBODY_ELSE: &str = "\n    retire: { reverse-shadow: false }";

#[test]
fn sf_d3_a_new_side_that_crashes_after_the_move_gives_the_traffic_back_on_both_gateways() {
    let took = goes_back(&format!("{MATCHED}{STRICT}"), "GET", World::crash);
    assert!(took < Duration::from_millis(600), "{took:?}");
}

#[test]
fn sf_d3_a_crash_after_the_move_is_seen_by_writes_alone_and_with_nothing_to_compare_with() {
    let took = goes_back(&format!("{MATCHED}{STRICT}{NOBODY_ELSE}"), "PUT", World::crash);
    assert!(took < Duration::from_millis(600), "{took:?}");
}

#[test]
fn sf_d3_a_new_side_that_hangs_gives_the_traffic_back_while_its_users_still_wait() {
    let hangs = |world: &World| world.new.hangs.store(true, Ordering::SeqCst);
    for (feature, method) in [("", "GET"), (NOBODY_ELSE, "PUT")] {
        let took = goes_back(&format!("{MATCHED}{STRICT}{feature}"), method, hangs);
        assert!(took < Duration::from_secs(1), "{method}: {took:?}");
    }
}

#[test]
fn what_one_gateway_has_learnt_of_noise_all_know_also_after_a_start_and_until_it_is_forgotten() {
    let learning = "
    stages: [compare, 50%]
    advance: { automatic: false, samples: 40 }
    compare: { confirm-after: 1ms, noise: { samples: 20, replay-old: 1% } }";
    let mut world = World::new(2, &format!("{MATCHED}{learning}"), "");
    let read = |world: &World, gateway: usize, times: usize| {
        (0..times).for_each(|_| drop(world.ask(gateway, "GET", "/checkout/noisy", &[], "")));
    };
    let noise = |world: &World| world.json(&["show", "checkout"])["noise"].clone();
    read(&world, 0, 30);
    until("what the first has learnt is in the store", || noise(&world)["replays"].as_u64() >= Some(20));
    let learnt = noise(&world);
    assert_eq!(learnt["places"][0]["place"], "$.id", "{learnt}");
    assert!(world.feature(&["show", "checkout"]).contains("$.id differs in"));
    // The second one starts, and knows it before its first comparison: it needs no replays of its own.
    world.up.pop().unwrap().stop();
    world.up.push(world.places[1].0.up().ready());
    let compared = |world: &World| {
        let says = world.check("parity")["says"].as_str().unwrap_or("").to_owned();
        let mut numbers = says.split(' ').map_while(|word| (word != "compared").then_some(word));
        let differing = numbers.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        (differing, numbers.nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0))
    };
    let before = compared(&world).1;
    read(&world, 1, 15);
    until("all are compared", || compared(&world).1 >= before + 15);
    assert_eq!(compared(&world).0, 0, "none of them differs");
    // The old system has got better, and a person says so.
    world.feature(&["forget", "checkout", "--why", "ids are stable now", "--by", "ann"]);
    until("it is forgotten", || noise(&world) == json!({ "replays": 0, "places": [] }));
    let journal = world.json(&["journal", "checkout"]);
    let last = journal.as_array().unwrap().last().unwrap();
    let why = last["why"].as_str().unwrap();
    assert!(last["who"] == "ann" && why.ends_with("is forgotten: ids are stable now"), "{journal}");
    until("the second one learns it anew, of each read", || {
        read(&world, 1, 1);
        noise(&world)["replays"].as_u64() >= Some(15)
    });
    world.stop();
}

#[test]
fn sf_d2_one_side_takes_the_writes_and_the_other_is_fed_once_with_the_same_key() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}\n    writes: {{ authority: old }}"), "");
    let headers = [("x-user", "ann"), ("idempotency-key", "order-7"), ("content-type", "application/json")];
    let reply = world.ask(0, "PUT", "/checkout/7", &headers, r#"{"total":3}"#);
    assert_eq!((reply.status, reply.header("x-system")), (200, Some("legacy")));
    until("the new side is fed", || world.new.written.lock().unwrap().contains_key("/checkout/7"));
    assert_eq!(world.new.writes.lock().unwrap().clone(), [("PUT".to_owned(), "order-7".to_owned())]);
    assert_eq!(world.new.written.lock().unwrap()["/checkout/7"], r#"{"total":3}"#);
    // After the move the new side decides, and the old one is fed.
    world.to("complete");
    until("reads are served by the new side", || world.read(0, "ann") == "orders");
    let reply = world.ask(0, "PUT", "/checkout/8", &[("x-user", "ann")], "{}");
    assert_eq!(reply.header("x-system"), Some("orders"));
    until("the old side is fed", || world.old.written.lock().unwrap().contains_key("/checkout/8"));
    // A write of which nobody knows whether it has happened is settled by whoever has looked.
    world.new.wrong.store(true, Ordering::SeqCst);
    let broken = [("x-user", "ann"), ("idempotency-key", "order-9")];
    assert_eq!(world.ask(0, "PUT", "/checkout/9", &broken, "{}").status, 500);
    assert_eq!(world.ask(0, "PUT", "/checkout/9", &broken, "{}").status, 409, "nobody knows");
    world.feature(&["settle", "checkout", "order-9", "--took"]);
    until("the old side is fed with it", || world.old.written.lock().unwrap().contains_key("/checkout/9"));
    let shown = world.json(&["show", "checkout"]);
    assert_eq!(shown["unsettled"], json!([]), "{shown}");
    world.stop();
}

#[test]
fn sf_d2_the_gate_tells_equal_writes_from_those_that_nobody_can_see_and_says_how_far_the_feed_is() {
    let by_hand = QUICK.replace("samples: 40,", "samples: 40, automatic: false, lag: 100ms,");
    let world = World::new(1, &format!("{MATCHED}{by_hand}\n    writes: {{ authority: old }}"), "");
    let put = |path: &str| {
        let reply =
            world.ask(0, "PUT", path, &[("x-user", "ann"), ("content-type", "application/json")], "{}");
        assert_eq!((reply.status, reply.header("x-system")), (200, Some("legacy")));
    };
    let says = |part: &str| {
        let check = world.check("writes");
        check["says"].as_str().is_some_and(|says| says.contains(part)) && check["verdict"] == "unknown"
    };
    (0..3).for_each(|at| put(&format!("/checkout/{at}")));
    until("they are found equal", || says("0 of 3 reconciled writes differ"));
    put("/checkout/private");
    until("what both refuse to show is no proof", || says("1 more could not be read on both sides"));
    assert!(says("0 of 3 reconciled writes differ"));
    until("the feed is not behind", || world.check("lag")["verdict"] == "pass");
    world.crash();
    put("/checkout/5");
    until("it is behind, which holds", || world.check("lag")["verdict"] == "unknown");
    assert!(world.check("lag")["says"].as_str().unwrap().contains("behind"));
    world.stop();
}

#[test]
fn a_write_that_certainly_reached_nobody_leaves_nothing_to_settle() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}\n    writes: {{ authority: new }}"), "");
    let put = |key: &str| {
        world.ask(0, "PUT", "/checkout/7", &[("x-user", "ann"), ("idempotency-key", key)], "{}").status
    };
    assert_eq!(put("order-1"), 200);
    world.crash();
    let mut at = 0;
    until("it is down", || {
        at += 1;
        put(&format!("probe-{at}")) >= 500
    });
    let tried: Vec<u16> = (0..3).map(|_| put("order-2")).collect();
    assert!(tried.iter().all(|status| [502, 503].contains(status)), "it may be sent again: {tried:?}");
    world.stop();
}

#[test]
fn a_copy_that_finds_no_place_is_dropped_and_not_held_against_the_new_side() {
    let file = "app: shop
store: 'sqlite:shop.db'
services:
  legacy: { at: 'http://127.0.0.1:7001' }
  orders: { at: 'http://127.0.0.1:7002', in-flight-max: 1 }
features:
  checkout:
    old: legacy
    new: orders
    match: '/checkout/{*rest}'
    stages: [compare, 50%]
    compare: { noise: { replay-old: 0% } }
    advance: { automatic: false }
gateway:
  listen: 127.0.0.1:8080
  routes: { '/{*rest}': legacy }
";
    let world = World::new(1, file, "");
    world.new.hangs.store(true, Ordering::SeqCst);
    assert_eq!(world.read(0, "ann"), "legacy");
    until("the one place is taken", || world.new.shadowed.load(Ordering::SeqCst) == 1);
    (0..20).for_each(|_| assert_eq!(world.read(0, "ann"), "legacy"));
    world.new.hangs.store(false, Ordering::SeqCst);
    until("the first one is compared", || {
        world.check("parity")["says"].as_str().is_some_and(|says| says.starts_with("0 of 1 "))
    });
    let errors = world.check("errors")["says"].as_str().unwrap().to_owned();
    assert!(errors.starts_with("the new side failed 0 of 1 times"), "{errors}");
    world.stop();
}

#[test]
fn what_stands_behind_an_old_translator_can_go_with_it() {
    let file = "app: shop
store: 'sqlite:shop.db'
services:
  legacy: { at: 'http://127.0.0.1:7001' }
  orders: { at: 'http://127.0.0.1:7002' }
providers:
  legacy: { timeout: 2s }
translators:
  article: { calls: { one: { ask: { provider: legacy, request: { path: /article } } } } }
features:
  catalogue: { old: article, new: orders }
gateway:
  listen: 127.0.0.1:8080
  routes:
    /articles/{sku}:
      feature: catalogue
      timeout: 2s
";
    let world = World::new(1, file, "");
    let removable = || {
        let found = world.json(&["removable"]);
        let one = |one: &Value| (one["what"].as_str().unwrap().to_owned(), one["lines"]["first"].as_u64());
        found.as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(removable(), []);
    world.feature(&["to", "catalogue", "retired", "--why", "a test"]);
    let expected = [
        ("features.catalogue", 11),
        ("gateway.routes./articles/{sku}", 15),
        ("translators.article", 9),
        ("providers.legacy", 7),
        ("services.legacy", 4),
    ];
    assert_eq!(removable(), expected.map(|(what, line)| (what.to_owned(), Some(line))));
    world.stop();
}

#[test]
fn a_client_that_goes_away_leaves_no_write_behind_of_which_nobody_knows_how_it_ended() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}\n    writes: {{ authority: old }}"), "");
    world.old.wrong.store(true, Ordering::SeqCst);
    let mut client = std::net::TcpStream::connect(("127.0.0.1", world.places[0].1)).unwrap();
    let write = "PUT /checkout/slow HTTP/1.1\r\nhost: a\r\nx-user: ann\r\nidempotency-key: order-5\r\ncontent-length: 2\r\n\r\n{}";
    client.write_all(write.as_bytes()).unwrap();
    until("the write has arrived", || world.old.asked.load(Ordering::SeqCst) == 1);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the gateway has let go of the client");
    world.old.wrong.store(false, Ordering::SeqCst);
    until("the new side is fed", || world.new.written.lock().unwrap().contains_key("/checkout/slow"));
    assert_eq!(world.json(&["show", "checkout"])["unsettled"], json!([]));
    world.stop();
}

#[test]
fn two_systems_look_like_one_login_cookies_redirects_and_links() {
    let face = "
    rewrite:
      facade: 'https://shop.example'
      old: { hosts: ['legacy.internal:8080'], mounted: /app, facade-path: /shop, bodies: true, cookies: { secure: true } }
    login:
      old: { cookie: SESSION, whose: 'legacy:/whose', issue: 'legacy:/issue' }
      new: { whose: 'orders:/whose', issue: 'orders:/issue' }";
    let world = World::new(1, &format!("{MATCHED}\n    force-key: k{QUICK}{face}"), "");
    let links = world.ask(0, "GET", "/checkout/links", &[], "");
    assert_eq!(links.header("set-cookie"), Some("sid=1; Path=/shop; HttpOnly; Secure"));
    assert_eq!(links.header("location"), Some("https://shop.example/shop/next"));
    assert_eq!(links.text(), "<a href=\"https://shop.example/app/cart\">cart</a>");
    let who = |headers: &[(&str, &str)]| world.ask(0, "GET", "/checkout/who", headers, "").text();
    let new = ("dozen-feature", "checkout=new; key=k");
    assert_eq!(who(&[new, ("cookie", "SESSION=legacy-ann")]), "orders:SESSION=legacy-ann|Bearer orders-ann");
    assert_eq!(who(&[("authorization", "Bearer orders-bob")]), "legacy:SESSION=legacy-bob|Bearer orders-bob");
    assert_eq!(
        who(&[new, ("cookie", "SESSION=stolen")]),
        "orders:SESSION=stolen|",
        "what is not valid crosses not"
    );
    world.stop();
}

#[test]
fn a_changed_file_changes_the_bounds_and_never_the_stage() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}"), "");
    world.to("50%");
    let path = world.places[0].0.file("dozen.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let write = |text: String| {
        std::fs::write(world.places[0].0.file("next"), text).unwrap();
        std::fs::rename(world.places[0].0.file("next"), &path).unwrap();
    };
    write(yaml.replace("samples: 40", "samples: 4000"));
    world.up[0].hear("the file was taken over");
    assert_eq!(world.stage(), "50%");
    write(yaml.replace("owner: team-shop", "owner: team-shop\n    stages: [shadow, compare, 10%]"));
    until("it goes down to a stage that the file allows", || world.stage() == "10%");
    world.stop();
}

#[test]
fn who_looks_at_features_changes_nothing_and_wrong_orders_are_refused_with_what_would_be_right() {
    let world = World::new(1, &format!("{MATCHED}{QUICK}"), "");
    let refused = |arguments: &[&str]| {
        let mut command = std::process::Command::new(program("dozen"));
        world.places[0].0.mark(command.arg("feature").args(arguments));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = refused(&["forward", "chekout", "--why", "x"]);
    assert!(code == Some(1) && told.contains("did you mean `checkout`?"), "{told}");
    let (code, told) = refused(&["to", "checkout", "33%", "--why", "x"]);
    assert!(code == Some(1) && told.contains("its stages are `shadow`, `compare`"), "{told}");
    let (code, told) = refused(&["back", "checkout"]);
    assert!(code == Some(2) && told.contains("--why"), "{told}");
    let list = world.feature(&["list"]);
    assert!(list.contains("checkout  shadow"), "{list}");
    world.stop();
}

/// The first example of a language in the guide.
fn example<'g>(guide: &'g str, language: &str) -> &'g str {
    guide.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap()
}

#[test]
fn the_guide_to_moves_works_as_it_stands() {
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/strangler.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let world = World::new(1, example(&guide, "yaml"), "");
    assert_eq!(world.read(0, "ann"), "legacy");
    until("the new system gets a copy", || world.new.shadowed.load(Ordering::SeqCst) > 0);
    for line in example(&guide, "sh").lines() {
        let (command, why) = line.split_once(" --why ").unwrap_or((line, ""));
        let mut arguments: Vec<&str> = command.strip_prefix("dozen feature ").unwrap().split(' ').collect();
        if !why.is_empty() {
            arguments.extend(["--why", why.trim_matches('\'')]);
        }
        println!("$ {line}\n{}", world.feature(&arguments));
    }
    assert_eq!(world.stage(), "1%");
    world.stop();
}
