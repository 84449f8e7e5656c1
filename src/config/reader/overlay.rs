//! One table laid over another: what stands in it counts, the rest is that of the table below.
//!
//! Here: which keys of the two count, and from which line each is said to come. Not here: which tables are laid over which
//! (`resolve/sync.rs`), what a key means.
//!
//! A problem with a key of the table below is told at the header of the one above: with that one it came up.

use std::{borrow::Cow, collections::BTreeSet};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Section;
use crate::config::report::{Report, closest};

/// Tables whose keys are laid over those of the same table below, one by one.
const BY_KEY: [&str; 4] = ["external_id", "fields", "keys", "refresh"];
/// Tables whose keys may be taken out with `false`; `refresh` may be as a whole, too.
const MAY_LACK: [&str; 3] = ["fields", "keys", "refresh"];

/// A table that another one was laid over.
#[derive(Debug)]
pub(in crate::config) struct Overlaid<'t> {
    table: DeTable<'t>,
    /// The keys of the upper table, such as `target`, `fields.Name__c` and `refresh.where`.
    pub(in crate::config) own: BTreeSet<String>,
    line: usize,
    start: usize,
    label: String,
}

impl Overlaid<'_> {
    /// To be read as if it stood in the file so.
    pub(in crate::config) fn section(&self) -> Section<'_> {
        let Self { table, line, start, label, .. } = self;
        Section { table, line: *line, start: *start, label: label.clone(), prefix: String::new() }
    }
}

impl<'t> Section<'t> {
    /// This table laid over `below`, as far as its keys are among `allowed`. `false` takes a key of some of the tables out; one that is not there to be taken out
    /// is a problem.
    pub(in crate::config) fn laid_over(
        &self,
        below: &Section<'t>,
        allowed: &[&str],
        report: &mut Report<'_>,
    ) -> Overlaid<'t> {
        let mut table: DeTable<'t> =
            below.table.iter().map(|(key, value)| (self.told_here(key), self.moved_here(value))).collect();
        let mut own = BTreeSet::new();
        for (key, value) in self.table.iter().filter(|(key, _)| allowed.contains(&key.get_ref().as_ref())) {
            let name: &str = key.get_ref();
            let under = table.get_mut(name).and_then(|under| match under.get_mut() {
                DeValue::Table(under) if BY_KEY.contains(&name) => Some(under),
                _ => None,
            });
            match (value.get_ref(), under) {
                (DeValue::Table(over), Some(under)) => {
                    for (key, value) in over {
                        own.insert(format!("{name}.{}", key.get_ref()));
                        if is_false(value) && MAY_LACK.contains(&name) {
                            self.take_out(name, key, under, report);
                        } else {
                            put(under, key, value);
                        }
                    }
                }
                (DeValue::Boolean(false), _) if name == "refresh" => {
                    own.insert(name.to_owned());
                    self.take_out("", key, &mut table, report);
                }
                _ => {
                    own.insert(name.to_owned());
                    put(&mut table, key, value);
                }
            }
        }
        Overlaid { table, own, line: self.line, start: self.start, label: self.label.clone() }
    }

    fn take_out(
        &self,
        table: &str,
        key: &Spanned<Cow<'_, str>>,
        under: &mut DeTable<'_>,
        report: &mut Report<'_>,
    ) {
        let name: &str = key.get_ref();
        if under.remove(name).is_some() {
            return;
        }
        let place = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
        let known: Vec<&str> = under.keys().map(|key| key.get_ref().as_ref()).collect();
        let hint = match closest(name, known.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => format!("Remove it; the sync has: {}.", known.join(", ")),
        };
        let message = "is `false`, which takes out what the sync does not have";
        let line = report.line_at(key.span().start);
        self.problem(report, line, &place, message, hint);
    }

    fn told_here<T: Clone>(&self, spanned: &Spanned<T>) -> Spanned<T> {
        Spanned::new(self.start..self.start, spanned.get_ref().clone())
    }

    /// The value with all that is in it.
    fn moved_here(&self, value: &Spanned<DeValue<'t>>) -> Spanned<DeValue<'t>> {
        let moved = match value.get_ref() {
            DeValue::Table(table) => {
                let pairs = table.iter().map(|(key, value)| (self.told_here(key), self.moved_here(value)));
                DeValue::Table(pairs.collect())
            }
            DeValue::Array(items) => DeValue::Array(items.iter().map(|item| self.moved_here(item)).collect()),
            other => other.clone(),
        };
        Spanned::new(self.start..self.start, moved)
    }
}

/// Puts a key in the place of the one of its name, with its own line.
fn put<'t>(table: &mut DeTable<'t>, key: &Spanned<Cow<'t, str>>, value: &Spanned<DeValue<'t>>) {
    table.remove(key.get_ref().as_ref());
    table.insert(key.clone(), value.clone());
}

fn is_false(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Boolean(false))
}
