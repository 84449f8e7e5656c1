//! A crate's source as the tidy tests see it: its modules, and what each of them defines, imports and names.
//!
//! Here: the walk from `lib.rs` or `main.rs` along the `mod` lines. Not here: which file a path leads to (`resolve`).
//!
//! Invariant: nothing that is compiled for tests only is seen, neither a module nor an item inside of one.

use std::{collections::BTreeMap, fs, path::Path};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemMod, ItemUse, Meta, Stmt, UseTree, Visibility,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// The text of each file, by its path below the crate's source folder.
pub(crate) type Files = BTreeMap<String, String>;

/// All modules of a crate by their path, for instance `org::api`; the crate's root has the empty one.
pub(crate) type Modules = BTreeMap<String, Module>;

#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The file in which the module stands.
    pub(crate) file: String,
    /// Every item that it defines, by name.
    pub(crate) items: Vec<String>,
    /// Those of its items that are types, and types inside of its functions.
    pub(crate) types: Vec<String>,
    /// What its `use` lines bring in.
    pub(crate) imports: Vec<Import>,
    /// The qualified paths in its code, `a::b` at the least.
    pub(crate) paths: Vec<Vec<String>>,
}

/// One name of a `use` line.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) name: Name,
}

/// What an import is called where it is used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    As(String),
    /// `use path as _`.
    None,
    /// `use path::*`: every name that stands there.
    All,
}

/// Reads every Rust file below the folder.
pub(crate) fn read(folder: &Path) -> Files {
    let mut files = Files::new();
    read_into(folder, "", &mut files);
    files
}

fn read_into(folder: &Path, prefix: &str, files: &mut Files) {
    let entries = fs::read_dir(folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder's entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("source files have plain names");
        if path.is_dir() {
            read_into(&path, &format!("{prefix}{name}/"), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
            files.insert(format!("{prefix}{name}"), text);
        }
    }
}

/// Follows the crate's `mod` lines.
pub(crate) fn modules(files: &Files) -> Modules {
    let root = ["lib.rs", "main.rs"].into_iter().find(|root| files.contains_key(*root));
    let mut modules = Modules::new();
    walk_file(files, root.expect("a crate has a lib.rs or a main.rs"), "", &mut modules);
    modules
}

fn walk_file(files: &Files, file: &str, module: &str, modules: &mut Modules) {
    let parsed = syn::parse_file(&files[file]).unwrap_or_else(|cause| panic!("{file}: {cause}"));
    let folder = match file.rsplit_once('/') {
        Some((folder, "mod.rs")) => format!("{folder}/"),
        None if file == "lib.rs" || file == "main.rs" => String::new(),
        _ => format!("{}/", file.trim_end_matches(".rs")),
    };
    walk(files, &Here { file, folder: &folder, module }, &parsed.items, modules);
}

/// Where the walk is: the file, the folder of its child modules, and the module.
struct Here<'a> {
    file: &'a str,
    folder: &'a str,
    module: &'a str,
}

fn walk(files: &Files, here: &Here<'_>, items: &[Item], modules: &mut Modules) {
    let module = Module { file: here.file.to_owned(), ..Module::default() };
    let mut reader = Reader { module, children: Vec::new() };
    for item in items {
        reader.visit_item(item);
        reader.module.items.extend(defined(item));
    }
    modules.insert(here.module.to_owned(), reader.module);
    for child in reader.children {
        let name = child.ident.to_string();
        let module = join(here.module, &name);
        if let Some((_, items)) = &child.content {
            let folder = format!("{}{name}/", here.folder);
            walk(files, &Here { file: here.file, folder: &folder, module: &module }, items, modules);
            continue;
        }
        let places = [format!("{}{name}.rs", here.folder), format!("{}{name}/mod.rs", here.folder)];
        let file = places.iter().find(|place| files.contains_key(*place));
        let file = file.unwrap_or_else(|| panic!("{}: no file for `mod {name}`", here.file));
        walk_file(files, file, &module, modules);
    }
}

/// The path of a module's child.
pub(crate) fn join(module: &str, child: &str) -> String {
    if module.is_empty() { child.to_owned() } else { format!("{module}::{child}") }
}

/// Takes down what one module holds. Child modules are left for the walk.
struct Reader<'ast> {
    module: Module,
    children: Vec<&'ast ItemMod>,
}

impl<'ast> Visit<'ast> for Reader<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        if for_tests(attributes(item)) {
            return;
        }
        match item {
            Item::Mod(child) => return self.children.push(child),
            Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Trait(_) | Item::Type(_) => {
                self.module.types.extend(defined(item));
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Fn(function) => &function.attrs,
            ImplItem::Const(constant) => &constant.attrs,
            _ => &[],
        };
        if !for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !matches!(statement, Stmt::Local(local) if for_tests(&local.attrs)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        flatten(&import.tree, &[], &mut self.module.imports);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.module.paths.push(segments.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        paths_in(call.tokens.clone(), &mut self.module.paths);
    }

    // An attribute and a `pub(in …)` name modules, but import nothing from them.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// The name of an item, where it has one that a path can end in.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    (!for_tests(attributes(item))).then(|| name.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = attribute.path().segments.last().is_some_and(|last| last.ident == "test");
        let cfg = attribute.path().is_ident("cfg").then(|| attribute.parse_args::<Meta>());
        is_test || cfg.is_some_and(|meta| meta.is_ok_and(|meta| needs_test(&meta)))
    })
}

/// Whether the condition can hold in a test build only: `test`, or an `all` with it.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        _ => false,
    }
}

fn flatten(tree: &UseTree, prefix: &[String], imports: &mut Vec<Import>) {
    let longer = |name: &syn::Ident| {
        let own = (name != "self" || prefix.is_empty()).then(|| name.to_string());
        prefix.iter().cloned().chain(own).collect::<Vec<_>>()
    };
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &longer(&path.ident), imports),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, imports)),
        UseTree::Name(name) => {
            let path = longer(&name.ident);
            let name = path.last().cloned().map_or(Name::None, Name::As);
            imports.push(Import { path, name });
        }
        UseTree::Rename(rename) => {
            let name = if rename.rename == "_" { Name::None } else { Name::As(rename.rename.to_string()) };
            imports.push(Import { path: longer(&rename.ident), name });
        }
        UseTree::Glob(_) => imports.push(Import { path: prefix.to_vec(), name: Name::All }),
    }
}

/// What looks like a qualified path in a macro's arguments, which the parser leaves as they are.
fn paths_in(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let (mut path, mut colons): (Vec<String>, _) = (Vec::new(), 0);
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => {
                path.push(ident.to_string());
                colons = 0;
            }
            token => {
                keep(&mut path, paths);
                colons = 0;
                match token {
                    TokenTree::Ident(ident) => path.push(ident.to_string()),
                    TokenTree::Group(group) => paths_in(group.stream(), paths),
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
        }
    }
    keep(&mut path, paths);
}

fn keep(path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let path = std::mem::take(path);
    if path.len() > 1 {
        paths.push(path);
    }
}
