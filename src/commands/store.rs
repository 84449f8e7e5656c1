//! `orgpipe store ACTION`: the data directory of a service that does not run.
//!
//! Here: which directory, and how a result looks. Not here: the work (`orgpipe_store::offline`).

use std::{path::PathBuf, process::ExitCode};

use comfy_table::{CellAlignment, Table, presets};
use orgpipe_actors::SECRET_POSITIONS;
use orgpipe_store::{
    StoreError,
    offline::{self, Compacted, Exported, Imported, LeftOut, Loss, Survey},
};

use crate::{
    admin::{SESSION_KIND, TOKEN_KIND},
    cli::{DataDirArgs, StoreAction, StoreArgs},
    config::{self, Environment},
    output,
};

/// What an export has only if it is asked for: everything that lets somebody in, and what would tell from a hash which value
/// it is of.
const SECRETS: LeftOut<'static> =
    LeftOut { positions: &SECRET_POSITIONS, kinds: &[TOKEN_KIND, SESSION_KIND] };

/// What follows from that for whoever imports it.
const WITHOUT_SECRETS: &[&str] = &[
    "The file was made without secrets:",
    "- customers who connected have to connect again; a refresh token of the settings that has changed at each use, too",
    "- tokens of the admin API are made anew",
    "- keys of hashes are made anew: `orgpipe explain` marks values otherwise than before, and what an org keeps in a form of \
     its own is written once more",
];

/// Problems and losses printed before the rest is only counted.
const SHOWN_MAX: usize = 100;

/// Does what was asked for.
pub(crate) fn run(args: &StoreArgs) -> ExitCode {
    act(args).unwrap_or_else(|exit| exit)
}

fn act(args: &StoreArgs) -> Result<ExitCode, ExitCode> {
    Ok(match &args.action {
        StoreAction::Verify(args) => verified(&done(offline::survey(&dir(args)?))?),
        StoreAction::Stats(args) => {
            let survey = done(offline::survey(&dir(args)?))?;
            output::line(&table(&survey).to_string());
            output::line(&format!(
                "{} of the service as a whole",
                count(survey.registered, "value", "values")
            ));
            output::line(&format!("{} of short history", size(survey.history_bytes)));
            output::line(&format!(
                "{} of data in files of {}",
                size(survey.live_bytes),
                size(survey.disk_bytes)
            ));
            verified(&survey)
        }
        StoreAction::Compact(args) => {
            let Compacted { entries, bytes_before, bytes_after } = done(offline::compact(&dir(args)?))?;
            output::line(&format!(
                "{entries} entries; {} before, {} now",
                size(bytes_before),
                size(bytes_after)
            ));
            ExitCode::SUCCESS
        }
        StoreAction::Export(args) => {
            let left_out = if args.with_secrets { LeftOut::default() } else { SECRETS };
            let exported = offline::export(&dir(&args.from)?, &args.file, &left_out);
            let Exported { entries, left_out, history, lost } = done(exported)?;
            output::line(&format!("{entries} entries in {}", args.file.display()));
            if left_out > 0 {
                output::line(&format!(
                    "{} left out: refresh tokens, keys of hashes, admin tokens; `--with-secrets` keeps them",
                    count(left_out, "secret is", "secrets are")
                ));
            }
            if history > 0 {
                output::line(
                    "the service's short history is left out: it is no work that would go on elsewhere",
                );
            }
            listed("could not be read", lost)
        }
        StoreAction::Import(args) => {
            let imported = offline::import(&args.file, &dir(&args.into)?, args.incomplete);
            let Imported { entries, losses, left_out } = done(imported)?;
            output::line(&format!("{entries} entries are in the new database"));
            if !left_out.is_empty() {
                for line in WITHOUT_SECRETS {
                    output::line(line);
                }
            }
            listed("is missing; a full refresh finds it", losses.iter().map(Loss::sentence).collect())
        }
    })
}

fn dir(args: &DataDirArgs) -> Result<PathBuf, ExitCode> {
    if let Some(dir) = &args.data_dir {
        return Ok(dir.clone());
    }
    let config = config::load(&args.config, &Environment::of_process());
    Ok(config.map_err(|problems| output::problems(&args.config, &problems))?.settings.data_dir)
}

fn done<T>(done: Result<T, StoreError>) -> Result<T, ExitCode> {
    done.map_err(|error| output::failure(&error, error.hint().as_deref()))
}

fn verified(survey: &Survey) -> ExitCode {
    let Survey { orgs, entries, problems, problems_more, .. } = survey;
    if problems.is_empty() {
        let (entries, orgs) = (count(*entries, "entry", "entries"), count(orgs.len() as u64, "org", "orgs"));
        output::line(&format!(
            "{entries} of {orgs}: all are as they were written, and every ledger balances"
        ));
        return ExitCode::SUCCESS;
    }
    for problem in problems.iter().take(SHOWN_MAX) {
        output::line(problem);
    }
    let all = problems.len() as u64 + problems_more;
    output::line(&format!("{} found", count(all, "problem", "problems")));
    output::line(
        "Keep a copy of the directory. `orgpipe store export` takes out what can be read, and `orgpipe store import \
         --incomplete` brings it into an empty one.",
    );
    ExitCode::FAILURE
}

/// What is lost, line by line; a failure if anything is.
fn listed(what: &str, lost: Vec<String>) -> ExitCode {
    let more = lost.len().saturating_sub(SHOWN_MAX);
    let code = if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    for one in lost.into_iter().take(SHOWN_MAX) {
        output::line(&format!("{what}: {one}"));
    }
    if more > 0 {
        output::line(&format!("… and {more} more"));
    }
    code
}

fn table(survey: &Survey) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "org",
        "records in",
        "open",
        "requests",
        "changes",
        "jobs",
        "dead letters",
        "rows",
        "all",
    ]);
    for org in &survey.orgs {
        let numbers =
            [org.counts.records_in, org.counts.open(), org.requests, org.changes, org.jobs, org.dead_letters];
        let cells = numbers.map(|number| number.to_string()).into_iter();
        table.add_row(
            [org.org.clone()].into_iter().chain(cells).chain([size(org.row_bytes), size(org.bytes)]),
        );
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Bytes, in the largest unit of which there is one.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_a_unit_that_fits() {
        let cases =
            [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_600_000, "1.5 MiB"), (3 << 30, "3.0 GiB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
