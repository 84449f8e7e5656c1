//! The import directions between crates that ARCHITECTURE.md draws, held over `cargo metadata`.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Crate → the crates of ours it may import, whatever the kind of dependency.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("orgpipe-measure", &[]),
    ("orgpipe-reconcile", &[]),
    ("orgpipe-salesforce", &[]),
    ("orgpipe-store", &["orgpipe-measure"]),
    ("orgpipe-simulator", &[]),
    ("orgpipe-actors", &["orgpipe-measure", "orgpipe-reconcile", "orgpipe-salesforce", "orgpipe-store"]),
    (
        "orgpipe",
        &["orgpipe-actors", "orgpipe-reconcile", "orgpipe-salesforce", "orgpipe-simulator", "orgpipe-store"],
    ),
    ("xtask", &[]),
];

/// Crates that a pure or low crate must never depend on.
const NEVER: &[(&str, &[&str])] = &[
    ("orgpipe-measure", &["actix", "actix-rt", "tokio", "reqwest", "sled", "prometheus-client"]),
    ("orgpipe-reconcile", &["actix", "actix-rt", "tokio", "reqwest", "sled"]),
    ("orgpipe-store", &["reqwest", "actix"]),
];

pub(crate) fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let name = |value: &Value| value["name"].as_str().expect("a package has a name").to_owned();
    metadata["packages"]
        .as_array()
        .expect("a workspace has packages")
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("a list");
            (name(package), all.iter().map(name).collect())
        })
        .collect()
}

#[test]
fn crates_import_only_in_the_drawn_direction() {
    for (package, imports) in dependencies() {
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == package)
            .unwrap_or_else(|| panic!("`{package}` is new: say in tests/tidy/crates.rs what it may import"));
        let ours = imports.iter().filter(|import| MAY_IMPORT.iter().any(|(name, _)| name == import));
        for import in ours {
            assert!(allowed.contains(&import.as_str()), "`{package}` must not import `{import}`");
        }
    }
}

#[test]
fn pure_crates_stay_pure() {
    let imports = dependencies();
    for (package, never) in NEVER {
        for import in &imports[*package] {
            assert!(!never.contains(&import.as_str()), "`{package}` must not depend on `{import}`");
        }
    }
}
