//! Each rule on small crates in memory, with and without something planted that breaks it.

use super::{
    circles::circles,
    layers::{ANY, Layer, forbidden, layer},
    names::{Exception, doubled},
    resolve::{Imports, imports},
    source::{Files, Modules, modules},
};

fn crate_of(files: &[(&str, &str)]) -> Modules {
    let files: Files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    modules(&files)
}

fn imports_of(files: &[(&str, &str)]) -> Imports {
    imports(&crate_of(files))
}

/// What the file `a.rs` of a crate with these two more files imports, as `file: names`.
fn arrows_from_a(text: &str, others: &[(&str, &str)]) -> Vec<String> {
    let own = [("lib.rs", "mod a; mod b; mod c;"), ("a.rs", text)];
    let given = |file: &str| others.iter().any(|(path, _)| path == &file);
    let files = own.into_iter().chain(others.iter().copied());
    let empty = [("b.rs", ""), ("c.rs", "")].into_iter().filter(|(file, _)| !given(file));
    let imports = imports_of(&files.chain(empty).collect::<Vec<_>>());
    let arrows = imports.get("a.rs").into_iter().flatten();
    arrows
        .map(|(to, names)| format!("{to}: {}", names.iter().cloned().collect::<Vec<_>>().join(", ")))
        .collect()
}

#[test]
fn a_circle_of_two_files_is_told_with_the_names() {
    let planted = imports_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use super::a::A; pub struct B;"),
    ]);
    assert_eq!(
        circles(&planted),
        [
            "These 2 files import each other in a circle: `a.rs` imports B from `b.rs`, and `b.rs` imports A from `a.rs`."
        ]
    );
}

#[test]
fn a_circle_of_three_files_is_told_once() {
    let planted = imports_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::a::A; pub struct C;"),
        ("d.rs", "use crate::a::A;"),
    ]);
    let told = circles(&planted);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("These 3 files") && !told[0].contains("d.rs"), "{told:?}");
}

#[test]
fn two_circles_through_one_file_are_both_told() {
    let planted = imports_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::{b::B, c::C}; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
        ("c.rs", "use crate::a::A; pub struct C;"),
    ]);
    assert_eq!(circles(&planted).len(), 2);
}

#[test]
fn files_without_a_circle_are_not_told() {
    let sound = imports_of(&[
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B;"),
    ]);
    assert_eq!(circles(&sound), [""; 0]);
}

#[test]
fn a_parent_and_its_child_can_form_a_circle() {
    let planted = imports_of(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod child; use child::Child; pub struct A;"),
        ("a/child.rs", "use super::A; pub struct Child;"),
    ]);
    assert_eq!(circles(&planted).len(), 1);
}

#[test]
fn a_mod_line_alone_imports_nothing() {
    let sound = imports_of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "pub mod child; pub struct A;"),
        ("a/child.rs", "use super::A;"),
    ]);
    assert_eq!(circles(&sound), [""; 0]);
}

#[test]
fn grouped_and_nested_braces_are_read() {
    let text = "use crate::{b::{self, inner::{B as Other}}, c::C};";
    let others = [("b.rs", "pub mod inner { pub struct B; }"), ("c.rs", "pub struct C;")];
    assert_eq!(arrows_from_a(text, &others), ["b.rs: B, module b", "c.rs: C"]);
}

#[test]
fn super_leads_up_as_often_as_it_is_written() {
    let planted = imports_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod x;"),
        ("a/x.rs", "mod inner { use super::super::super::b::B; }"),
        ("b.rs", "pub struct B;"),
    ]);
    assert_eq!(planted["a/x.rs"]["b.rs"].iter().collect::<Vec<_>>(), ["B"]);
}

#[test]
fn self_leads_to_a_child() {
    let planted = imports_of(&[("lib.rs", "mod a; use self::a::A;"), ("a.rs", "pub struct A;")]);
    assert!(planted["lib.rs"].contains_key("a.rs"));
}

#[test]
fn a_public_use_is_an_import_too() {
    assert_eq!(arrows_from_a("pub use crate::b::B;", &[("b.rs", "pub struct B;")]), ["b.rs: B"]);
}

#[test]
fn a_reexport_is_followed_to_the_file_that_defines_the_name() {
    let others = [
        ("b.rs", "mod child; mod all; pub use child::Child; pub use all::*;"),
        ("b/child.rs", "pub struct Child;"),
        ("b/all.rs", "pub fn found() {}"),
    ];
    let arrows = arrows_from_a("use crate::b::{Child, found};", &others);
    assert_eq!(arrows, ["b/all.rs: found", "b/child.rs: Child"]);
}

#[test]
fn a_qualified_path_in_code_is_an_import() {
    let others = [("b.rs", "pub fn f() {}"), ("c.rs", "pub struct C;")];
    assert_eq!(arrows_from_a("fn a() { crate::b::f(); }", &others), ["b.rs: f"]);
    assert_eq!(arrows_from_a("fn a(c: super::c::C) {}", &others), ["c.rs: C"]);
    assert_eq!(arrows_from_a("use super::b; fn a() { b::f(); }", &others), ["b.rs: f, module b"]);
}

#[test]
fn a_path_in_the_arguments_of_a_macro_is_an_import() {
    let text = r#"fn a() { println!("{} {}", 1, [crate::b::f()].len()); }"#;
    assert_eq!(arrows_from_a(text, &[("b.rs", "pub fn f() {}")]), ["b.rs: f"]);
}

