//! What others on this machine may do with what is ours alone.
//!
//! Here: the data directory and the vault key. Not here: files with secrets that the operator has made (`credential`).
//!
//! It is told and not changed: who gave others these rights may have meant it, and a directory that was there before us may
//! not be ours alone. The database in it is, and is shut to others at each start (`orgpipe_store`).

use std::path::Path;

use orgpipe_actors::settings::VaultKey;

use crate::config::{report::Report, secrets::Environment, tables::ServiceTable};

/// Warns of what is there and open to others.
pub(super) fn warn_if_open(
    table: Option<&ServiceTable<'_>>,
    data_dir: &Path,
    vault_key: Option<&VaultKey>,
    environment: &Environment,
    report: &mut Report<'_>,
) {
    let header = table.map_or(1, |table| table.section.line);
    let line = |written: Option<usize>| written.unwrap_or(header);
    let dir_line = table.and_then(|table| table.data_dir.as_ref()).map(|written| written.line);
    warn(report, environment, line(dir_line), "the data directory", data_dir, 0o700);
    if let Some(VaultKey::File(path)) = vault_key {
        let key_line = table.and_then(|table| table.vault_key_file.as_ref()).map(|written| written.line);
        warn(report, environment, line(key_line), "the vault key", path, 0o600);
    }
}

fn warn(
    report: &mut Report<'_>,
    environment: &Environment,
    line: usize,
    what: &str,
    path: &Path,
    right: u32,
) {
    if let Some(mode) = environment.mode_for_others(path) {
        let path = path.display();
        report.warn(
            line,
            format!("{what}, `{path}`, is open to others on this machine (mode {mode:o})"),
            format!("Run `chmod {right:o} {path}` as the user that runs orgpipe."),
        );
    }
}
