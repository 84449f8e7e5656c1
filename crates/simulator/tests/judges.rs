//! Real clients judge the simulator: the CometD JavaScript client, jsforce and the JWT library jose run their scripts
//! against it.
//!
//! Needs `npm ci --prefix crates/simulator/judges`, which brings a Node of its own. Without it the test says so and
//! passes, except in CI, where the judges must sit.
#![expect(clippy::disallowed_methods, reason = "a test asks the environment whether this is CI")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use orgpipe_simulator::{LoginPolicy, Options, OrgHandle, OrgOptions, Simulator};

const CALLBACK: &str = "http://127.0.0.1:7171/oauth/callback";

fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("judges")
}

/// Runs one script against an org; its output is shown if it fails.
async fn judge(script: &str, simulator: &Simulator, org: &OrgHandle) {
    let node = judges().join("node_modules/.bin/node");
    let run = tokio::process::Command::new(node)
        .arg(judges().join(script))
        .env("LOGIN_URL", org.base_url())
        .env("CONTROL_URL", simulator.control_url())
        .env("ORG", org.name())
        .env("CLIENT_ID", org.client_id())
        .env("CLIENT_SECRET", org.client_secret())
        .env("REDIRECT_URI", CALLBACK)
        .env("USERNAME", org.username())
        .env("PASSWORD", org.password())
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
        let scripts = ["cometd.mjs", "jsforce.mjs", "jwt.mjs", "oauth.mjs"];
        let login_policy = LoginPolicy { redirect_uris: vec![CALLBACK.to_owned()], ..LoginPolicy::default() };
        let named = |name: &str| OrgOptions { login_policy: login_policy.clone(), ..OrgOptions::named(name) };
        let options = Options { orgs: scripts.map(named).to_vec(), time_scale: 10.0, ..Options::default() };
        let simulator = Simulator::start(options).await.expect("it starts");
        for (script, org) in scripts.iter().zip(simulator.orgs()) {
            judge(script, &simulator, org).await;
        }
        simulator.stop().await;
    });
}
