//! The house rules that no compiler holds: who may import whom, no import circles, one meaning for a type's name.
//!
//! Here: the rules over the real source. Not here: the tables (`crates` for crates, `tables` for folders), and the
//! proof that each rule finds what breaks it (`planted`).
//!
//! A file imports another if a `use` line or a qualified path in it leads to an item there, re-exports followed. A line
//! `mod child;` imports nothing, and code for tests does not count.

mod circles;
mod crates;
mod layers;
mod names;
mod planted;
mod resolve;
mod source;
mod tables;

use std::path::Path;

use source::Modules;
use tables::{CRATES, Crate};

fn read(own: &Crate) -> Modules {
    source::modules(&source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(own.folder)))
}

/// Applies a rule to every crate and tells all that breaks it at once.
fn hold(rule: impl Fn(&Crate, &Modules) -> Vec<String>) {
    let broken: Vec<String> = CRATES
        .iter()
        .flat_map(|own| rule(own, &read(own)).into_iter().map(|problem| format!("{}: {problem}", own.folder)))
        .collect();
    assert!(broken.is_empty(), "{} problems:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn every_crate_has_a_table_of_its_folders() {
    for package in crates::dependencies().keys() {
        let known = CRATES.iter().any(|own| own.package == package);
        assert!(known, "`{package}` is new: draw its layers in tests/tidy/tables.rs");
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    hold(|_, modules| circles::circles(&resolve::imports(modules)));
}

#[test]
fn files_import_only_what_their_layer_may() {
    hold(|own, modules| {
        let files: Vec<&str> = modules.values().map(|module| module.file.as_str()).collect();
        layers::forbidden(&files, &resolve::imports(modules), own.layers)
    });
}

#[test]
fn a_type_name_is_defined_once_in_a_crate() {
    hold(|own, modules| names::doubled(modules, own.exceptions));
}
