//! A mapped value as it is written in a sync: a text, or a table of what is written and what is made of it.
//!
//! Here: its keys and their types. Not here: what they mean together (`reconcile::value`).

use std::collections::BTreeMap;

use orgpipe_reconcile::ValueSpec;

use super::{
    reader::{Section, Written},
    report::Report,
};

/// The keys of a value that is written as a table.
pub(super) const KEYS: &[&str] = &["value", "from", "cel", "default", "map", "otherwise", "overlong"];

/// A value of a mapping, and where its parts stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MappedValue {
    pub(super) spec: ValueSpec,
    /// Line of the value as a whole.
    pub(super) line: usize,
    /// Line of each key of its table.
    pub(super) lines: BTreeMap<&'static str, usize>,
}

impl MappedValue {
    /// The places in it that a problem may be about, under the name of the whole, with their lines.
    pub(super) fn places(&self, name: &str) -> Vec<(String, usize)> {
        let inside = self.lines.iter().map(|(key, line)| (format!("{name}.{key}"), *line));
        std::iter::once((name.to_owned(), self.line)).chain(inside).collect()
    }
}

/// A table of mapped values by field; `None` also if one of them cannot be read.
pub(super) fn values(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
) -> Option<BTreeMap<String, MappedValue>> {
    let section = section.section(report, key)?;
    let values: Vec<_> =
        section.names().map(|name| Some((name.to_owned(), value(&section, report, name)?))).collect();
    values.into_iter().collect()
}

/// One mapped value; `None` also if it cannot be read.
pub(super) fn value(section: &Section<'_>, report: &mut Report<'_>, key: &str) -> Option<MappedValue> {
    if !section.is_table(key) {
        let Written { value, line } =
            section.typed(report, key, "a text in double quotes or a table", |value| {
                value.as_str().map(ValueSpec::from)
            })?;
        return Some(MappedValue { spec: value, line, lines: BTreeMap::new() });
    }
    let table = section.section(report, key)?;
    table.allow(KEYS, |_| None, report);
    let mut lines = BTreeMap::new();
    let mut scalar = |report: &mut Report<'_>, key: &'static str| {
        let written = table.scalar(report, key)?;
        lines.insert(key, written.line);
        Some(written.value)
    };
    let value = scalar(report, "value");
    let default = scalar(report, "default");
    let otherwise = scalar(report, "otherwise");
    let mut text = |report: &mut Report<'_>, key: &'static str| {
        let written = table.text(report, key)?;
        lines.insert(key, written.line);
        Some(written.value)
    };
    let from = text(report, "from");
    let cel = text(report, "cel");
    let overlong = text(report, "overlong");
    let map = table.section(report, "map");
    lines.extend(map.iter().map(|map| ("map", map.line)));
    let mapped = map.as_ref().map(|map| {
        let pairs: Vec<_> =
            map.names().map(|name| Some((name.to_owned(), map.scalar(report, name)?.value))).collect();
        pairs.into_iter().collect::<Option<BTreeMap<_, _>>>()
    });
    // A key that is there and was not read has a wrong type, which is in the report already.
    let read = [
        ("value", value.is_some()),
        ("from", from.is_some()),
        ("cel", cel.is_some()),
        ("overlong", overlong.is_some()),
        ("default", default.is_some()),
        ("otherwise", otherwise.is_some()),
        ("map", matches!(mapped, Some(Some(_)))),
    ];
    let line = table.line;
    let all_read = read.iter().all(|(key, read)| *read || !table.has(key));
    let spec = ValueSpec { value, from, cel, default, map: mapped.flatten(), otherwise, overlong };
    all_read.then_some(MappedValue { spec, line, lines })
}
