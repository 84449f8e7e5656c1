//! Type names that stand more than once in a crate, as sentences.

use std::collections::BTreeMap;

use super::source::Modules;

/// A type name that a crate may have twice, and why.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

/// Every name that is defined more often than once without an exception, and every exception that nothing needs.
pub(crate) fn doubled(modules: &Modules, exceptions: &[Exception]) -> Vec<String> {
    let mut files = BTreeMap::<&str, Vec<&str>>::new();
    for module in modules.values() {
        for name in &module.types {
            files.entry(name).or_default().push(&module.file);
        }
    }
    files.retain(|_, files| files.len() > 1);
    let needless =
        exceptions.iter().filter(|exception| !files.contains_key(exception.name)).map(|exception| {
            format!(
                "`{}` is defined once by now, so it needs no exception ({}).",
                exception.name, exception.reason
            )
        });
    let doubled =
        files.iter().filter(|(name, _)| !exceptions.iter().any(|exception| exception.name == **name));
    let doubled = doubled.map(|(name, files)| {
        let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
        format!("The type name `{name}` is defined {} times: in {}.", files.len(), files.join(" and "))
    });
    doubled.chain(needless).collect()
}
