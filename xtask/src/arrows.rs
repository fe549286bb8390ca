//! Who may depend on whom: the arrows of the architecture, checked against what cargo knows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::{cargo, output};

/// The folders at the root, and the folders whose crates each may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("foundation", &["foundation"]),
    ("engines", &["foundation", "engines"]),
    ("patterns", &["foundation"]),
    ("apps", &["foundation", "patterns", "engines", "apps"]),
    ("testkit", &["foundation"]),
    ("tests", &["foundation", "patterns", "engines", "apps", "testkit"]),
    ("bench", &["foundation", "patterns", "engines", "testkit"]),
    ("examples", &["foundation", "patterns", "engines", "examples"]),
    ("fuzz", &["foundation", "patterns", "engines", "apps"]),
    ("xtask", &[]),
];

/// Crates that only these may name: a driver belongs to its engine, a parser to the data plane.
const ONLY_BY: &[(&str, &[&str])] = &[
    ("rusqlite", &["dozen-sqlite", "dozen-query", "dozen-transactions", "dozen-bench"]),
    ("tokio-postgres", &["dozen-postgres", "dozen-query", "dozen-transactions", "dozen-bench"]),
    ("tokio-postgres-rustls", &["dozen-postgres"]),
    ("sqlx", &["dozen-transactions"]),
    ("httparse", &["dozen-dataplane"]),
    ("cel", &["dozen-expression"]),
    ("jsonschema", &["dozen-schema"]),
    ("quick-xml", &["dozen-mapping"]),
    ("jaq-core", &["dozen-mapping"]),
    ("rustls", &["dozen-dataplane", "dozen-postgres"]),
    ("tracing-subscriber", &["dozen"]),
    ("clap", &["dozen", "dozen-bench"]),
];

/// What `core` must never see: it does no I/O.
const NOT_IN_CORE: &[&str] = &["tokio", "hyper", "rusqlite", "dozen-store"];

/// Fails with every arrow that points the wrong way.
pub(crate) fn check() -> Result<(), String> {
    let metadata = output(cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let root = metadata["workspace_root"].as_str().unwrap_or("");
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let folder_of = |package: &Value| {
        let path = package["manifest_path"].as_str().unwrap_or("").strip_prefix(root).unwrap_or("");
        path.trim_start_matches('/').split('/').next().unwrap_or("").to_owned()
    };
    let name_of = |package: &Value| package["name"].as_str().unwrap_or("").to_owned();
    let folders: BTreeMap<String, String> =
        packages.iter().map(|package| (name_of(package), folder_of(package))).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let (name, folder) = (name_of(package), folder_of(package));
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(from, _)| *from == folder) else {
            wrong.push(format!("{name}: the folder `{folder}` has no place in the architecture"));
            continue;
        };
        for dependency in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let on = dependency["name"].as_str().unwrap_or("");
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if let Some(to) = folders.get(on) {
                // Tests may use any engine, and each other's helpers.
                if !for_tests && !allowed.contains(&to.as_str()) {
                    wrong.push(format!("{name} ({folder}) depends on {on} ({to})"));
                }
                if folder == "patterns" && to == "patterns" && !for_tests {
                    wrong.push(format!(
                        "{name} depends on {on}: patterns meet through data, not through each other"
                    ));
                }
            }
            if let Some((_, owners)) = ONLY_BY.iter().find(|(driver, _)| *driver == on)
                && !owners.contains(&name.as_str())
                && !for_tests
            {
                wrong.push(format!("{name} names {on}, which belongs to {}", owners.join(", ")));
            }
            if name == "dozen-core" && NOT_IN_CORE.contains(&on) {
                wrong.push(format!("dozen-core depends on {on}"));
            }
            let (store, http) = ("dozen-store", "dozen-dataplane");
            if (name == http && on == store) || (name == store && matches!(on, "http" | "dozen-dataplane")) {
                wrong.push(format!("{name} depends on {on}: the store and HTTP know nothing of each other"));
            }
        }
    }
    if wrong.is_empty() {
        eprintln!("── arrows: {} crates, all point down", packages.len());
        return Ok(());
    }
    Err(format!("arrows point the wrong way:\n  {}", wrong.join("\n  ")))
}
