//! What must not be said: secrets and values of records in the transcripts of a test run.
//!
//! Each process of `orgpipe` that a test starts writes two files (`src/transcript.rs`): `.out` with its command line and
//! what it printed, `.log` with a log of everything. The simulator's secrets have forms of their own and the records of the
//! tests have names of their own, so they are found whatever test they come from.
//!
//! Here: what is looked for, and the few places where it belongs. Not here: making the files.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use regex_lite::Regex;

/// Where the transcripts of a run are, from the root of the workspace.
const FOLDER: &str = "target/transcripts";
/// The variable by which the processes know it.
pub(crate) const VARIABLE: &str = "ORGPIPE_TEST_TRANSCRIPTS";
/// Findings that are printed; the rest is counted.
const SHOWN_MAX: usize = 50;
/// So much of a line is shown around a finding.
const SHOWN_CHARS: usize = 60;

/// What a pattern finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Secret,
    /// A token of the admin API.
    AdminToken,
    /// A value of a record.
    Value,
}

/// Name, kind, and regular expression. Secrets of the simulator: `crates/simulator/src/org`; records: `tests/support`.
const PATTERNS: &[(&str, Kind, &str)] = &[
    ("a consumer secret", Kind::Secret, "simulated-consumer-secret"),
    ("a password", Kind::Secret, "simulated-password"),
    ("a refresh token", Kind::Secret, r"5Aep861[\w.-]{8,}"),
    ("an access token", Kind::Secret, r"00D\w{12}(!|%21)AQ\."),
    ("an authorization code", Kind::Secret, r"aPrx[\w.-]{8,}(==|%3D%3D)"),
    ("a private key", Kind::Secret, "PRIVATE KEY-----|MII[A-Za-z0-9+/]{60,}"),
    ("a signed assertion", Kind::Secret, r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}"),
    ("a vault key", Kind::Secret, r"(^|[^A-Za-z0-9+/])[A-Za-z0-9+/]{43}=($|[^=])"),
    ("an admin token", Kind::AdminToken, r"op_[\w-]{20,}"),
    ("a record's name", Kind::Value, r"Company \d"),
    ("a record's web site", Kind::Value, r"company\d+\.example"),
    ("a value of your API's", Kind::Value, "Software|Whale watching"),
    // As sled shows bytes: `Company`, `company`, `Software`.
    (
        "a value, as bytes",
        Kind::Value,
        "(67|99), 111, 109, 112, 97, 110, 121|83, 111, 102, 116, 119, 97, 114, 101",
    ),
];

/// Something that was said and must not be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: PathBuf,
    /// Counted from 1.
    line: usize,
    what: &'static str,
    around: String,
}

/// An empty folder for the transcripts of a run, as an absolute path.
pub(crate) fn folder() -> io::Result<PathBuf> {
    match fs::remove_dir_all(FOLDER) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(FOLDER)?;
    fs::canonicalize(FOLDER)
}

/// Whether the transcripts in this folder have no secret and no value in them, and are transcripts at all.
pub(crate) fn check(folder: &Path) -> bool {
    println!("── secrets and records' values in what was said: {}", folder.display());
    let found = match find(folder) {
        Ok(found) => found,
        Err(problem) => {
            eprintln!("the transcripts cannot be judged: {problem}");
            return false;
        }
    };
    for Finding { file, line, what, around } in found.iter().take(SHOWN_MAX) {
        eprintln!("{}:{line}: {what}: {around}", file.display());
    }
    if !found.is_empty() {
        eprintln!("{} times something was said that no log and no message may say.", found.len());
    }
    found.is_empty()
}

/// All findings, by file and line.
fn find(folder: &Path) -> Result<Vec<Finding>, String> {
    let told = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let patterns: Vec<(&str, Kind, Regex)> = PATTERNS
        .iter()
        .map(|(what, kind, text)| {
            (*what, *kind, Regex::new(text).expect("the table's expressions are right"))
        })
        .collect();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| told(folder, error))? {
        files.push(entry.map_err(|error| told(folder, error))?.path());
    }
    files.sort();
    let (mut found, mut traced) = (Vec::new(), false);
    for file in &files {
        let printed = file.extension() == Some(OsStr::new("out"));
        let mut lines = BufReader::new(File::open(file).map_err(|error| told(file, error))?);
        let (mut command, mut bytes, mut number) = (String::new(), Vec::new(), 0);
        while lines.read_until(b'\n', &mut bytes).map_err(|error| told(file, error))? > 0 {
            number += 1;
            let line = String::from_utf8_lossy(&bytes).into_owned();
            bytes.clear();
            if printed && number == 1 {
                command.clone_from(&line);
            }
            traced |= !printed && line.contains(" TRACE ") && line.contains("orgpipe");
            for (what, kind, pattern) in &patterns {
                let Some(here) = pattern.find(&line) else { continue };
                if !(printed && belongs(*kind, &command, &line)) {
                    let around = around(&line, here.start());
                    found.push(Finding { file: file.clone(), line: number, what, around });
                }
            }
        }
    }
    if traced { Ok(found) } else { Err("no process of orgpipe has logged at `trace` there".to_owned()) }
}

