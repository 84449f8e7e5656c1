//! `cargo xtask test`: everything that must hold before a change lands, in one command.
//!
//! Here: the order of the checks, and what they need on a fresh machine. Not here: the checks themselves.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a build tool talks to the terminal")]

mod deny;
mod leaks;
mod step;
mod vendor;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::step::{Step, run, run_with};

const CHECKS: &[Step] = &[
    Step { name: "formatting", command: &["cargo", "fmt", "--all", "--check"], env: &[] },
    Step {
        name: "lints",
        command: &["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        env: &[],
    },
];

const NEXTEST: Step = Step {
    name: "tests",
    command: &["cargo", "nextest", "run", "--workspace", "--locked", "--no-fail-fast"],
    env: &[],
};

const CARGO_TEST: Step = Step {
    name: "tests",
    command: &["cargo", "test", "--workspace", "--locked", "--no-fail-fast"],
    env: &[],
};

const DOCS: Step = Step {
    name: "documentation",
    command: &["cargo", "doc", "--workspace", "--no-deps", "--document-private-items", "--locked"],
    env: &[("RUSTDOCFLAGS", "-D warnings")],
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => return test(),
        ["vendor"] => return if vendor::fetch() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        ["leaks", folder] => {
            return if leaks::check(Path::new(folder)) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        _ => {}
    }
    eprintln!("usage: cargo xtask test | vendor | leaks FOLDER");
    ExitCode::from(2)
}

/// The real JavaScript clients that judge the simulator, and where their test looks for them.
const JUDGES: &str = "crates/simulator/judges";

const INSTALL_JUDGES: Step = Step {
    name: "JavaScript clients",
    command: &["npm", "ci", "--prefix", JUDGES, "--no-audit", "--no-fund", "--loglevel=error"],
    env: &[],
};

/// The checks of the package that customers install; they bring Java, Python and ShellCheck themselves.
const PACKAGE_CHECKS: &str = "salesforce-package/checks";

const INSTALL_PACKAGE_CHECKS: Step = Step {
    name: "checks of the Salesforce package",
    command: &["npm", "ci", "--prefix", PACKAGE_CHECKS, "--no-audit", "--no-fund", "--loglevel=error"],
    env: &[],
};

/// What judges the pages in the browser's tests.
const BROWSER_JUDGES: &str = "tests/browser";

const INSTALL_BROWSER_JUDGES: Step = Step {
    name: "judges of pages",
    command: &["npm", "ci", "--prefix", BROWSER_JUDGES, "--no-audit", "--no-fund", "--loglevel=error"],
    env: &[],
};

const PACKAGE: &[Step] = &[
    Step {
        name: "Salesforce package",
        command: &["npm", "run", "check", "--prefix", PACKAGE_CHECKS],
        env: &[],
    },
    Step {
        name: "planted defects in the Salesforce package",
        command: &["npm", "test", "--prefix", PACKAGE_CHECKS],
        env: &[],
    },
];

const INSTALL_NPM: Step = Step {
    name: "Node.js",
    command: &["sh", "-c", "apt-get update -qq && apt-get install -y -qq nodejs npm"],
    env: &[("DEBIAN_FRONTEND", "noninteractive")],
};

/// The browser that the tests in `tests/browser` drive, and what drives it.
const BROWSER: [&str; 2] = ["chromium", "chromedriver"];

const INSTALL_BROWSER: Step = Step {
    name: "browser",
    command: &["sh", "-c", INSTALL_BROWSER_SCRIPT],
    env: &[("DEBIAN_FRONTEND", "noninteractive")],
};

/// As root, or by sudo where it asks for no password.
const INSTALL_BROWSER_SCRIPT: &str = "if [ \"$(id -u)\" != 0 ]; then as='sudo -n'; fi; \
    $as apt-get update -qq && $as apt-get install -y -qq --no-install-recommends chromium chromium-driver";

/// Brings the browser, without which its tests fail.
fn set_up_browser() -> bool {
    if BROWSER.into_iter().all(has) || has("apt-get") && run(&INSTALL_BROWSER) && BROWSER.into_iter().all(has)
    {
        return true;
    }
    eprintln!(
        "The tests in tests/browser need `chromium` and `chromedriver`, and they could not be installed: run \
         `apt-get install chromium chromium-driver` as root, or bring them in another way."
    );
    false
}

/// The Prometheus that judges metrics, rules and the dashboard in `tests/prometheus`.
const PROMETHEUS: [&str; 2] = ["prometheus", "promtool"];

const INSTALL_PROMETHEUS: Step = Step {
    name: "Prometheus",
    command: &["sh", "-c", INSTALL_PROMETHEUS_SCRIPT],
    env: &[("DEBIAN_FRONTEND", "noninteractive")],
};

/// Debian's package starts a server of its own where there is systemd; the tests start theirs at other ports.
const INSTALL_PROMETHEUS_SCRIPT: &str = "if [ \"$(id -u)\" != 0 ]; then as='sudo -n'; fi; \
    $as apt-get update -qq && $as apt-get install -y -qq --no-install-recommends prometheus";

/// Brings it; without it its tests say that they were skipped, and fail under CI.
fn set_up_prometheus() {
    let is_there = || PROMETHEUS.into_iter().all(has);
    if !is_there() && has("apt-get") {
        run(&INSTALL_PROMETHEUS);
    }
    if !is_there() {
        eprintln!(
            "Prometheus could not be installed: run `apt-get install prometheus` as root, or bring `prometheus` and `promtool` \
             in another way."
        );
    }
}

/// What holds the admin API against its contract, beside its test: the last that came to it.
const CONTRACT_JUDGE: &str = "tests/hostile/.venv/bin/openapi-spec-validator";

const INSTALL_CONTRACT_JUDGE: Step = Step {
    name: "Schemathesis",
    command: &["sh", "-c", INSTALL_CONTRACT_JUDGE_SCRIPT],
    env: &[("PIP_DISABLE_PIP_VERSION_CHECK", "1"), ("DEBIAN_FRONTEND", "noninteractive")],
};

/// A folder that was begun and not finished is begun anew. Debian has `venv` in a package of its own.
const INSTALL_CONTRACT_JUDGE_SCRIPT: &str = "if [ \"$(id -u)\" != 0 ]; then as='sudo -n'; fi; \
    make='python3 -m venv --clear tests/hostile/.venv'; \
    { $make || { $as apt-get update -qq && $as apt-get install -y -qq python3 python3-venv && $make; }; } && \
    tests/hostile/.venv/bin/pip install --quiet --requirement tests/hostile/requirements.txt";

/// Brings it; without it its test says that it was skipped, and fails under CI.
fn set_up_contract_judge() {
    if !has(CONTRACT_JUDGE) && !run(&INSTALL_CONTRACT_JUDGE) {
        eprintln!(
            "Schemathesis could not be installed: it takes Python 3.10 or later with `venv` (python3-venv)."
        );
    }
}

/// Brings what the tests need and the machine lacks. Without Node.js the judges' test says that it was skipped,
/// and fails under CI.
fn set_up() -> bool {
    if !has("npm") && has("apt-get") && !run(&INSTALL_NPM) {
        eprintln!(
            "Node.js could not be installed: run this as root once, or install nodejs and npm yourself."
        );
    }
    if !set_up_browser() {
        return false;
    }
    set_up_contract_judge();
    set_up_prometheus();
    // What npm has installed says from when it is; with other versions asked for since, it is installed again.
    let changed = |path: PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let installed = |folder: &str| {
        let folder = Path::new(folder);
        let has = changed(folder.join("node_modules/.package-lock.json"));
        has.is_some() && has >= changed(folder.join("package-lock.json"))
    };
    let missing = [
        (JUDGES, &INSTALL_JUDGES),
        (PACKAGE_CHECKS, &INSTALL_PACKAGE_CHECKS),
        (BROWSER_JUDGES, &INSTALL_BROWSER_JUDGES),
    ];
    !has("npm") || missing.into_iter().all(|(folder, install)| installed(folder) || run(install))
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn test() -> ExitCode {
    if !set_up() {
        return ExitCode::FAILURE;
    }
    // Without npm the tests say what they skip, and fail under CI.
    if has("npm") && !PACKAGE.iter().all(run) {
        return ExitCode::FAILURE;
    }
    if !CHECKS.iter().chain([&DOCS]).all(run) || !deny::check() {
        return ExitCode::FAILURE;
    }
    // Tests come last, so that the run closes on what they counted.
    let tests = if has_nextest() { NEXTEST } else { CARGO_TEST };
    let transcripts = match leaks::folder() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("there is no folder for what the tests' processes say: {error}");
            return ExitCode::FAILURE;
        }
    };
    let passed = run_with(&tests, &[(leaks::VARIABLE, transcripts.as_os_str())]);
    // A test that failed may have said too much as well.
    let quiet = leaks::check(&transcripts);
    if passed && quiet { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn has_nextest() -> bool {
    Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}
