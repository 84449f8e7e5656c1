//! The command line: what is printed where, and with which exit code.

use std::process::{Command, Output, Stdio};

const ONE_ORG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/one-org.toml");

fn orgpipe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orgpipe"));
    command.args(args).env_clear().current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    told(&orgpipe(args).output().expect("the program starts"))
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_names_every_command() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for command in [
        "run",
        "check",
        "refresh",
        "limits",
        "explain",
        "org",
        "dead-letters",
        "store",
        "vault",
        "demo",
        "simulate",
    ] {
        assert!(out.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {out}");
        let (code, help, _) = run(&[command, "--help"]);
        assert_eq!(code, Some(0), "{command}");
        assert!(help.contains(&format!("Usage: orgpipe {command}")), "{help}");
    }
    assert!(
        out.contains("Exit codes: 0 done, 1 failed, 2 settings or arguments are wrong, 70 a bug"),
        "{out}"
    );
}

#[test]
fn the_version_is_the_package_s() {
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out), (Some(0), format!("orgpipe {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_arguments_are_explained() {
    for (args, expected) in [
        (&["chekc"][..], "a similar subcommand exists: 'check'"),
        (&[], "Usage: orgpipe"),
        (&["refresh"], "<ORG>"),
        (&["org", "replay", "acme", "--from", "-2"], "unexpected argument '-2'"),
        (&["org", "replay", "acme", "--from", "first"], "write `earliest`, `latest` or a replay ID"),
        (&["dead-letters", "retry", "acme"], "<NUMBER>"),
        (&["dead-letters", "discard", "acme", "7", "--all"], "cannot be used with"),
        (&["demo", "--orgs", "0"], "0 is not in 1..=200"),
        (&["demo", "--events-per-second", "0"], "write a number from 0.1 to 10000"),
        (&["demo", "--listen", "8787"], "invalid socket address"),
        (&["simulate", "--time-scale", "NaN"], "write a number from 0.1 to 1000"),
        (&["check", "--log", "orgpipe=loud"], "write a level such as `info`"),
        (&["check", "--log-format", "xml"], "[possible values: text, json]"),
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn settings_that_are_not_there_are_named() {
    for command in [&["check", "--config", "nowhere.toml"][..], &["run", "--config", "nowhere.toml"]] {
        let (code, out, err) = run(command);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{command:?}: {err}");
        assert!(err.starts_with("nowhere.toml: the settings cannot be read: "), "{err}");
        assert!(err.contains("Name the file with `--config FILE`"), "{err}");
    }
}

#[test]
fn the_settings_can_be_named_by_the_environment() {
    let output =
        orgpipe(&["check", "--offline"]).env("ORGPIPE_CONFIG", ONE_ORG).output().expect("the program starts");
    let (code, _, err) = told(&output);
    assert_eq!(code, Some(2));
    for problem in ["`SOURCE_TOKEN`, which is not set", "`SF_CLIENT_ID`, which is not set", "secrets/jwt.key"]
    {
        assert!(err.contains(problem), "{problem}: {err}");
    }
    assert!(err.ends_with(": 3 problems; nothing was started\n"), "{err}");
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let mut child = orgpipe(&["check", "--offline", "--config", ONE_ORG])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
}
