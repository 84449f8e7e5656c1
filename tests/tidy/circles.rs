//! Import circles between files, as sentences.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::resolve::Imports;

/// One shortest circle for each file that is in any; a file of a circle that was told already gets none of its own.
pub(crate) fn circles(imports: &Imports) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut sentences = Vec::new();
    for file in imports.keys() {
        if told.contains(file) {
            continue;
        }
        if let Some(circle) = shortest(imports, file) {
            sentences.push(sentence(imports, &circle));
            told.extend(circle);
        }
    }
    sentences
}

/// The shortest way from a file back to it, by breadth-first search.
fn shortest<'a>(imports: &'a Imports, start: &'a str) -> Option<Vec<&'a String>> {
    let (mut came_from, mut next) = (BTreeMap::new(), VecDeque::from([start]));
    while let Some(file) = next.pop_front() {
        for imported in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if came_from.contains_key(imported.as_str()) {
                continue;
            }
            came_from.insert(imported.as_str(), imports.get_key_value(file)?.0);
            if imported == start {
                return Some(way_back(&came_from, start));
            }
            next.push_back(imported);
        }
    }
    None
}

fn way_back<'a>(came_from: &BTreeMap<&str, &'a String>, start: &str) -> Vec<&'a String> {
    let mut circle = vec![came_from[start]];
    while let Some(last) = circle.last().filter(|last| last.as_str() != start) {
        circle.push(came_from[last.as_str()]);
    }
    circle.reverse();
    circle
}

fn sentence(imports: &Imports, circle: &[&String]) -> String {
    let arrows: Vec<String> = circle
        .iter()
        .zip(circle.iter().cycle().skip(1))
        .map(|(from, to)| {
            let names: Vec<&str> = imports[*from][*to].iter().map(String::as_str).collect();
            format!("`{from}` imports {} from `{to}`", names.join(", "))
        })
        .collect();
    format!("These {} files import each other in a circle: {}.", circle.len(), arrows.join(", and "))
}
