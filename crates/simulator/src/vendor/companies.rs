//! Companies that do not exist.
//!
//! Here: a company's data from its domain. Not here: what a test sets.

use serde_json::{Value, json};

const INDUSTRIES: [&str; 6] = ["Banking", "Consulting", "Manufacturing", "Retail", "Technology", "Education"];
const COUNTRIES: [&str; 6] = ["DE", "FR", "GB", "NL", "US", "JP"];

/// A domain or other key without what people add to it: case, scheme, `www.`, path.
pub(crate) fn plain(key: &str) -> String {
    let key = key.trim().to_lowercase();
    let key = key.split_once("://").map_or(key.as_str(), |(_, rest)| rest);
    let key = key.split(['/', '?', '#']).next().unwrap_or_default();
    key.strip_prefix("www.").unwrap_or(key).to_owned()
}

/// The same key and bump always give the same company; a bump changes its numbers and its score.
pub(crate) fn company(key: &str, bump: u64) -> Value {
    let who = hash(key, 0);
    let now = hash(key, bump);
    let name = key.split('.').next().unwrap_or(key);
    let mut letters = name.chars();
    let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let pick = |list: &[&'static str], from: u64| list[usize::try_from(from % 6).unwrap_or(0)];
    json!({
        "key": key, "domain": key, "name": format!("{name} Inc."), "website": format!("https://www.{key}"),
        "industry": pick(&INDUSTRIES, who), "country": pick(&COUNTRIES, who >> 8),
        "employees": now % 50_000 + bump, "revenue": (now >> 16) % 5_000_000_000,
        "match_score": (now >> 40) % 101, "phone": format!("+49 30 {:07}", (who >> 20) % 10_000_000),
        "email": format!("info@{key}"), "founded_on": format!("{}-{:02}-01", 1900 + who % 120, 1 + (who >> 12) % 12),
        "is_listed": who.is_multiple_of(3), "description": format!("{name} is a company that does not exist."),
        "updated_at": format!("2026-01-{:02}T10:00:00Z", 1 + bump % 28),
    })
}

/// FNV-1a, then mixed: simple, and the same everywhere.
fn hash(key: &str, bump: u64) -> u64 {
    let bytes = key.bytes().chain(bump.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_company_under_every_spelling() {
        for key in ["acme.com", "ACME.com ", "https://www.acme.com/about?x=1", "www.acme.com"] {
            assert_eq!(plain(key), "acme.com");
        }
    }

    #[test]
    fn answers_repeat_until_bumped() {
        assert_eq!(company("acme.com", 0), company("acme.com", 0));
        let (before, after) = (company("acme.com", 0), company("acme.com", 1));
        assert_ne!(before["employees"], after["employees"]);
        assert_eq!(before["key"], after["key"]);
        assert_ne!(company("acme.com", 0)["phone"], company("globex.com", 0)["phone"]);
    }
}
