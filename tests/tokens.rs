//! Who asks: the first token and its link, sessions of a browser, more tokens by the command line, what is remembered of
//! whoever gives a command, and what the command line says to whoever may not.

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use orgpipe_simulator::OrgOptions;
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use support::{
    Rig,
    cli::{order, order_as, ordered},
    client,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
};

async fn rig() -> Rig {
    Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| text).await
}

/// Starts the service with all that it logs; gives what it says until it says no more about tokens.
async fn started(rig: &Rig, log: &str) -> (Child, Vec<String>) {
    let log = fs::File::create(rig.folder.path().join(log)).expect("a file");
    let mut command = rig.command(&["run", "--log", "trace"]);
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = vec![lines.next_line().await.expect("readable").expect("it is running")];
    // What is written at once comes at once.
    let patience = std::time::Duration::from_millis(500);
    while let Ok(Ok(Some(line))) = tokio::time::timeout(patience, lines.next_line()).await {
        said.push(line);
    }
    (child, said)
}

fn head(answer: &Response, name: &str) -> String {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Every file below a folder that has this text in it.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).expect("readable").windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[actix_rt::test]
async fn the_first_start_tells_a_link_that_logs_a_browser_in_and_later_ones_tell_nothing() {
    let rig = rig().await;
    let (mut child, said) = started(&rig, "first.log").await;
    let [running, link, file] = said.as_slice() else { panic!("{said:?}") };
    let admin = running.rsplit_once("status on ").expect("an address").1;
    let token = rig.first_token();
    assert_eq!(*link, format!("open {admin}/login?token={token}"));
    assert!(token.starts_with("op_") && token.len() == 67, "{token}");
    assert!(file.contains("data.token"), "{file}");
    let mode = fs::metadata(rig.token_file()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let http = Client::builder().redirect(Policy::none()).build().expect("a client");
    let answer = http.get(&link["open ".len()..]).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let cookie = head(&answer, "set-cookie");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{attribute}: {cookie}");
    }
    assert!(!cookie.contains("Domain") && !cookie.contains("Secure"), "{cookie}");
    let page = answer.text().await.expect("text");
    assert!(page.contains(r#"http-equiv="refresh" content="0; url=/""#) && !page.contains(&token), "{page}");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let dashboard = async |pair: &str| {
        let request = http.get(admin).header("Cookie", pair).header("Accept", "text/html");
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let (status, page) = dashboard(&pair).await;
    assert!(
        status == 200 && page.contains("<strong>first</strong> (admin)") && page.contains("Log out"),
        "{status} {page}"
    );
    let (status, page) = dashboard("").await;
    assert!(status == 401 && page.contains(r#"<form method="post" action="/login">"#), "{status} {page}");

    let out = http.post(format!("{admin}/logout")).header("Cookie", &pair).header("Origin", admin);
    let out = out.send().await.expect("an answer");
    assert_eq!((out.status().as_u16(), head(&out, "location")), (303, "/login".to_owned()));
    assert!(head(&out, "set-cookie").contains("Max-Age=0"));
    assert_eq!(dashboard(&pair).await.0, 401, "the session has ended, whatever the browser still sends");
    let again = http.post(format!("{admin}/login")).form(&[("token", &token)]);
    let again = head(&again.send().await.expect("an answer"), "set-cookie");
    let again = again.split(';').next().expect("a pair");
    assert_eq!(dashboard(again).await.0, 200);
    for (form, expected) in [("token=op_wrong", 401), ("tokn=x", 400), ("", 400), ("token=a&token=b", 400)] {
        let request = http.post(format!("{admin}/login")).body(form);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let page = answer.text().await.expect("text");
        assert!(
            status == expected && page.contains("<form") && !page.contains("op_wrong"),
            "{form}: {status} {page}"
        );
    }
    child.kill().await.expect("killed");

    let (mut child, said) = started(&rig, "second.log").await;
    assert_eq!(said.len(), 1, "nothing more is told: {said:?}");
    let admin = said[0].rsplit_once("status on ").expect("an address").1;
    let url = format!("{admin}/api/v1/orgs");
    assert_eq!(client(&token).get(&url).send().await.expect("an answer").status(), 200, "the token stays");
    let answer = http.get(url).header("Cookie", again).send().await.expect("an answer");
    assert_eq!(answer.status(), 401, "a session ends with the process");
    child.kill().await.expect("killed");

    let secret = &token["op_".len()..];
    assert_eq!(files_with(&rig.folder.path().join("data"), secret), [""; 0], "only the hash is stored");
    let session = again.split_once('=').expect("a pair").1;
    for log in ["first.log", "second.log"] {
        let log = fs::read_to_string(rig.folder.path().join(log)).expect("a log");
        assert!(!log.contains(secret) && !log.contains(session), "no log has a token or a session");
    }
}

#[actix_rt::test]
async fn tokens_are_given_out_and_revoked_by_the_command_line() {
    let mut rig = rig().await;
    rig.start().await;
    let line =
        async |arguments: &[&str]| ordered(&rig, &[&["tokens"], arguments].concat()).await.trim().to_owned();
    let read = line(&["add", "grafana", "--role", "read"]).await;
    let operate = line(&["add", "jo@example.com", "--role", "operate"]).await;
    let listed = line(&["list"]).await;
    for (name, role) in [("first", "admin"), ("grafana", "read"), ("jo@example.com", "operate")] {
        let of = listed.lines().find(|line| line.ends_with(name)).expect("a line");
        assert!(of.contains(role) && of.contains(" UTC"), "{listed}");
    }
    assert!(![&read, &operate, &rig.first_token()].iter().any(|token| listed.contains(token.as_str())));

    assert!(order_as(&rig, &read, &["tree"]).await.0);
    let (done, said) = order_as(&rig, &read, &["org", "pause", "acme"]).await;
    assert!(!done && said.contains("`grafana` has the role read, and this needs operate"), "{said}");
    assert!(said.contains("tokens add NAME --role ROLE"), "{said}");
    assert!(order_as(&rig, &operate, &["org", "pause", "acme"]).await.0);
    let (done, said) = order_as(&rig, &operate, &["tokens", "list"]).await;
    assert!(!done && said.contains("this needs admin"), "{said}");
    // Values of records are told to nobody who may only look.
    let values = format!("{}/api/v1/orgs/acme/dead-letters/7?values=true", rig.admin);
    for (token, expected) in [(&read, 403), (&operate, 404)] {
        let status = client(token).get(&values).send().await.expect("an answer").status();
        assert_eq!(status, expected);
    }

    let (done, said) = order(&rig, &["tokens", "revoke", "first"]).await;
    assert!(!done && said.contains("the last token of the role admin"), "{said}");
    let (done, said) = order(&rig, &["tokens", "revoke", "nobody"]).await;
    assert!(!done && said.contains("there is no token `nobody`"), "{said}");
    let (done, said) = order(&rig, &["tokens", "add", "grafana", "--role", "admin"]).await;
    assert!(!done && said.contains("there is a token `grafana` already"), "{said}");
    line(&["revoke", "grafana"]).await;
    let (done, said) = order_as(&rig, &read, &["tree"]).await;
    assert!(!done && said.contains("does not know the token of the variable `ORGPIPE_TOKEN`"), "{said}");
    assert!(said.contains("tokens reset"), "{said}");
    let other = line(&["add", "other", "--role", "admin"]).await;
    line(&["revoke", "first"]).await;

    rig.kill().await;
    rig.start().await;
    let (done, said) = order(&rig, &["tree"]).await;
    assert!(!done && said.contains("data.token"), "a token that was revoked stays so: {said}");
    assert!(
        order_as(&rig, &operate, &["tree"]).await.0 && order_as(&rig, &other, &["tokens", "list"]).await.0
    );
}

#[actix_rt::test]
async fn whoever_has_lost_all_tokens_makes_a_new_one_while_the_service_does_not_run() {
    let mut rig = rig().await;
    rig.start().await;
    let (old, jo) = (rig.first_token(), rig.token("jo", "admin").await);
    let folder = rig.folder.path().join("data");
    let reset = ["tokens", "reset", "--data-dir", folder.to_str().expect("UTF-8")];
    let (done, said) = order(&rig, &reset).await;
    assert!(!done && said.contains("is in use by process"), "{said}");
    assert_eq!(rig.first_token(), old);
    rig.terminate().await;
    let said = ordered(&rig, &reset).await;
    let new = rig.first_token();
    assert!(said.starts_with(&format!("{new}\n")) && said.contains("revoked") && new != old, "{said}");
    rig.start().await;
    for (token, known) in [(&old, false), (&jo, false), (&new, true)] {
        assert_eq!(order_as(&rig, token, &["tokens", "list"]).await.0, known);
    }
    let nowhere = rig.folder.path().join("nowhere");
    let (done, said) =
        order(&rig, &["tokens", "reset", "--data-dir", nowhere.to_str().expect("UTF-8")]).await;
    assert!(!done && said.contains("has no database") && !nowhere.exists(), "{said}");
}

#[actix_rt::test]
async fn who_tries_out_tokens_is_answered_only_so_often_and_locks_nobody_out() {
    let mut rig = rig().await;
    rig.start().await;
    let url = format!("{}/api/v1/orgs", rig.admin);
    let mut waits = Vec::new();
    for n in 0..40 {
        let answer = client(&format!("op_{n}")).get(&url).send().await.expect("an answer");
        match answer.status().as_u16() {
            401 => {}
            429 => waits.push(head(&answer, "retry-after")),
            other => panic!("{other}"),
        }
    }
    // Ten in a row, and one each two seconds.
    assert!((10..=30).contains(&waits.len()), "{waits:?}");
    assert!(
        waits.iter().all(|wait| wait.parse::<u64>().is_ok_and(|secs| (1..=3).contains(&secs))),
        "{waits:?}"
    );
    let page = Client::new().get(format!("{}/login?token=op_x", rig.admin)).send().await.expect("an answer");
    assert_eq!(page.status(), 429);
    assert!(page.text().await.expect("text").contains("oo many wrong tokens"));
    assert_eq!(rig.http.get(&url).send().await.expect("an answer").status(), 200);
    assert_eq!(Client::new().get(&url).send().await.expect("an answer").status(), 401);
}

#[actix_rt::test]
async fn what_is_done_is_logged_under_the_tokens_name() {
    let mut rig = rig().await;
    rig.start_logged("info").await;
    let jo = rig.token("jo", "operate").await;
    assert!(order_as(&rig, &jo, &["org", "pause", "acme"]).await.0);
    assert!(!order_as(&rig, &jo, &["org", "purge", "acme"]).await.0);
    let log = rig.logged();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a command was accepted")).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("by=\"first\"") && lines[0].contains("/api/v1/tokens"), "{lines:#?}");
    assert!(lines[1].contains("by=\"jo\"") && lines[1].contains("/api/v1/orgs/acme/pause"), "{lines:#?}");
}

#[actix_rt::test]
async fn the_command_line_says_why_there_is_no_answer_and_what_to_do() {
    let mut rig = rig().await;
    rig.start().await;
    let nothing = rig.folder.path().join("nothing");
    let other = rig.folder.path().join("other.token").to_str().expect("UTF-8").to_owned();
    fs::write(&other, "op_of_another_service").expect("written");
    let vendor = rig.simulator.vendor().url();
    let vendor = vendor.strip_suffix("/lookup").unwrap_or(&vendor);
    for (arguments, expected) in [
        (
            ["--token-file", nothing.to_str().expect("UTF-8")],
            ["there is no token", "name it with `--token-file`"],
        ),
        (["--token-file", &other], ["does not know the token of the file", "tokens reset"]),
        (
            ["--url", "http://127.0.0.1:1"],
            ["there is no answer at http://127.0.0.1:1", "Start the service first"],
        ),
        (["--url", vendor], ["is no orgpipe", "--url"]),
        (["--url", "127.0.0.1:8787"], ["write it whole", "http://127.0.0.1:8787"]),
        (["--ca-file", "Cargo.toml"], ["has no certificate that can be read", "PEM"]),
        (["--ca-file", "nowhere.pem"], ["cannot be read", "PEM"]),
        (["--config", "orgpipe.toml"], ["reads no settings any more", "--token-file"]),
    ] {
        let (done, said) = order(&rig, &[&["tree"], &arguments[..]].concat()).await;
        assert!(!done && expected.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
        assert!(!said.contains(&rig.first_token()), "{said}");
    }
    // It needs no settings: the file may be gone.
    fs::remove_file(rig.folder.path().join("orgpipe.toml")).expect("removed");
    let said = ordered(&rig, &["tree"]).await;
    assert!(said.contains("acme"), "{said}");
}

#[actix_rt::test]
async fn tokens_move_with_an_export_and_a_database_of_before_gets_a_first_one() {
    let mut rig = rig().await;
    rig.start().await;
    let (first, jo) = (rig.first_token(), rig.token("jo", "read").await);
    rig.terminate().await;
    let file = rig.folder.path().join("all.jsonl");
    ordered(&rig, &["store", "export", "--with-secrets", file.to_str().expect("UTF-8")]).await;
    let exported = fs::read_to_string(&file).expect("text");
    assert!(!exported.contains(&first["op_".len()..]) && !exported.contains(&jo["op_".len()..]));
    fs::remove_dir_all(rig.folder.path().join("data")).expect("removed");
    ordered(&rig, &["store", "import", file.to_str().expect("UTF-8")]).await;
    let said = ordered(&rig, &["store", "stats"]).await;
    // Two tokens, and that one was made.
    assert!(said.contains("3 values of the service as a whole"), "{said}");
    rig.start().await;
    assert_eq!(rig.first_token(), first, "none was made");
    assert!(order_as(&rig, &jo, &["tree"]).await.0);

    rig.terminate().await;
    fs::remove_dir_all(rig.folder.path().join("data")).expect("removed");
    rig.start().await;
    assert_ne!(rig.first_token(), first, "a database without tokens gets one");
    let answer = rig.http.get(format!("{}/api/v1/tokens", rig.admin)).send().await.expect("an answer");
    let listed: Value = answer.json().await.expect("JSON");
    assert_eq!(listed["tokens"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&listed["tokens"][0]["name"], &listed["tokens"][0]["role"]),
        (&json!("first"), &json!("admin"))
    );
}
