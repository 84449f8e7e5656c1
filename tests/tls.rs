//! The admin API over TLS, with certificates of an authority of our own.

mod support;

use std::fs;

use orgpipe_simulator::OrgOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::{Certificate, Client, redirect::Policy};
use support::{
    Rig,
    cli::{order, ordered},
};

/// An authority.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, key()).expect("an authority")
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

/// Writes a certificate for these names, and its key, where the settings name them.
fn certify(rig: &Rig, authority: &CertifiedIssuer<'_, KeyPair>, names: &[&str]) {
    let (names, key) = (names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), key());
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    rig.write("orgpipe.pem", &certificate.pem());
    rig.write("orgpipe.tls.key", &key.serialize_pem());
}

/// One org, the service listening beyond loopback with TLS.
async fn rig(authority: &CertifiedIssuer<'_, KeyPair>) -> Rig {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let tls = "tls = { cert_file = \"orgpipe.pem\", key_file = \"orgpipe.tls.key\" }";
    let listen = format!("listen = \"0.0.0.0:0\"\nhosts = [\"localhost\"]\n{tls}");
    let rig = Rig::with(vec![org], |text| text.replace("listen = \"127.0.0.1:0\"", &listen)).await;
    certify(&rig, authority, &["localhost"]);
    rig.write("ca.pem", &authority.pem());
    rig
}

#[actix_rt::test]
async fn the_command_line_and_browsers_reach_it_where_they_trust_its_authority() {
    let authority = authority();
    let mut rig = rig(&authority).await;
    rig.start().await;
    assert!(rig.admin.starts_with("https://localhost:"), "{}", rig.admin);
    let file = |name: &str| rig.folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let said = ordered(&rig, &["tree", "--ca-file", &file("ca.pem")]).await;
    assert!(said.contains("acme"), "{said}");
    let (done, said) = order(&rig, &["tree"]).await;
    assert!(!done && said.contains("is not trusted") && said.contains("--ca-file"), "{said}");
    let by_address = rig.admin.replace("localhost", "127.0.0.1");
    let (done, said) = order(&rig, &["tree", "--ca-file", &file("ca.pem"), "--url", &by_address]).await;
    assert!(!done && said.contains("is not trusted") && said.contains("127.0.0.1"), "{said}");
    let (done, said) = order(&rig, &["tree", "--url", &rig.admin.replace("https", "http")]).await;
    assert!(!done && (said.contains("there is no answer") || said.contains("is no orgpipe")), "{said}");

    let trusted = Certificate::from_pem(&fs::read(file("ca.pem")).expect("a file")).expect("a certificate");
    let http =
        Client::builder().redirect(Policy::none()).tls_certs_only([trusted]).build().expect("a client");
    let token = rig.first_token();
    let answer = http.post(format!("{}/login", rig.admin)).form(&[("token", &token)]).send().await;
    let answer = answer.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.starts_with("__Host-orgpipe_") && cookie.contains("; Secure;"), "{cookie}");
    assert!(!cookie.contains("Domain"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    let page = http.get(&rig.admin).header("Cookie", pair).send().await.expect("an answer");
    assert_eq!(page.status(), 200);
}

#[actix_rt::test]
async fn a_reload_shows_another_certificate_and_one_that_is_wrong_changes_nothing() {
    let (old, new) = (authority(), authority());
    let mut rig = rig(&old).await;
    rig.start().await;
    rig.write("new-ca.pem", &new.pem());
    let file = |name: &str| rig.folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (old_ca, new_ca) = (file("ca.pem"), file("new-ca.pem"));

    rig.write("orgpipe.tls.key", &key().serialize_pem());
    let (done, said) = order(&rig, &["reload", "--ca-file", &old_ca]).await;
    assert!(!done && said.contains("does not belong to the certificate"), "{said}");
    ordered(&rig, &["tree", "--ca-file", &old_ca]).await;
    certify(&rig, &new, &["localhost"]);
    ordered(&rig, &["reload", "--ca-file", &old_ca]).await;
    ordered(&rig, &["tree", "--ca-file", &new_ca]).await;
    let (done, said) = order(&rig, &["tree", "--ca-file", &old_ca]).await;
    assert!(!done && said.contains("is not trusted"), "{said}");
    // Without TLS it would have to begin anew.
    let settings = fs::read_to_string(file("orgpipe.toml")).expect("settings");
    let without: Vec<&str> = settings.lines().filter(|line| !line.starts_with("tls =")).collect();
    rig.write("orgpipe.toml", &without.join("\n").replace("hosts =", "behind_proxy = true\nhosts ="));
    let said = ordered(&rig, &["reload", "--ca-file", &new_ca]).await;
    assert!(said.contains("service.tls, service.behind_proxy"), "{said}");
}
