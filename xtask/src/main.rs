//! The project's own commands: `cargo xtask VERB`.
//!
//! | verb | what it does |
//! |---|---|
//! | `shop` | builds everything and runs the example shop |
//! | `test` | installs what the tests need and is missing, then runs all of them |
//! | `ci` | reads only: format, lints, arrows between crates, licences and bans, all tests |
//! | `fix` | rewrites: format, and what the lints can mend by themselves |
//! | `bench SUITE` | measures side by side with real peers |

mod arrows;
mod install;
mod run;

use std::env;
use std::process::ExitCode;

use run::{Step, cargo, step};

const HELP: &str = "\
usage: cargo xtask VERB

  shop [FILE]   build everything and run the example shop (or another file) with `dozen up`
  test [ARGS]   install what the tests need and is missing, then run all tests; ARGS go to `cargo test`
  ci            read only: format, lints, arrows, licences and bans, all tests
  fix           rewrite: format, and what the lints can mend by themselves
  bench SUITE   measure side by side with real peers: `foundation`, `messages` or `edge`, with `--only NAME --rounds N`
";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let result = match verb.as_str() {
        "shop" => shop(&rest),
        "test" => test(&rest),
        "ci" => ci(),
        "fix" => fix(),
        "bench" => bench(&rest),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprint!("`{other}` is no verb of xtask\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nxtask {verb}: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds `dozen` and the shop's programs, with `words` on top.
fn build(words: &[&str]) -> Step {
    let programs = ["dozen", "shop-orders", "shop-stock", "shop-invoices", "shop-catalogue"];
    let mut all = vec!["build"];
    all.extend(programs.iter().flat_map(|program| ["-p", program]));
    all.extend(words);
    step("build", cargo(&all))
}

/// Builds the shop's programs and hands over to `dozen up`.
fn shop(rest: &[String]) -> Step {
    let file = rest.first().map_or("examples/shop/dozen.yaml", String::as_str);
    build(&["--release"])?;
    let programs = run::target_folder()?.join("release");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(programs.clone()).chain(env::split_paths(&path)))
        .map_err(|error| format!("cannot extend PATH: {error}"))?;
    // The shop's file names its programs by their bare names; this is where they are.
    let mut up = std::process::Command::new(programs.join("dozen"));
    up.args(["up", file]).env("PATH", path);
    run::replace(up)
}

fn test(rest: &[String]) -> Step {
    install::for_tests()?;
    // Tests of whole programs start these.
    build(&[])?;
    let mut words = vec!["test", "--workspace", "--all-targets", "--no-fail-fast"];
    words.extend(FEATURES);
    words.extend(rest.iter().map(String::as_str));
    step("test", cargo(&words))?;
    if !rest.is_empty() {
        return Ok(());
    }
    // The same program on another engine: not a line of these tests differs.
    let mut again = cargo(&["test", "-p", "dozen-mission", "--no-fail-fast"]);
    again
        .args(ON_EVERY_ENGINE.iter().flat_map(|pattern| ["--test", pattern]))
        .env("DOZEN_ENGINE", "postgres");
    step("test on PostgreSQL", again)
}

/// What users may leave out, and tests do not.
const FEATURES: [&str; 2] = ["--features", "dozen/acme"];

/// The patterns whose tests of the mission run on each engine that stores messages.
const ON_EVERY_ENGINE: [&str; 3] = ["queue", "pubsub", "outbox"];

fn ci() -> Step {
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    arrows::check()?;
    install::deny()?;
    // Not `advisories`: that database changes by itself, and a build should not.
    step("deny", cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    let mut lints = vec!["clippy", "--workspace", "--all-targets"];
    lints.extend(FEATURES);
    lints.extend(["--", "-D", "warnings"]);
    step("lints", cargo(&lints))?;
    test(&[])
}

fn fix() -> Step {
    step(
        "lints",
        cargo(&["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"]),
    )?;
    step("format", cargo(&["fmt", "--all"]))
}

fn bench(rest: &[String]) -> Step {
    let Some(suite) = rest.first() else {
        return Err("name a suite: `cargo xtask bench foundation`, `messages` or `edge`".into());
    };
    install::for_benches(suite)?;
    build(&["--release", "-p", "dozen-bench"])?;
    let mut words = vec!["run", "--release", "--quiet", "-p", "dozen-bench", "--"];
    words.extend(rest.iter().map(String::as_str));
    step("bench", cargo(&words))
}
