//! Every path of the admin API, as `config/admin-openapi.json` has them.
//!
//! A unit test (`src/admin/tests.rs`) holds the file against what is served, so that a new path cannot be forgotten by the
//! tests that walk them all.

use serde_json::Value;

/// One method of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// In capital letters.
    pub(crate) method: String,
    /// With the names of its parts in braces.
    pub(crate) path: String,
    /// The role that it takes; none if everybody may ask.
    pub(crate) role: Option<String>,
    /// The type of the body that it reads.
    pub(crate) body: Option<String>,
}

impl Route {
    /// Its path with these values for its parts; what is missing becomes `x`.
    pub(crate) fn filled(&self, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        for part in self.path.split_inclusive('/') {
            let (name, slash) = part.strip_suffix('/').map_or((part, ""), |name| (name, "/"));
            match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => {
                    filled
                        .push_str(values.iter().find(|(known, _)| *known == name).map_or("x", |pair| pair.1));
                }
                None => filled.push_str(name),
            }
            filled.push_str(slash);
        }
        filled
    }

    /// What is read, and changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        self.method == "GET"
    }
}

/// All there are.
pub(crate) fn all() -> Vec<Route> {
    let contract: Value =
        serde_json::from_str(include_str!("../../config/admin-openapi.json")).expect("JSON");
    let mut routes = Vec::new();
    for (path, methods) in contract["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").iter();
        for (method, operation) in methods.filter(|(name, _)| *name != "parameters") {
            let role = operation["security"][0]["token"][0].as_str().map(str::to_owned);
            let body = operation["requestBody"]["content"].as_object();
            let body = body.and_then(|content| content.keys().next()).cloned();
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), role, body });
        }
    }
    assert!(!routes.is_empty(), "there are paths");
    routes
}
