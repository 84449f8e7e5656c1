//! Which file a path leads to, and so which file imports what from which.
//!
//! Here: `crate`, `self`, `super`, names that stand in the module, and re-exports, followed to where the item is defined.
//! Not here: what may be imported (`layers`), and what follows from the arrows (`circles`).
//!
//! Invariant: a path that leads into the crate is given a file of it, and no other path is.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Module, Modules, Name, join};

/// Importing file → file that is imported → the names by which it is.
pub(crate) type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// As many re-exports of re-exports are followed. A name that is found only by way of itself ends here too.
const REEXPORTS_MAX: usize = 16;

/// What each file imports from the others.
pub(crate) fn imports(modules: &Modules) -> Imports {
    let mut imports = Imports::new();
    for (path, module) in modules {
        let used = module.imports.iter().map(|import| &import.path).chain(&module.paths);
        for place in used.filter_map(|used| resolve(modules, path, used, REEXPORTS_MAX)) {
            let file = &modules[&place.module].file;
            if *file != module.file {
                let arrows = imports.entry(module.file.clone()).or_default();
                arrows.entry(file.clone()).or_default().insert(place.name());
            }
        }
    }
    imports
}

/// Where a path leads: a module, or an item in it.
struct Place {
    module: String,
    item: Option<String>,
}

impl Place {
    fn name(self) -> String {
        self.item.unwrap_or_else(|| format!("module {}", self.module.rsplit("::").next().unwrap_or_default()))
    }
}

/// Follows a path that is written in the module `from`. None for one that leads out of the crate.
fn resolve(modules: &Modules, from: &str, path: &[String], depth: usize) -> Option<Place> {
    let (first, rest) = path.split_first()?;
    let depth = depth.checked_sub(1)?;
    match first.as_str() {
        "crate" => Some(descend(modules, "", rest, depth)),
        "self" => Some(descend(modules, from, rest, depth)),
        "super" => above(modules, from.rsplit_once("::").map_or("", |(above, _)| above), rest, depth),
        first => find(modules, from, first, rest, depth),
    }
}

/// Behind a `super`, more of them may come.
fn above(modules: &Modules, module: &str, path: &[String], depth: usize) -> Option<Place> {
    match path.split_first() {
        Some((first, _)) if first == "super" => resolve(modules, module, path, depth),
        _ => Some(descend(modules, module, path, depth)),
    }
}

/// Follows a path downwards from a module. What is not found is taken to stand in the last module that was.
fn descend(modules: &Modules, module: &str, path: &[String], depth: usize) -> Place {
    let Some((first, rest)) = path.split_first() else {
        return Place { module: module.to_owned(), item: None };
    };
    find(modules, module, first, rest, depth)
        .unwrap_or_else(|| Place { module: module.to_owned(), item: Some(first.clone()) })
}

/// Looks for a name in a module: a child, an item of its own, or what a `use` line of it brings in.
fn find(modules: &Modules, module: &str, name: &str, rest: &[String], depth: usize) -> Option<Place> {
    let child = join(module, name);
    if modules.contains_key(&child) {
        return Some(descend(modules, &child, rest, depth));
    }
    let here = &modules[module];
    if here.items.iter().any(|item| item == name) {
        return Some(Place { module: module.to_owned(), item: Some(name.to_owned()) });
    }
    brought_in(modules, module, here, name, rest, depth)
}

fn brought_in(
    modules: &Modules,
    module: &str,
    here: &Module,
    name: &str,
    rest: &[String],
    depth: usize,
) -> Option<Place> {
    let named = here.imports.iter().filter(|import| matches!(&import.name, Name::As(own) if own == name));
    for import in named {
        let path: Vec<String> = import.path.iter().chain(rest).cloned().collect();
        if let Some(place) = resolve(modules, module, &path, depth) {
            return Some(place);
        }
    }
    let depth = depth.checked_sub(1)?;
    let globs = here.imports.iter().filter(|import| import.name == Name::All);
    globs.filter_map(|glob| resolve(modules, module, &glob.path, depth)).find_map(|place| {
        let into_module = place.item.is_none().then_some(place.module)?;
        (into_module != module).then(|| find(modules, &into_module, name, rest, depth))?
    })
}
