//! The program: reads settings, starts the actors, answers operators.
//!
//! Here: parse, set up the log, hand over. Not here: the work (`orgpipe_actors`).

mod admin;
mod audit_log;
mod cli;
mod commands;
mod config;
mod connect;
mod dashboard;
mod effective;
mod in_force;

mod output;
mod telemetry;
mod traces;
mod transcript;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    config::Environment,
};

/// The C library's keeps what many threads free by turns: the memory grew with the number of records written.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Whatever we write, records and keys of customers may stand in it. The database's library asks for no mode.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = Cli::parse();
    // The others say what they have to say themselves.
    let filter = match cli.command {
        Command::Run(_) | Command::Simulate(_) => "info,actix_server=warn",
        Command::Check(_)
        | Command::Doctor(_)
        | Command::Limits(_)
        | Command::Preview(_)
        | Command::Refresh(_)
        | Command::Push(_)
        | Command::Sync(_)
        | Command::Org(_)
        | Command::Orgs(_)
        | Command::Reload(_)
        | Command::DeadLetters(_)
        | Command::Audit(_)
        | Command::Tree(_)
        | Command::Alerts(_)
        | Command::Notify(_)
        | Command::Tokens(_)
        | Command::Store(_)
        | Command::Vault(_)
        | Command::Explain(_)
        | Command::Openapi
        | Command::Demo(_) => "off",
    };
    if let Some(folder) = Environment::of_process().transcripts()
        && let Err(error) = transcript::begin(&folder)
    {
        return output::failure(&error, None);
    }
    match telemetry::init(&cli.log, filter) {
        Ok(()) => {
            let exit = commands::dispatch(cli.command);
            telemetry::end();
            exit
        }
        Err(error) => output::failure(&error, None),
    }
}