#[test]
fn paths_out_of_the_crate_are_no_imports() {
    let text =
        "use std::fmt; use serde::Deserialize; use ::b::B; fn a(_: fmt::Formatter) { b::f(); u8::MAX; }";
    assert_eq!(arrows_from_a(text, &[]), [""; 0]);
}

#[test]
fn code_for_tests_is_left_out() {
    let planted = crate_of(&[
        ("lib.rs", "mod a; #[cfg(test)] mod b; #[cfg(all(test, unix))] mod c;"),
        (
            "a.rs",
            "#[cfg(test)] mod tests { use crate::b::B; struct A; }
             #[cfg(test)] use crate::b::B;
             #[cfg(test)] struct A;
             #[test] fn test() { crate::b::f(); }
             pub struct A;
             impl A { #[cfg(test)] fn test() { crate::b::f(); } }
             fn a() { #[cfg(test)] let b = crate::b::f(); }",
        ),
        ("b.rs", "use crate::a::A; pub struct B; pub fn f() {}"),
        ("c.rs", "use crate::a::A; pub struct C;"),
    ]);
    assert!(imports(&planted).is_empty(), "{:?}", imports(&planted));
    assert_eq!(doubled(&planted, &[]), [""; 0]);
    assert!(!planted.contains_key("b") && !planted.contains_key("c"));
}

#[test]
fn what_is_not_for_tests_alone_is_not_left_out() {
    let text = "#[cfg(not(test))] use crate::b::B; #[cfg(any(test, unix))] use crate::c::C;";
    let others = [("b.rs", "pub struct B;"), ("c.rs", "pub struct C;")];
    assert_eq!(arrows_from_a(text, &others), ["b.rs: B", "c.rs: C"]);
}

const FLOORS: &[Layer] = &[
    layer("ground", &["ground"], &[]),
    layer("ground/annex", &["ground/annex"], &["ground"]),
    layer("roof", &["roof"], &["ground"]),
    layer("all", &["lib"], &[ANY]),
];

fn forbidden_in(files: &[(&str, &str)]) -> Vec<String> {
    let modules = crate_of(files);
    let paths: Vec<&str> = modules.values().map(|module| module.file.as_str()).collect();
    forbidden(&paths, &imports(&modules), FLOORS)
}

#[test]
fn an_import_that_the_table_does_not_allow_is_told() {
    let planted = forbidden_in(&[
        ("lib.rs", "mod ground; mod roof;"),
        ("ground/mod.rs", "mod annex; use crate::roof::{Roof, Tile}; pub struct Ground;"),
        ("ground/annex.rs", "use super::Ground;"),
        ("roof.rs", "use crate::ground::Ground; pub struct Roof; pub struct Tile;"),
    ]);
    assert_eq!(
        planted,
        ["`ground/mod.rs` must not import Roof, Tile from `roof.rs`, which stands in the layer `roof`: \
          the layer `ground` may import no other."]
    );
}

#[test]
fn the_longest_place_decides_on_a_files_layer() {
    let planted = forbidden_in(&[
        ("lib.rs", "mod ground; mod roof; pub use roof::Roof;"),
        ("ground/mod.rs", "mod annex; use annex::Annex;"),
        ("ground/annex.rs", "pub struct Annex;"),
        ("roof.rs", "pub struct Roof;"),
    ]);
    assert_eq!(planted.len(), 1, "{planted:?}");
    assert!(planted[0].contains("must not import Annex from `ground/annex.rs`"), "{planted:?}");
}

#[test]
fn a_file_without_a_layer_and_a_place_that_is_gone_are_told() {
    let planted = forbidden_in(&[
        ("lib.rs", "mod ground; mod groundwater;"),
        ("ground/mod.rs", "mod annex;"),
        ("ground/annex.rs", ""),
        ("groundwater.rs", ""),
    ]);
    assert_eq!(
        planted,
        [
            "`groundwater.rs` stands in no layer: add it to tests/tidy/tables.rs, and say what it may import.",
            "The layer `roof` holds `roof`, but no such file or folder exists.",
        ]
    );
}

#[test]
fn a_layer_that_the_table_does_not_have_is_told() {
    let misspelt = [layer("all", &["lib"], &["grond"])];
    assert_eq!(
        forbidden(&["lib.rs"], &Imports::new(), &misspelt),
        ["The layer `all` may import `grond`, but no layer has that name."]
    );
}

#[test]
fn a_type_that_is_defined_twice_is_told() {
    let planted = crate_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct Same; enum Own {} fn f() { struct Inner; }"),
        ("b.rs", "type Same = u8; trait Other {} mod inner { union Inner { a: u8 } }"),
    ]);
    assert_eq!(
        doubled(&planted, &[]),
        [
            "The type name `Inner` is defined 2 times: in `a.rs` and `b.rs`.",
            "The type name `Same` is defined 2 times: in `a.rs` and `b.rs`.",
        ]
    );
}

#[test]
fn an_exception_is_granted_only_while_it_is_needed() {
    let reason = "each file speaks its own protocol";
    let exceptions = [Exception { name: "Same", reason }];
    let twice = crate_of(&[("lib.rs", "mod a; struct Same;"), ("a.rs", "struct Same;")]);
    let once = crate_of(&[("lib.rs", "struct Same;")]);
    assert_eq!(doubled(&twice, &exceptions), [""; 0]);
    assert_eq!(
        doubled(&once, &exceptions),
        ["`Same` is defined once by now, so it needs no exception (each file speaks its own protocol)."]
    );
}
