//! `orgpipe org ACTION ORG`: gives the running service a command to one org, and prints what follows from it.
//!
//! Here: which path of the admin API each action is. Not here: what an org does with a command (`orgpipe_actors`).

use std::process::ExitCode;

use super::running;
use crate::{
    cli::{OrgAction, OrgArgs},
    output,
};

/// Gives the command.
pub(crate) fn run(args: &OrgArgs) -> ExitCode {
    let deadline;
    let from;
    let (action, target, query) = match &args.action {
        OrgAction::Pause(target) => ("pause", target, vec![]),
        OrgAction::Resume(target) => ("resume", target, vec![]),
        OrgAction::Purge(target) => ("purge", target, vec![]),
        OrgAction::Restart(target) => ("restart", target, vec![]),
        OrgAction::Drain(drain) => {
            deadline = drain.deadline_secs.to_string();
            ("drain", &drain.target, vec![("deadline_secs", deadline.as_str())])
        }
        OrgAction::Replay(replay) => {
            from = replay.from.to_string();
            let mut query = vec![("from", from.as_str())];
            query.extend(replay.channel.iter().map(|channel| ("channel", channel.as_str())));
            ("replay", &replay.target, query)
        }
    };
    match running::post(&target.service, &["orgs", &target.org, action], &query) {
        Ok(answer) => {
            output::line(&format!("org {}: {action} ordered; status on {}", target.org, answer.url));
            let consequence = answer.text("consequence");
            if !consequence.is_empty() {
                output::line(consequence);
            }
            let before = answer.text("before");
            if !before.is_empty() {
                output::line(&format!(
                    "The position was {before}; back to it: orgpipe org replay {} --from {before}",
                    target.org
                ));
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}
