//! Where the admin API listens, under which names, and how what it says is protected on the way.
//!
//! Here: `listen`, `hosts`, `tls` and `behind_proxy` of the service. Not here: what the files of `tls` hold
//! (`certificate`), serving (`src/admin`).

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use super::{metrics, value::host_names};
use crate::config::{
    certificate::Certificate,
    contents::AdminSettings,
    reader::Written,
    report::Report,
    secrets::{Environment, SecretProblem},
    tables::{ServiceTable, TlsTable},
};

/// Port of the admin API unless the file says otherwise.
const LISTEN_PORT: u16 = 8787;

/// All of it; relative paths start from `folder`.
pub(super) fn resolve(
    table: Option<&ServiceTable<'_>>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<AdminSettings> {
    let certificate = match table.and_then(|table| table.tls.as_ref()) {
        Some(tls) if environment.looks() => certificate(tls, folder, environment, report).map(Some),
        Some(_) | None => Some(None),
    };
    let behind_proxy =
        table.and_then(|table| table.behind_proxy.as_ref()).is_some_and(|written| written.value);
    let (listen, hosts) = (listen(table, report), hosts(table, report));
    let metrics = metrics::resolve(table.and_then(|table| table.metrics.as_ref()), report)?;
    Some(AdminSettings { listen: listen?, hosts: hosts?, certificate: certificate?, behind_proxy, metrics })
}

/// The address; beyond loopback only where tokens do not travel in clear.
fn listen(table: Option<&ServiceTable<'_>>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let Some((table, written)) = table.and_then(|table| Some((table, table.listen.as_ref()?))) else {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, LISTEN_PORT)));
    };
    let section = &table.section;
    let Ok(address) = written.value.parse::<SocketAddr>() else {
        let message = format!("is `{}`, which is no address with a port", written.value);
        let hint = "Write an IP address and a port, such as \"127.0.0.1:8787\" or \"[::1]:8787\".";
        section.problem(report, written.line, "listen", &message, hint);
        return None;
    };
    let behind_proxy = table.behind_proxy.as_ref().is_some_and(|flag| flag.value);
    if !address.ip().is_loopback() && table.tls.is_none() && !behind_proxy {
        let message =
            format!("is `{address}`, which other machines can reach, and tokens would travel there in clear");
        let hint = "Listen on 127.0.0.1, or write `tls = { cert_file = \"…\", key_file = \"…\" }`, or \
                    `behind_proxy = true` where a proxy in front of it speaks TLS.";
        section.problem(report, written.line, "listen", &message, hint);
        return None;
    }
    Some(address)
}

/// Names under which the admin API may be asked for.
fn hosts(table: Option<&ServiceTable<'_>>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let Some((table, written)) = table.and_then(|table| Some((table, table.hosts.as_ref()?))) else {
        return Some(Vec::new());
    };
    let hint = "Write a name alone, such as \"orgpipe.internal\": no `https://`, no port. Addresses need not be named.";
    host_names(&table.section, report, "hosts", written, hint)
}

fn certificate(
    table: &TlsTable<'_>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<Certificate> {
    let section = &table.section;
    let hint = "Name a file with the certificate and those that vouch for it, as PEM.";
    let certificates = section.demand(report, "cert_file", table.cert_file.as_ref(), hint);
    let hint = "Name the file of the certificate's private key, as PEM.";
    let key = section.demand(report, "key_file", table.key_file.as_ref(), hint);
    let certificates = certificates.map(|written| {
        let path = folder.join(&written.value);
        let read = environment.certificates(&path);
        let read =
            read.map_err(|cause| SecretProblem::Unreadable { path: path.display().to_string(), cause });
        (written, read)
    });
    let key = key.map(|written| (written, environment.secret_file(folder, &written.value)));
    let mut unreadable = |key: &str, written: &Written<String>, problem: &SecretProblem| {
        section.problem(report, written.line, key, &problem.to_string(), problem.hint());
    };
    if let Some((written, Err(problem))) = &certificates {
        unreadable("cert_file", written, problem);
    }
    if let Some((written, Err(problem))) = &key {
        unreadable("key_file", written, problem);
    }
    let ((of_certificates, certificates), (of_key, key)) = (certificates?, key?);
    match Certificate::read(&certificates.ok()?, &key.ok()?) {
        Ok(certificate) => Some(certificate),
        Err(problem) => {
            let (name, written) =
                if problem.is_of_key() { ("key_file", of_key) } else { ("cert_file", of_certificates) };
            section.problem(report, written.line, name, &problem.to_string(), problem.hint());
            None
        }
    }
}
