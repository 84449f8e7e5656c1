//! Real clients judge the simulator: the CometD JavaScript client and jsforce run their scripts against it.
//!
//! Needs `npm ci --prefix crates/simulator/judges`, which brings a Node of its own. Without it the test says so and
//! passes, except in CI, where the judges must sit.
#![expect(clippy::disallowed_methods, reason = "a test asks the environment whether this is CI")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use orgpipe_simulator::{Options, OrgHandle, OrgOptions, Simulator};

fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("judges")
}

/// Runs one script against an org; its output is shown if it fails.
async fn judge(script: &str, org: &OrgHandle) {
    let node = judges().join("node_modules/.bin/node");
    let run = tokio::process::Command::new(node)
        .arg(judges().join(script))
        .env("LOGIN_URL", org.base_url())
        .env("CLIENT_ID", org.client_id())
        .env("USERNAME", org.username())
        .env("PRIVATE_KEY", org.private_key_pem())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node runs");
    let calls: Vec<String> = org
        .calls()
        .iter()
        .map(|call| format!("{} {} {} {}", call.status, call.method, call.path, call.query))
        .collect();
    assert!(
        run.status.success(),
        "{script} failed\n{}\n{}\nthe org's last calls:\n{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
        calls[calls.len().saturating_sub(15)..].join("\n"),
    );
}

#[test]
fn real_clients_accept_the_simulator() {
    if !judges().join("node_modules/.bin/node").exists() {
        assert!(std::env::var_os("CI").is_none(), "run `npm ci --prefix crates/simulator/judges` first");
        println!(
            "skipped: run `npm ci --prefix crates/simulator/judges` to let real clients judge the simulator"
        );
        return;
    }
    actix_rt::System::new().block_on(async {
        let orgs = vec![OrgOptions::named("cometd"), OrgOptions::named("jsforce")];
        let options = Options { orgs, time_scale: 10.0, ..Options::default() };
        let simulator = Simulator::start(options).await.expect("it starts");
        judge("cometd.mjs", &simulator.orgs()[0]).await;
        judge("jsforce.mjs", &simulator.orgs()[1]).await;
        simulator.stop().await;
    });
}
