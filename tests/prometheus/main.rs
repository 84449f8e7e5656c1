//! Metrics, alert rules and the Grafana dashboard, judged by Prometheus itself: Debian's package `prometheus` brings `prometheus`
//! and `promtool`.
//!
//! `cargo xtask test` installs it. Without it these tests say that they were skipped, and fail under CI.

#[path = "../support/mod.rs"]
mod support;

mod real;
mod rules;
mod scene;
mod scrape;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A file of the workspace.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("the file is there")
}

/// Whether the program is there; where it is not, that is said.
#[expect(clippy::disallowed_methods, reason = "a test asks the environment whether this is CI")]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn has(program: &str) -> bool {
    if Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "`{program}` is missing: run `cargo xtask test` once");
    eprintln!("skipped: `{program}` is missing; `cargo xtask test` installs it");
    false
}

/// Every metric that `config/METRICS.md` names.
fn documented() -> Vec<String> {
    let reference = text("config/METRICS.md");
    let names =
        reference.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()));
    names.collect()
}