/// Whether whoever gave this command has asked to be shown that.
fn belongs(kind: Kind, command: &str, line: &str) -> bool {
    let is = |words: &str| command.starts_with(&format!("$ orgpipe {words}"));
    match kind {
        // A link to connect by is made for whoever asks for it.
        Kind::Secret => is("orgs invite") && line.starts_with("http") && line.contains("/connect/"),
        // The first one is told once; one that is added, to whoever adds it.
        Kind::AdminToken => {
            (is("run") || is("demo") || is("tokens reset")) && line.starts_with("open http") || is("tokens")
        }
        Kind::Value => is("dead-letters show") && command.contains("--values") || is("preview"),
    }
}

/// A part of a line.
fn around(line: &str, at: usize) -> String {
    let before: Vec<char> = line[..at].chars().rev().take(SHOWN_CHARS).collect();
    before.into_iter().rev().chain(line[at..].chars().take(SHOWN_CHARS)).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "2026-03-01T12:00:00Z TRACE orgpipe_actors::x: nothing\n";

    /// What is found in a folder with these files beside a log without anything.
    fn found(name: &str, files: &[(&str, &str)]) -> Result<Vec<(String, usize, &'static str)>, String> {
        let folder = std::env::temp_dir().join(format!("orgpipe-leaks-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("written");
        }
        let found = find(&folder);
        fs::remove_dir_all(&folder).expect("removed");
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        found.map(|found| found.iter().map(|one| (name(&one.file), one.line, one.what)).collect())
    }

    #[test]
    fn each_planted_leak_is_found_with_its_file_and_line() {
        let key = format!("key={}=", "aZ3+".repeat(11).split_at(43).0);
        let leaks = [
            ("a consumer secret", "client_secret=simulated-consumer-secret-0001"),
            ("a password", "pw simulated-password-1"),
            ("a refresh token", r#"Grant { token: "5Aep861aB.c-d_e12345" }"#),
            ("an access token", "authorization: Bearer 00D000000000001!AQ.x"),
            ("an access token", "sid=00D000000000001%21AQ.x"),
            ("an authorization code", "/oauth/callback?code=aPrx0123456789%3D%3D&state=x"),
            ("a private key", "-----BEGIN RSA PRIVATE KEY-----"),
            ("a signed assertion", "assertion=eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIzTVZHOSJ9.x"),
            ("a vault key", key.as_str()),
            ("an admin token", "token op_0123456789abcdefghij"),
            ("a record's name", r#"{"Name":"Company 7"}"#),
            ("a record's web site", "domain=company12.example"),
            ("a value of your API's", r#"Industry__c: String("Software")"#),
            ("a value, as bytes", "[1, 99, 111, 109, 112, 97, 110, 121, 49]"),
        ];
        for (name, _, _) in PATTERNS {
            assert!(leaks.iter().any(|(leak, _)| leak == name), "{name} is not planted");
        }
        for (n, (what, line)) in leaks.iter().enumerate() {
            let text = format!("{QUIET}2026-03-01T12:00:00Z DEBUG orgpipe: {line}\n");
            let expected = Ok(vec![("7.0.log".to_owned(), 2, *what)]);
            assert_eq!(found(&format!("leak-{n}"), &[("7.0.log", &text)]), expected, "{line}");
        }
    }

    #[test]
    fn what_was_asked_for_is_no_leak_and_in_a_log_it_is_always_one() {
        let open = "open http://127.0.0.1:1/login?token=op_0123456789abcdefghij\n";
        let value = "domain: company1.example\n";
        let link = "http://127.0.0.1:1/connect/eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY21lIn0.abc_def-0123456789\n";
        for (n, (command, text, leaks)) in [
            ("run --config x", open, false),
            ("run --config x", &open[5..], true),
            ("check", open, true),
            ("tokens add jo", "op_0123456789abcdefghij\n", false),
            ("dead-letters show acme 7 --values", value, false),
            ("dead-letters show acme 7", value, true),
            ("preview acme --sync accounts", value, false),
            ("explain acme 001", value, true),
            ("orgs invite acme", link, false),
            ("orgs list", link, true),
        ]
        .into_iter()
        .enumerate()
        {
            let out = format!("$ orgpipe {command}\n{text}");
            let files = [("1.0.log", QUIET), ("1.0.out", out.as_str())];
            assert_eq!(
                found(&format!("out-{n}"), &files).map(|found| found.len()),
                Ok(usize::from(leaks)),
                "{out}"
            );
            let log = format!("{QUIET}{text}");
            let files = [("1.0.log", log.as_str()), ("1.0.out", &out[..out.len() - text.len()])];
            assert_eq!(found(&format!("log-{n}"), &files).map(|found| found.len()), Ok(1), "{log}");
        }
    }

    #[test]
    fn where_nothing_was_logged_nothing_is_proved() {
        assert!(found("none", &[]).is_err());
        assert!(found("warn", &[("1.0.log", "2026-03-01T12:00:00Z  WARN orgpipe: x\n")]).is_err());
    }
}
