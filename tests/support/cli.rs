//! Orders to the running service by the real command line.
#![allow(dead_code, reason = "each test file uses its part")]

use std::process::Stdio;

use orgpipe_simulator::OrgOptions;
use tokio::process::Command;

use super::{PATIENCE, Rig};

/// One org, `acme`, without the Flow; not started yet.
pub(crate) async fn reachable(edit: impl FnOnce(String) -> String) -> Rig {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    Rig::with(vec![org], edit).await
}

/// The same as somebody else: with the token in the environment.
pub(crate) async fn order_as(rig: &Rig, token: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = rig.command(arguments);
    output(arguments, command.env("ORGPIPE_TOKEN", token)).await
}

/// Gives an order by the command line: whether it was done, and what it printed, in one text.
pub(crate) async fn order(rig: &Rig, arguments: &[&str]) -> (bool, String) {
    output(arguments, &mut rig.command(arguments)).await
}

/// The same with the exit code.
pub(crate) async fn exit_code(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    ended(arguments, &mut rig.command(arguments)).await
}

async fn output(arguments: &[&str], command: &mut Command) -> (bool, String) {
    let (code, text) = ended(arguments, command).await;
    (code == Some(0), text)
}

async fn ended(arguments: &[&str], command: &mut Command) -> (Option<i32>, String) {
    // Nobody is there to be asked, wherever the tests run.
    let output = tokio::time::timeout(PATIENCE, command.stdin(Stdio::null()).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).expect("the command runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("UTF-8"))
}

/// The same for one that must be done.
pub(crate) async fn ordered(rig: &Rig, arguments: &[&str]) -> String {
    let (done, said) = order(rig, arguments).await;
    assert!(done, "{arguments:?}: {said}");
    said
}
