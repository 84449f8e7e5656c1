//! `vault_key_env` and `vault_key_file`: the key that seals secrets in the data directory.
//!
//! Here: which of the two. Not here: reading the variable (`secrets`), reading or making the file (`orgpipe_actors::sealing`).

use std::path::{Path, PathBuf};

use orgpipe_actors::settings::VaultKey;

use crate::config::{
    report::Report,
    secrets::{Environment, SecretProblem},
    tables::ServiceTable,
};

/// The file unless the settings say otherwise: beside the data directory, so that no copy of that one has it.
fn beside(data_dir: &Path) -> PathBuf {
    let mut name = data_dir.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Where the key comes from.
pub(super) fn vault_key(
    table: Option<&ServiceTable<'_>>,
    data_dir: &Path,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<VaultKey> {
    let Some(table) = table else { return Some(VaultKey::File(beside(data_dir))) };
    let section = &table.section;
    let by_variable = table.vault_key_env.as_ref().filter(|written| !written.value.is_empty());
    match (by_variable, &table.vault_key_file) {
        (None, None) => Some(VaultKey::File(beside(data_dir))),
        (Some(written), Some(_)) => {
            let hint = "Keep one of the two; `vault_key_env = \"\"` names no variable.";
            section.problem(report, written.line, "vault_key_env", "stands beside `vault_key_file`", hint);
            None
        }
        (None, Some(written)) => {
            let path = folder.join(written.value.trim());
            let hint = "Name a file outside the data directory, such as \"secrets/vault.key\".";
            if written.value.trim().is_empty() {
                section.problem(report, written.line, "vault_key_file", "is empty", hint);
                return None;
            }
            if path.starts_with(data_dir) {
                let message = "is in the data directory, so that each copy of that has the key, too";
                section.problem(report, written.line, "vault_key_file", message, hint);
                return None;
            }
            Some(VaultKey::File(path))
        }
        (Some(written), None) => {
            let key = environment.vault_key(&written.value);
            let told = |problem: SecretProblem| {
                section.problem(report, written.line, "vault_key_env", &problem.to_string(), problem.hint());
            };
            key.map_err(told).ok().map(|key| VaultKey::Given(Box::new(key)))
        }
    }
}
