//! Problems of a settings file, each with its line, what is wrong and what to do; and what only should be otherwise.
//!
//! Here: collecting them; finding the name that was probably meant. Not here: what is a problem.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Names further apart than this are not taken for misspellings of each other.
const EDITS_MAX: usize = 2;
/// Names that are offered when several resemble the written one.
const NEAR_MAX: usize = 3;
/// Longer names are not compared.
const NAME_CHARS_MAX: usize = 64;

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The settings file.
    pub(crate) file: PathBuf,
    /// Counted from 1; none when it stands nowhere.
    pub(crate) line: Option<usize>,
    /// What is wrong: a sentence without a final stop.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettingLine {
    file: PathBuf,
    line: usize,
}

impl SettingLine {
    /// The place in words, for a report on the same file or another.
    pub(super) fn told(&self, report: &Report<'_>) -> String {
        match self.line_in(report) {
            Some(line) => format!("on line {line}"),
            None => format!("in {}, line {}", self.file.display(), self.line),
        }
    }

    /// The line, if it is in the file of the report.
    pub(super) fn line_in(&self, report: &Report<'_>) -> Option<usize> {
        (self.file == report.file).then_some(self.line)
    }
}

/// The problems found so far in one file.
#[derive(Debug)]
pub(super) struct Report<'t> {
    file: &'t Path,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'t> Report<'t> {
    /// An empty report on a file with this text.
    pub(super) fn new(file: &'t Path, text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The line, counted from 1, of a byte of the text.
    pub(super) fn line_at(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte)
    }

    /// A line of this file.
    pub(super) fn place(&self, line: usize) -> SettingLine {
        SettingLine { file: self.file.to_owned(), line }
    }

    /// Notes a problem on a line.
    pub(super) fn add(&mut self, line: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.add_at(Some(line), message, hint);
    }

    /// Notes a problem that may stand on no line.
    pub(super) fn add_at(
        &mut self,
        line: Option<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem =
            Problem { file: self.file.to_owned(), line, message: message.into(), hint: hint.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Notes what works and should be changed all the same.
    pub(super) fn warn(&mut self, line: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.warn_at(Some(line), message, hint);
    }

    /// The same of what may stand on no line.
    pub(super) fn warn_at(
        &mut self,
        line: Option<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (message, hint) = (message.into(), hint.into());
        self.warnings.push(Problem { file: self.file.to_owned(), line, message, hint });
    }

    /// True if nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Takes over what an earlier reading of the same file found.
    pub(super) fn take(&mut self, earlier: &Self) {
        self.problems.extend(earlier.problems.iter().cloned());
    }

    /// All problems, and all warnings, in the order of their lines.
    pub(super) fn into_parts(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.problems.sort_by_key(|problem| problem.line);
        self.warnings.sort_by_key(|warning| warning.line);
        (self.problems, self.warnings)
    }

    /// All problems in the order of their lines.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.into_parts().0
    }
}

/// The known name that `name` is probably a misspelling of.
pub(super) fn closest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (edits(&name, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= EDITS_MAX.min(candidate.chars().count() / 3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The known names that resemble `name`, the most similar first; at most three.
pub(super) fn near<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let stem = |name: &str| name.trim_end_matches("__c").to_lowercase();
    let name = stem(name);
    let mut all: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (edits(&name, &stem(candidate)), candidate))
        .filter(|(edits, candidate)| *edits <= name.len().max(stem(candidate).len()) / 2)
        .collect();
    all.sort_unstable();
    all.into_iter().take(NEAR_MAX).map(|(_, candidate)| candidate).collect()
}

/// Letters to insert, remove, replace or swap with the next one to get from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > NAME_CHARS_MAX {
        return usize::MAX;
    }
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut fewest = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                fewest = fewest.min(two_above[j - 2] + 1);
            }
            row.push(fewest);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let known = ["requests_per_second", "concurrent_max", "url", "id"];
        for (name, expected) in [
            ("request_per_second", Some("requests_per_second")),
            ("requests_per_seconds", Some("requests_per_second")),
            ("concurrent_mxa", Some("concurrent_max")),
            ("Concurrent_Max", Some("concurrent_max")),
            ("urll", Some("url")),
            ("ix", None),
            ("timeout", None),
        ] {
            assert_eq!(closest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn near_names_come_in_the_order_of_their_likeness() {
        let known = ["Website__c", "Employee_Count__c", "Phone__c", "Email__c"];
        for (name, expected) in [
            ("Webseite__c", &["Website__c"][..]),
            ("Employees__c", &["Employee_Count__c"][..]),
            ("Emial__c", &["Email__c"][..]),
            ("Number_Of_Cats__c", &[][..]),
        ] {
            assert_eq!(near(name, known), expected, "{name}");
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        let report = Report::new(Path::new("x.toml"), "a\nbc\n\nd");
        let lines: Vec<usize> = (0..7).map(|byte| report.line_at(byte)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn a_problem_is_told_once_and_in_order() {
        let mut report = Report::new(Path::new("x.toml"), "");
        report.add(2, "b", "B");
        report.add(2, "b", "B");
        report.add_at(None, "a", "A");
        let told: Vec<String> = report.into_problems().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["x.toml: a", "x.toml:2: b"]);
    }
}
