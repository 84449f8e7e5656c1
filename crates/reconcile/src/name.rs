//! API names: the one place where the package's namespace is put in front of a name.
//!
//! Here: the rule, and what a name may look like. Not here: which names a mapping holds (`mapping`).
//!
//! Rule: a custom name of the package (`…__c`, `…__e`, `…__r` and so on) gets `ns__` unless it has a prefix already.
//! Standard names (`Name`, `Contact`) never do. Names of the customer's own fields are not passed through here.

/// Longest namespace Salesforce registers ("Create and Register Your Namespace").
const NAMESPACE_CHARS_MAX: usize = 15;
/// Endings that mark a custom name.
const ENDINGS: [&str; 6] = ["__c", "__e", "__r", "__mdt", "__chn", "__changeevent"];

/// `Foo__c` becomes `ns__Foo__c`; a standard or prefixed name, or an empty namespace, changes nothing.
pub fn namespaced(namespace: &str, name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let stem = ENDINGS.iter().find_map(|ending| lower.strip_suffix(ending));
    match stem {
        // Salesforce allows no double underscore inside a name, so one in the stem ends a prefix.
        Some(stem) if !namespace.is_empty() && !stem.is_empty() && !stem.contains("__") => {
            format!("{namespace}__{name}")
        }
        _ => name.to_owned(),
    }
}

/// The same for a channel: `/event/Foo__e` becomes `/event/ns__Foo__e`; only the last segment is a name.
pub fn namespaced_channel(namespace: &str, channel: &str) -> String {
    match channel.rsplit_once('/') {
        Some((path, name)) => format!("{path}/{}", namespaced(namespace, name)),
        None => namespaced(namespace, channel),
    }
}

/// True for a namespace Salesforce could have registered; the empty one means unmanaged.
pub fn is_namespace(text: &str) -> bool {
    text.is_empty() || (text.len() <= NAMESPACE_CHARS_MAX && is_api_name(text) && !text.contains("__"))
}

/// True for what can be the name of an object or field: letters, digits, underscores, a letter first.
pub fn is_api_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.ends_with('_')
}

/// True for a name or a dotted path of names, such as `Owner.Email`.
pub fn is_path(text: &str) -> bool {
    text.split('.').all(is_api_name)
}

#[cfg(test)]
mod tests;
