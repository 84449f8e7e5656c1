//! The only file that prints: results to standard output, problems and failures to standard error.
//!
//! Here: how lines look. Not here: what they say; the log (`telemetry`).
//!
//! A reader that went away (`orgpipe check | head`) is no reason to fail, so errors of writing are passed over.

use std::{
    error::Error,
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicU16, Ordering},
};

use crossterm::{
    cursor,
    terminal::{Clear, ClearType},
};

use orgpipe_actors::CheckProblem;

use crate::{config::Problem, transcript::Copied};

/// Exit code for wrong settings; clap uses the same for wrong arguments.
const SETTINGS_ARE_WRONG: u8 = 2;
/// Problems shown before the rest is only counted.
const PROBLEMS_SHOWN_MAX: usize = 100;

/// Lines that the last [`redraw`] printed.
static DRAWN: AtomicU16 = AtomicU16::new(0);

/// Prints one line of a result.
pub(crate) fn line(text: &str) {
    let _ = writeln!(Copied(std::io::stdout().lock()), "{}", printable(text));
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Asks a question that is answered by yes or no; none if standard input is no terminal, so that nobody can be asked.
///
/// It is asked on standard error, as standard output may go to a file.
pub(crate) fn confirmed(question: &str) -> Option<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return None;
    }
    let mut out = Copied(std::io::stderr().lock());
    let _ = write!(out, "{} [y/N] ", printable(question));
    let _ = out.flush();
    let mut answer = String::new();
    // The end of the input is no yes.
    Some(input.read_line(&mut answer).is_ok() && is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    let answer = answer.trim();
    answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
}

/// Prints several lines in the place of those printed by the last call, on a terminal.
pub(crate) fn redraw(text: &str) {
    let lines = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
    let above = DRAWN.swap(lines, Ordering::Relaxed);
    let mut out = Copied(std::io::stdout().lock());
    if above > 0 {
        let _ = crossterm::queue!(out, cursor::MoveToPreviousLine(above), Clear(ClearType::FromCursorDown));
    }
    let _ = writeln!(out, "{}", printable(text));
    let _ = out.flush();
}

/// Prints all problems of a settings file, in the order of its lines, and gives the exit code.
pub(crate) fn problems(file: &Path, problems: &[Problem]) -> ExitCode {
    let mut out = Copied(std::io::stderr().lock());
    for problem in problems.iter().take(PROBLEMS_SHOWN_MAX) {
        let _ = writeln!(out, "{}", printable(&problem.to_string()));
        let _ = writeln!(out, "    {}", printable(&problem.hint));
    }
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(out, "… and {more} more");
    }
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let _ = writeln!(out, "{}: {count}; nothing was started", printable(&file.display().to_string()));
    ExitCode::from(SETTINGS_ARE_WRONG)
}

/// Prints what should be otherwise in a settings file although it works.
pub(crate) fn warnings(warnings: &[Problem]) {
    let mut out = Copied(std::io::stderr().lock());
    for warning in warnings.iter().take(PROBLEMS_SHOWN_MAX) {
        let _ = writeln!(out, "warning: {}", printable(&warning.to_string()));
        let _ = writeln!(out, "    {}", printable(&warning.hint));
    }
    let more = warnings.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(out, "… and {more} more");
    }
}

/// Prints what your API or an org would not do, and gives the exit code.
pub(crate) fn check_problems(problems: &[CheckProblem]) -> ExitCode {
    let mut out = Copied(std::io::stderr().lock());
    for CheckProblem { place, message, hint } in problems.iter().take(PROBLEMS_SHOWN_MAX) {
        let place = if place.is_empty() { "your API" } else { place };
        let _ = writeln!(out, "{}", printable(&format!("{place}: {message}")));
        let _ = writeln!(out, "    {}", printable(hint));
    }
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(out, "… and {more} more");
    }
    ExitCode::FAILURE
}

/// Prints why a command failed, with its causes and what to do, and gives the exit code.
pub(crate) fn failure(error: &dyn Error, hint: Option<&str>) -> ExitCode {
    let mut out = Copied(std::io::stderr().lock());
    let _ = writeln!(out, "error: {}", printable(&error.to_string()));
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(out, "    because: {}", printable(&error.to_string()));
        cause = error.source();
    }
    if let Some(hint) = hint {
        let _ = writeln!(out, "    {}", printable(hint));
    }
    ExitCode::FAILURE
}

/// Prints why arguments cannot be taken as they are, and what to do, and gives the exit code.
pub(crate) fn wrong_arguments(what: &str, hint: &str) -> ExitCode {
    let mut out = Copied(std::io::stderr().lock());
    let _ = writeln!(out, "error: {}\n    {}", printable(what), printable(hint));
    ExitCode::from(SETTINGS_ARE_WRONG)
}

/// A text of an org's or your API's as a part of one line.
pub(crate) fn part(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// Whether a character ends a line, steers a terminal or turns the direction of writing.
pub(crate) fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that could steer a terminal become `�`; line ends stay.
fn printable(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for (answer, yes) in [("y\n", true), (" YES \n", true), ("", false), ("\n", false), ("n\n", false)] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }

    #[test]
    fn a_terminal_is_not_steered_by_what_is_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a�[2Jb�\nc");
        assert_eq!(printable("a\u{202e}b\u{9b}c"), "a�b�c");
        assert_eq!(part("a\nb"), "a b");
    }
}
