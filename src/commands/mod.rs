//! What each command does; one file per command.
//!
//! Here: which command is which file. Not here: what may be typed (`cli`), how a result looks (`output`).

mod alerts;
mod audit;
mod check;
mod dead_letters;
mod demo;
mod doctor;
mod explain;
mod limits;
mod openapi;
mod org;
mod orgs;
mod preview;
mod push;
mod refresh;
mod rehearsal;
mod reload;
mod retried;
mod run;
mod running;
mod simulate;
mod store;
mod sync;
mod tokens;
mod tree;
mod vault;

use std::process::ExitCode;

use crate::cli::Command;

/// Does what was asked for.
pub(crate) fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Preview(args) => preview::run(&args),
        Command::Refresh(args) => refresh::run(&args),
        Command::Push(args) => push::run(&args),
        Command::Sync(args) => sync::run(&args),
        Command::Limits(target) => limits::run(&target),
        Command::Explain(args) => explain::run(&args),
        Command::Org(args) => org::run(&args),
        Command::Orgs(args) => orgs::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::DeadLetters(args) => dead_letters::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Tree(args) => tree::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Notify(args) => alerts::notify(&args),
        Command::Tokens(args) => tokens::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Vault(args) => vault::run(&args),
        Command::Openapi => openapi::run(),
        Command::Demo(args) => demo::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    }
}
