//! What each part of a crate may import: the check. The tables stand in `tables`.

use super::resolve::Imports;

/// Files that stand on one floor of a crate, and the layers below that they may import. Each may import its own.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    /// Folders and files below the source folder, without `.rs`. The longest that fits a file decides.
    pub(crate) holds: &'static [&'static str],
    /// Names of layers, or [`ANY`].
    pub(crate) imports: &'static [&'static str],
}

/// For the file that puts all of a crate together.
pub(crate) const ANY: &str = "any";

pub(crate) const fn layer(
    name: &'static str,
    holds: &'static [&'static str],
    imports: &'static [&'static str],
) -> Layer {
    Layer { name, holds, imports }
}

/// Every import that the table does not allow, every file that it does not know and every place that is gone.
pub(crate) fn forbidden(files: &[&str], imports: &Imports, layers: &[Layer]) -> Vec<String> {
    let unknown = files.iter().filter(|file| layer_of(layers, file).is_none()).map(|file| {
        format!("`{file}` stands in no layer: add it to tests/tidy/tables.rs, and say what it may import.")
    });
    let gone = layers.iter().flat_map(|layer| {
        let gone = layer.holds.iter().filter(|held| !files.iter().any(|file| holds(held, file)));
        gone.map(|held| {
            format!("The layer `{}` holds `{held}`, but no such file or folder exists.", layer.name)
        })
    });
    let misspelt = layers.iter().flat_map(|layer| {
        let known = |name: &str| name == ANY || layers.iter().any(|other| other.name == name);
        let unknown = layer.imports.iter().filter(move |name| !known(name));
        unknown.map(|name| {
            format!("The layer `{}` may import `{name}`, but no layer has that name.", layer.name)
        })
    });
    let arrows =
        imports.iter().flat_map(|(from, arrows)| arrows.iter().map(move |(to, names)| (from, to, names)));
    let upward = arrows.filter_map(|(from, to, names)| {
        let (importing, imported) = (layer_of(layers, from)?, layer_of(layers, to)?);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        (!may_import(importing, imported)).then(|| {
            format!(
                "`{from}` must not import {} from `{to}`, which stands in the layer `{}`: the layer `{}` may import {}.",
                names.join(", "),
                imported.name,
                importing.name,
                listed(importing.imports),
            )
        })
    });
    unknown.chain(gone).chain(misspelt).chain(upward).collect()
}

fn may_import(importing: &Layer, imported: &Layer) -> bool {
    importing.name == imported.name
        || importing.imports.iter().any(|name| [ANY, imported.name].contains(name))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "no other".to_owned() } else { names.join(", ") }
}

fn layer_of<'a>(layers: &'a [Layer], file: &str) -> Option<&'a Layer> {
    let held = |layer: &&'a Layer| {
        let fitting = layer.holds.iter().filter(|held| holds(held, file));
        fitting.map(|held| held.len()).max().unwrap_or_default()
    };
    layers.iter().max_by_key(held).filter(|layer| held(layer) > 0)
}

/// Whether the place is the file, or a folder around it.
fn holds(place: &str, file: &str) -> bool {
    let rest = file.strip_prefix(place).unwrap_or_default();
    rest == ".rs" || rest.starts_with('/')
}
