//! Addresses of orgs as people paste them.
//!
//! Here: from what stands in a browser's address bar to the host to log in at. Not here: logging in (`oauth`), to whom a token
//! may be sent (`instance`).

use url::Url;

use super::instance::{is_loopback, is_salesforces};

/// Hosts that know every org.
const SHARED: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];
/// What an org's own login host ends with (HELP, "My Domain URL Formats"); the last is what My Domains were called first.
const LOGIN_SUFFIXES: [&str; 4] =
    [".my.salesforce.com", ".my.salesforce.mil", ".my.sfcrmproducts.cn", ".cloudforce.com"];
/// Hosts that show an org's pages, and what its login host ends with.
const PAGE_SUFFIXES: [(&str, &str); 5] = [
    (".my.salesforce-setup.com", ".my.salesforce.com"),
    (".lightning.force.com", ".my.salesforce.com"),
    (".lightning.crmforce.mil", ".my.salesforce.mil"),
    (".lightning.sfcrmapps.cn", ".my.sfcrmproducts.cn"),
    (".file.force.com", ".my.salesforce.com"),
];
/// The same for Visualforce, where the page's namespace stands behind the org's name: `acme--c.vf.force.com`.
const NAMESPACED_SUFFIXES: [&str; 3] = [".vf.force.com", ".visual.force.com", ".visualforce.com"];
/// Experience Cloud and Sites.
const SITE_SUFFIXES: [&str; 4] =
    [".force.com", ".site.com", ".salesforce-sites.com", ".salesforce-experience.com"];

/// Why nobody can log in there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLoginHost {
    /// Nothing.
    #[error("there is no address")]
    Empty,
    /// Such as blanks in it.
    #[error("`{text}` is no web address")]
    NoAddress {
        /// What was given, shortened.
        text: String,
    },
    /// One word.
    #[error("`{name}` is a name, not an address")]
    OnlyName {
        /// The word.
        name: String,
    },
    /// With an `@` in it.
    #[error("this is a user name, not an address")]
    UserName,
    /// One of Salesforce's servers, such as `na35.salesforce.com`.
    #[error("`{host}` is a server of Salesforce's, where many orgs are")]
    Server {
        /// The host.
        host: String,
    },
    /// A page for the customer's own customers.
    #[error("`{host}` is a site that an org publishes, not the org itself")]
    Site {
        /// The host.
        host: String,
    },
    /// Documentation, training, marketing.
    #[error("`{host}` is a page of Salesforce's own, not of an org")]
    NoOrg {
        /// The host.
        host: String,
    },
    /// Anybody's.
    #[error("`{host}` is not Salesforce's")]
    Elsewhere {
        /// The host.
        host: String,
    },
}

impl NoLoginHost {
    /// What to do.
    pub fn hint(&self) -> String {
        if let Self::OnlyName { name } = self {
            return format!("If that is the org's My Domain, write `https://{name}.my.salesforce.com`.");
        }
        "Write the org's My Domain, `https://NAME.my.salesforce.com`: it stands in Setup under My Domain. The address of any \
         page of the org, copied from the browser while you are logged in, serves as well."
            .to_owned()
    }
}

/// The URL to log in at that is meant: `https://login.salesforce.com`, `https://test.salesforce.com` or the org's My Domain.
///
/// Takes what people paste: with or without scheme and path, in any case, of the host that shows Lightning pages, Setup or
/// Visualforce. On this machine the address stays, for a simulator.
pub fn correct(text: &str) -> Result<Url, NoLoginHost> {
    let text = text.trim().trim_matches(['"', '\'', '<', '>', '`']).trim();
    if text.is_empty() {
        return Err(NoLoginHost::Empty);
    }
    let no_address = || NoLoginHost::NoAddress { text: text.chars().take(80).collect() };
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).map_err(|_| no_address())?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(no_address());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NoLoginHost::UserName);
    }
    if is_loopback(&url) {
        return Url::parse(&url.origin().ascii_serialization()).map_err(|_| no_address());
    }
    let host = url.domain().ok_or_else(no_address)?.trim_end_matches('.');
    Url::parse(&format!("https://{}", login_host(host)?)).map_err(|_| no_address())
}

/// The host to log in at of the org that a host belongs to.
fn login_host(host: &str) -> Result<String, NoLoginHost> {
    let named = |suffix: &str| host.strip_suffix(suffix).filter(|name| is_name(name));
    if SHARED.contains(&host) || LOGIN_SUFFIXES.iter().any(|suffix| named(suffix).is_some()) {
        return Ok(host.to_owned());
    }
    for (suffix, login_suffix) in PAGE_SUFFIXES {
        if let Some(name) = named(suffix) {
            return Ok(format!("{}{login_suffix}", in_full(name)));
        }
    }
    for suffix in NAMESPACED_SUFFIXES {
        if let Some((name, rest)) = named(suffix).map(|name| name.split_once('.').unwrap_or((name, "")))
            && let Some((name, _namespace)) = name.rsplit_once("--")
        {
            let rest = if rest.is_empty() || is_server(rest) { String::new() } else { format!(".{rest}") };
            return Ok(format!("{}.my.salesforce.com", in_full(&format!("{name}{rest}"))));
        }
    }
    let host = host.to_owned();
    Err(if !host.contains('.') {
        NoLoginHost::OnlyName { name: host }
    } else if host.strip_suffix(".salesforce.com").is_some_and(is_server) {
        NoLoginHost::Server { host }
    } else if SITE_SUFFIXES.iter().any(|suffix| host.ends_with(suffix)) {
        NoLoginHost::Site { host }
    } else if is_salesforces(&host) || host == "salesforce.com" {
        NoLoginHost::NoOrg { host }
    } else {
        NoLoginHost::Elsewhere { host }
    })
}

/// What stands before a suffix: labels of letters, digits and hyphens.
fn is_name(name: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    name.split('.').all(is_label)
}

/// A sandbox's name with the part that tells so, which pages' addresses had not before enhanced domains.
fn in_full(name: &str) -> String {
    if name.contains("--") && !name.contains('.') { format!("{name}.sandbox") } else { name.to_owned() }
}

/// One of Salesforce's servers: letters and a number, such as `na35`, `cs42` or `usa2s`.
fn is_server(label: &str) -> bool {
    let digits = label.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < label.len() && rest.len() < digits.len() && matches!(rest, "" | "s")
}

#[cfg(test)]
mod tests;
