//! Where a token may be sent.
//!
//! Here: which hosts are an org's. Not here: reading the answer that names one (`oauth`), hosts that people type (`login_host`).
//!
//! Invariant: a token leaves this machine for a host of Salesforce's, for the host it came from, or for one that the operator
//! listed; over https, but for a simulator on this machine.

use url::{Host, Url};

/// Domains under which Salesforce serves its API (HELP, "My Domain URL Formats"); the last two are Government Cloud and
/// Salesforce on Alibaba Cloud.
const DOMAINS: [&str; 5] =
    [".salesforce.com", ".force.com", ".cloudforce.com", ".salesforce.mil", ".sfcrmproducts.cn"];
/// Domains of Salesforce's that serve pages and files only.
const PAGES: [&str; 6] = [
    ".lightning.force.com",
    ".vf.force.com",
    ".visual.force.com",
    ".content.force.com",
    ".file.force.com",
    ".salesforce-setup.com",
];

/// Why no token is sent somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignInstance {
    /// Whoever listens on the way would have the token.
    #[error("it is not https, and a token is not sent in the clear")]
    InTheClear,
    /// It serves pages.
    #[error("it serves pages, not the API")]
    Pages,
    /// Anybody could be there.
    #[error("it is neither of Salesforce nor the host of the login, and no token is sent elsewhere")]
    Elsewhere,
}

/// Whether a token that was given at `login_url` may be sent to `url`. `extra_hosts`: what the operator lists beside
/// Salesforce's domains, whole host names such as `sf-gateway.example.com`.
pub fn accepts(url: &Url, login_url: &Url, extra_hosts: &[String]) -> Result<(), ForeignInstance> {
    let host = url.host_str().unwrap_or_default();
    let on_this_machine = is_loopback(url) && is_loopback(login_url);
    if url.scheme() != "https" && !(url.scheme() == "http" && login_url.scheme() == "http" && on_this_machine)
    {
        return Err(ForeignInstance::InTheClear);
    }
    if serves_pages(host) {
        return Err(ForeignInstance::Pages);
    }
    let is_listed = extra_hosts.iter().any(|extra| extra.eq_ignore_ascii_case(host));
    let is_logins_own = login_url.host_str() == Some(host);
    if on_this_machine || is_logins_own || is_listed || is_salesforces(host) {
        Ok(())
    } else {
        Err(ForeignInstance::Elsewhere)
    }
}

/// Whether a host is under one of Salesforce's domains.
pub(super) fn is_salesforces(host: &str) -> bool {
    DOMAINS.iter().any(|domain| host.ends_with(domain))
}

/// Whether a host serves pages only: what people see in their browser's address bar.
pub(super) fn serves_pages(host: &str) -> bool {
    PAGES.iter().any(|domain| host.ends_with(domain))
}

/// Whether a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests;
