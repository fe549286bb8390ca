//! Several gateways as programs on one store: what one of them suffers, no client notices that may ask another.
//!
//! ```text
//!                 ┌─► gateway one ─┐
//! clients ────────┤   (one store)  ├──► service
//!                 └─► gateway two ─┘
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use dozen_faults::{PATIENCE, Place, Up, origin, ports};
use dozen_harness::{Asked, Load, Signal, request};

/// Two applications with one store, which differ in their ports alone.
struct Two {
    places: [Place; 2],
    gateways: [u16; 2],
    _folder: tempfile::TempDir,
}

impl Two {
    fn new() -> Self {
        let (folder, service) = (tempfile::tempdir().unwrap(), origin(|_| Some("ok".into())));
        let first = ports(4);
        let store = folder.path().join("shared.db");
        let place = |at: u16| {
            Place::new(&format!(
                r#"
app: test
store: "sqlite:{}"
registry: {{ listen: "127.0.0.1:{}" }}
console: false
api: false
services: {{ web: {{ at: "http://127.0.0.1:{service}", sidecar: false }} }}
gateway:
  listen: 127.0.0.1:{}
  routes:
    /: web
    /few: {{ to: web, limit: {{ rate: 40/1h, shared: true, sync: 20ms }} }}
"#,
                store.display(),
                first + 2 * at,
                first + 2 * at + 1,
            ))
        };
        Self { places: [place(0), place(1)], gateways: [first + 1, first + 3], _folder: folder }
    }

    fn up(&self, at: usize) -> Up {
        self.places[at].up().ready()
    }

    /// Clients that ask both, and the other one when one does not answer.
    fn load(&self) -> Load {
        let asked = Asked { ports: self.gateways.to_vec(), may_repeat: true, ..Asked::of(0, "/") };
        Load::start(&asked, 8)
    }
}

#[test]
fn gw_d1_a_crash_of_one_of_two_gateways_loses_no_request_that_a_client_may_repeat() {
    let two = Two::new();
    let (one, other) = (two.up(0), two.up(1));
    let load = two.load();
    load.passes(400);
    for _ in 0..2 {
        one.0.kill9();
        load.passes(400);
        let again = two.up(0);
        load.passes(400);
        again.0.kill9();
        load.passes(400);
    }
    let served = load.end().unwrap();
    assert!(served.answered >= 2800 && served.repeated > 0, "{served:?}");
    other.stop();
}

#[test]
fn gw_d1_reload_and_upgrade_of_one_lose_nothing_although_nobody_repeats() {
    let two = Two::new();
    let (one, other) = (two.up(0), two.up(1));
    let asked = Asked { ports: two.gateways.to_vec(), ..Asked::of(0, "/") };
    let load = Load::start(&asked, 8);
    load.passes(400);
    let file = two.places[0].file("dozen.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}    /more: web\n")).unwrap();
    one.0.signal(Signal::HUP).unwrap();
    one.hear("the file was taken over");
    load.passes(400);
    one.0.signal(Signal::USR2).unwrap();
    let line = one.hear(" has taken over;");
    assert!(one.0.wait_exit(PATIENCE).unwrap().success());
    load.passes(400);
    let served = load.end().unwrap();
    assert_eq!(served.repeated, 0, "{served:?}");
    // The heir has to be stopped by its own name: it is no child of this test.
    let heir = line.split_whitespace().skip_while(|word| *word != "process").nth(1).unwrap();
    let heir = rustix::process::Pid::from_raw(heir.parse().unwrap()).unwrap();
    rustix::process::kill_process(heir, Signal::TERM).unwrap();
    assert!(one.0.output_to_the_end(PATIENCE).unwrap().trim_end().ends_with("stopped"));
    other.stop();
}

#[test]
fn gw_d1_what_was_used_up_at_a_gateway_that_crashed_is_used_up_at_the_other() {
    let two = Two::new();
    let (one, other) = (two.up(0), two.up(1));
    // Until it refuses for longer than it goes without asking the store: refusals come from what is known by then.
    let use_up = |at: usize| {
        let url = format!("http://127.0.0.1:{}/few", two.gateways[at]);
        let (mut passed, mut refused) = (0, 0);
        while refused < 20 {
            let passes = request("GET", &url, &[], b"").unwrap().status == 200;
            passed += usize::from(passes);
            refused = if passes { 0 } else { refused + 1 };
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        passed
    };
    let before = use_up(0);
    one.0.kill9();
    let after = use_up(1);
    let again = two.up(0);
    let anew = use_up(0);
    println!("{before} passed; at the other {after}; at the one that was started anew {anew}");
    // Each for itself would let 40 pass. Together they may pass 2 x 40 beyond the limit before they know of each other.
    assert!(before >= 40 && after < 40 && anew < 40, "{before}, {after}, {anew}");
    assert!(before + after + anew <= 40 + 2 * 40, "{before}, {after}, {anew}");
    again.stop();
    other.stop();
}
