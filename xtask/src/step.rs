//! One command of a run: told before it starts, and by name when it fails.

use std::{ffi::OsStr, process::Command};

/// One check: what it proves, and the command that proves it.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) command: &'static [&'static str],
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// Whether the command could be started and succeeded.
pub(crate) fn run(step: &Step) -> bool {
    run_with(step, &[])
}

/// The same with these variables besides.
pub(crate) fn run_with(step: &Step, variables: &[(&str, &OsStr)]) -> bool {
    println!("── {}: {}", step.name, step.command.join(" "));
    let (program, arguments) = step.command.split_first().expect("every step names a program");
    match Command::new(program)
        .args(arguments)
        .envs(step.env.iter().copied())
        .envs(variables.iter().copied())
        .status()
    {
        Ok(status) if status.success() => true,
        Ok(status) => {
            eprintln!("{} failed ({status}): {}", step.name, step.command.join(" "));
            false
        }
        Err(cause) => {
            eprintln!("{}: `{program}` could not be started: {cause}. Is it on PATH?", step.name);
            false
        }
    }
}
