//! What the mission wants measured is measured: each figure comes out of the suite, beside its target and its peers. How good it
//! is stands in `docs/benchmarks.md`; a test, which runs beside others and without optimization, could not tell.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::process::Command;

/// The lines that a measurement prints, `bar NAME measured=… target=… ok|short`, as name and what was measured.
fn measured(only: &str) -> Vec<(String, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen-bench"));
    let done = command.args(["edge", "--rounds", "1", "--only", only]).output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    let bars = told.lines().filter_map(|line| line.strip_prefix("bar "));
    let bars = bars.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, measured, target, verdict] = words[..] else { panic!("{line}") };
        assert!(target.starts_with("target=") && ["ok", "short"].contains(&verdict), "{line}");
        let measured = measured.strip_prefix("measured=").unwrap();
        let number: String =
            measured.chars().take_while(|letter| !letter.is_alphabetic() && *letter != 'µ').collect();
        assert!(number.trim_end_matches('%').parse::<f64>().unwrap().is_finite(), "{line}");
        (name.to_owned(), measured.to_owned())
    });
    bars.collect()
}

fn names(measured: &[(String, String)]) -> Vec<&str> {
    measured.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn gw_d2_requests_per_cpu_second_are_measured_against_nginx_haproxy_and_envoy() {
    let found = measured("edge.plain-1k-32");
    assert_eq!(names(&found), ["edge.plain-1k-32.per-cpu-second"]);
    let peer = found[0].1.split(['(', ')']).nth(1).unwrap();
    assert!(["nginx", "haproxy", "envoy"].contains(&peer), "the best of them is named: {peer}");
}

#[test]
fn gw_d3_the_added_latency_is_measured_at_a_fixed_rate_against_a_bound() {
    assert_eq!(names(&measured("edge.latency")), ["edge.latency.p50", "edge.latency.p99"]);
}

#[test]
fn ac_d2_what_a_translation_costs_is_measured_against_a_bound() {
    assert_eq!(names(&measured("edge.translation")), ["edge.translation.json", "edge.translation.xml"]);
}
