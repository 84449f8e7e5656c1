//! Schemathesis, which knows nothing of this code, holds the service against the document that it serves: requests that fit it and
//! requests that do not, and answers that must be as it says. The document itself is judged by `openapi-spec-validator`.
//!
//! `cargo xtask test` installs both. Without them the test says so and passes, except in CI.

use std::path::{Path, PathBuf};

use crate::{get, letter, rig, support::Rig};

/// So that a run can be repeated.
const SEED: &str = "7";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,negative_data_rejection";

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/.venv/bin").join(name)
}

/// Holds the document as it is served against the rules of OpenAPI 3.1.
async fn judge(rig: &Rig) {
    let url = format!("{}/api/v1/openapi.json", rig.admin);
    let answer = rig.http.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    rig.write("served.json", &answer.text().await.expect("a text"));
    let run = tokio::process::Command::new(program("openapi-spec-validator"))
        .args(["--schema", "3.1", "served.json"])
        .current_dir(rig.folder.path())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[actix_rt::test]
#[expect(clippy::disallowed_methods, reason = "a test asks the environment whether this is CI")]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
async fn the_service_answers_as_its_contract_says() {
    if !["st", "openapi-spec-validator"].iter().all(|name| program(name).exists()) {
        assert!(std::env::var_os("CI").is_none(), "run `cargo xtask test` once, which installs Schemathesis");
        println!(
            "skipped: `cargo xtask test` installs Schemathesis, which holds the service against its contract"
        );
        return;
    }
    let rig = rig().await;
    judge(&rig).await;
    let document = format!("{}/api/v1/openapi.json", rig.admin);
    // With values that Schemathesis invents, and with those that there are. It is to revoke no token by which it asks itself.
    rig.token("spare", "read").await;
    let spare = "[[operations]]\ninclude-path = \"/api/v1/tokens/{name}/revoke\"\n[operations.parameters]\n\"path.name\" = \"spare\"\n";
    rig.write("invented.toml", spare);
    let letter = letter(&rig).await;
    let record = rig.org("acme").rows("Account")[0]["Id"].clone();
    let there_is = format!(
        "[parameters]\n\"path.org\" = \"acme\"\n\"path.number\" = {letter}\n\"path.record\" = {record}\n\"query.reason\" = \"e\"\n{spare}"
    );
    rig.write("there-is.toml", &there_is);
    for (config, examples_max) in [("there-is.toml", "10"), ("invented.toml", "30")] {
        let run = tokio::process::Command::new(program("st"))
            .args(["--config-file", config, "run", &document])
            .args(["--url", &rig.admin, "--header", &format!("Authorization: Bearer {}", rig.first_token())])
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", examples_max, "--seed", SEED, "--continue-on-failure", "--no-color"])
            .args(["--suppress-health-check", "all", "--generation-database", "none"])
            .current_dir(rig.folder.path())
            .kill_on_drop(true)
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{config}: {said}\n{}", String::from_utf8_lossy(&run.stderr));
        assert!(said.contains("Fuzzing (in"), "{said}");
        // Answered only if its token is still good.
        get(&rig, "tokens").await;
        // It warns of paths of which it has seen nothing but 404.
        let has_seen_none = said.contains("- GET /api/v1/orgs/{org}\n");
        assert_eq!(has_seen_none, config == "invented.toml", "{said}");
    }
}
