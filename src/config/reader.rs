//! Reading one TOML table: each key by its type, with the line it stands on; all mistakes, not only the first.
//!
//! Here: wrong types, numbers out of range, unknown keys. Not here: which keys there are (`tables`).
//! serde's derive stops at its first error, which is why it is not used here.

mod overlay;

use std::{collections::BTreeMap, ops::RangeInclusive};

use toml::de::{DeTable, DeValue};

use super::report::{Report, closest};

/// A value and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// One table being read.
#[derive(Debug)]
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// Line of its header, or of the key it stands behind.
    pub(super) line: usize,
    /// The byte there.
    start: usize,
    /// In front of each problem, such as `org "acme"`; empty at the top.
    label: String,
    /// In front of each key, such as `auth.`.
    prefix: String,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn top(table: &'t DeTable<'t>) -> Self {
        Self { table, line: 1, start: 0, label: String::new(), prefix: String::new() }
    }

    /// Refuses every key that is not in `known`; `extra` may have a better hint for one.
    pub(super) fn allow(&self, known: &[&str], extra: fn(&str) -> Option<String>, report: &mut Report<'_>) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let hint = match (extra(name), closest(name, known.iter().copied())) {
                (Some(hint), _) => hint,
                (None, Some(meant)) => format!("Did you mean `{meant}`?"),
                (None, None) => format!("Remove it, or use one of: {}.", known.join(", ")),
            };
            let line = report.line_at(key.span().start);
            self.problem(report, line, name, "is not a key orgpipe knows", hint);
        }
    }

    /// Notes a problem with one of the keys.
    pub(super) fn problem(
        &self,
        report: &mut Report<'_>,
        line: usize,
        key: &str,
        message: &str,
        hint: impl Into<String>,
    ) {
        self.say(report, line, &format!("`{}{key}` {message}", self.prefix), hint);
    }

    /// Notes that a key's value works and should be changed all the same.
    pub(super) fn warn(
        &self,
        report: &mut Report<'_>,
        line: usize,
        key: &str,
        message: &str,
        hint: impl Into<String>,
    ) {
        report.warn(line, self.labelled(&format!("`{}{key}` {message}", self.prefix)), hint);
    }

    /// Notes a problem of the table as a whole.
    pub(super) fn say(&self, report: &mut Report<'_>, line: usize, message: &str, hint: impl Into<String>) {
        report.add(line, self.labelled(message), hint);
    }

    fn labelled(&self, message: &str) -> String {
        let colon = if self.label.is_empty() { "" } else { ": " };
        format!("{}{colon}{message}", self.label)
    }

    /// What was read for a key that has to be there; notes its absence.
    pub(super) fn demand<'w, T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        read: Option<&'w T>,
        hint: impl Into<String>,
    ) -> Option<&'w T> {
        // A key that is there and was not read has a wrong type, which is in the report already.
        if read.is_none() && !self.has(key) {
            self.problem(report, self.line, key, "is missing", hint);
        }
        read
    }

    /// True if the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// True if the key is there and is a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// The keys that are there.
    pub(super) fn names(&self) -> impl Iterator<Item = &'t str> {
        self.table.keys().map(|name| name.get_ref().as_ref())
    }

    /// A text, a number, true or false.
    pub(super) fn scalar(&self, report: &mut Report<'_>, key: &str) -> Option<Written<serde_json::Value>> {
        self.typed(report, key, "a text in double quotes, a number, `true` or `false`", scalar)
    }

    /// A text.
    pub(super) fn text(&self, report: &mut Report<'_>, key: &str) -> Option<Written<String>> {
        self.typed(report, key, "a text in double quotes", |value| value.as_str().map(str::to_owned))
    }

    /// True or false.
    pub(super) fn flag(&self, report: &mut Report<'_>, key: &str) -> Option<Written<bool>> {
        self.typed(report, key, "`true` or `false`, without quotes", |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A whole number within a range.
    pub(super) fn whole(
        &self,
        report: &mut Report<'_>,
        key: &str,
        range: RangeInclusive<u32>,
    ) -> Option<Written<u32>> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.typed(report, key, &expected, |value| whole(value).filter(|number| range.contains(number)))
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, report: &mut Report<'_>, key: &str) -> Option<Written<f64>> {
        self.typed(report, key, "a share from 0 to 1, such as 0.25", |value| {
            number(value).filter(|number| (0.0..=1.0).contains(number))
        })
    }

    /// A list of texts.
    pub(super) fn texts(&self, report: &mut Report<'_>, key: &str) -> Option<Vec<Written<String>>> {
        let lines = |report: &Report<'_>, value: &DeValue<'_>| {
            let items = value.as_array()?.iter();
            items
                .map(|item| {
                    let line = report.line_at(item.span().start);
                    Some(Written { value: item.get_ref().as_str()?.to_owned(), line })
                })
                .collect::<Option<Vec<_>>>()
        };
        let value = self.table.get(key)?;
        let texts = lines(report, value.get_ref());
        if texts.is_none() {
            self.wrong_type(report, value.span().start, key, "a list of texts, such as [\"a\", \"b\"]");
        }
        texts
    }

    /// A table of texts; `None` also if one of them is something else.
    pub(super) fn pairs(
        &self,
        report: &mut Report<'_>,
        key: &str,
    ) -> Option<BTreeMap<String, Written<String>>> {
        let section = self.section(report, key)?;
        section.names().map(|name| Some((name.to_owned(), section.text(report, name)?))).collect()
    }

    /// A table within this one.
    pub(super) fn section(&self, report: &mut Report<'_>, key: &str) -> Option<Section<'t>> {
        let value = self.table.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(report, value.span().start, key, "a table of keys");
            return None;
        };
        let start = self.key_start(key);
        let line = report.line_at(start);
        let (label, prefix) = if self.label.is_empty() {
            (key.to_owned(), String::new())
        } else {
            (self.label.clone(), format!("{}{key}.", self.prefix))
        };
        Some(Section { table, line, start, label, prefix })
    }

    /// Tables written `[[key]]`, each called by its `name_key`.
    pub(super) fn sections(&self, report: &mut Report<'_>, key: &str, name_key: &str) -> Vec<Section<'t>> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let all = value.get_ref().as_array().map(|items| {
            items
                .iter()
                .map(|item| Some((item.span().start, item.get_ref().as_table()?)))
                .collect::<Option<Vec<_>>>()
        });
        let Some(Some(tables)) = all else {
            self.wrong_type(report, value.span().start, key, &format!("written `[[{key}]]`, once for each"));
            return Vec::new();
        };
        let named = tables.into_iter().enumerate().map(|(place, (start, table))| {
            let name = table.get(name_key).and_then(|value| value.get_ref().as_str());
            let label = match name {
                Some(name) => format!("{key} \"{name}\""),
                None => format!("{key} number {}", place + 1),
            };
            Section { table, line: report.line_at(start), start, label, prefix: String::new() }
        });
        named.collect()
    }

    /// Tables written `[… .key.NAME]`, by their names.
    pub(super) fn named_sections(&self, report: &mut Report<'_>, key: &str) -> Vec<(String, Section<'t>)> {
        let Some(all) = self.section(report, key) else { return Vec::new() };
        let mut sections = Vec::with_capacity(all.table.len());
        for (name, value) in all.table {
            let (name, start): (&str, usize) = (name.get_ref(), name.span().start);
            let Some(table) = value.get_ref().as_table() else {
                all.wrong_type(
                    report,
                    value.span().start,
                    name,
                    &format!("a table, written `[org.{key}.{name}]`"),
                );
                continue;
            };
            let line = report.line_at(start);
            let label = format!("{}: {key} \"{name}\"", self.label);
            sections.push((name.to_owned(), Section { table, line, start, label, prefix: String::new() }));
        }
        sections
    }

    /// A value that `read` takes; what it does not take is noted as not being what is expected.
    pub(super) fn typed<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        expected: &str,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<Written<T>> {
        let value = self.table.get(key)?;
        let typed = read(value.get_ref());
        if typed.is_none() {
            self.wrong_type(report, value.span().start, key, expected);
        }
        Some(Written { value: typed?, line: report.line_at(value.span().start) })
    }

    /// Says what is expected and never what was found: a secret may have been pasted there.
    fn wrong_type(&self, report: &mut Report<'_>, byte: usize, key: &str, expected: &str) {
        let line = report.line_at(byte);
        self.problem(report, line, key, &format!("must be {expected}"), "Correct the value.");
    }

    fn key_start(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.start, |(key, _)| key.span().start)
    }
}

fn whole(value: &DeValue<'_>) -> Option<u32> {
    let integer = value.as_integer()?;
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        DeValue::Integer(_) => whole(value).map(f64::from),
        _ => None,
    }
}

fn scalar(value: &DeValue<'_>) -> Option<serde_json::Value> {
    match value {
        DeValue::String(text) => Some(text.as_ref().into()),
        DeValue::Boolean(flag) => Some((*flag).into()),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Into::into)
        }
        // Neither NaN nor infinity.
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(serde_json::Value::Number)
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
