//! Consents that were asked for and not answered yet.
//!
//! Here: keeping them for a while, each for the one browser that it was begun in. Not here: what is asked and answered
//! (`onboarding`). They are in memory only: after a restart the customer's admin clicks on the link once more.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use orgpipe_salesforce::oauth::{
    Login,
    web_server::{Callback, Consent},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// A code is good for fifteen minutes (HELP `remoteaccess_oauth_web_server_flow`), and somebody may look for a password first.
const LIFE: Duration = Duration::from_mins(30);
/// Kept at a time, and of one org; the oldest makes room.
const PENDING_MAX: usize = 10_000;
const PENDING_OF_ORG_MAX: usize = 10;

/// A consent that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The org that is to be connected.
    pub(super) org: String,
    /// The link by which it was begun.
    pub(super) link: String,
    /// By which host and app.
    pub(super) login: Login,
    /// What was asked with.
    pub(super) consent: Consent,
    /// Where Salesforce was told to send the browser back to.
    pub(super) redirect_uri: Url,
    /// What the browser has to show: the value of a cookie.
    pub(super) browser: SecretString,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Consents(Mutex<VecDeque<(Duration, Pending)>>);

impl Consents {
    /// Keeps one that was begun at `now` (time since the start).
    pub(super) fn keep(&self, pending: Pending, now: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut all, now);
        let of_org = |(_, other): &(Duration, Pending)| other.org == pending.org;
        if all.iter().filter(|other| of_org(other)).count() >= PENDING_OF_ORG_MAX {
            // Whoever has a link pushes out nobody but himself.
            let oldest = all.iter().position(of_org);
            oldest.map(|at| all.remove(at));
        } else if all.len() >= PENDING_MAX {
            all.pop_front();
        }
        all.push_back((now, pending));
    }

    /// The one that this callback answers, once, for the browser that it was begun in.
    pub(super) fn take(&self, callback: &Callback, browser: Option<&str>, now: Duration) -> Option<Pending> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut all, now);
        let at = all.iter().position(|(_, pending)| pending.consent.is_answered_by(callback))?;
        // Taken also if it is another browser: whoever got hold of the state has no second try.
        let (_, pending) = all.remove(at)?;
        browser.is_some_and(|shown| is_same(shown, pending.browser.expose_secret())).then_some(pending)
    }
}

fn forget_old(all: &mut VecDeque<(Duration, Pending)>, now: Duration) {
    while all.pop_front_if(|(begun, _)| now >= *begun + LIFE).is_some() {}
}

/// Takes the same time for any other text of that length.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use orgpipe_salesforce::oauth::{Flow, web_server::callback};

    use super::*;

    fn pending(n: u8) -> Pending {
        let flow = Flow::RefreshToken { client_id: "id".into(), client_secret: None, refresh_token: None };
        let login_url = "https://login.salesforce.com".parse().expect("a URL");
        Pending {
            org: format!("org{n}"),
            link: String::new(),
            login: Login { login_url, flow, instance_hosts: Vec::new() },
            consent: Consent::from_chance([n; 32], [n; 32]),
            redirect_uri: "https://connect.example.com/oauth/callback".parse().expect("a URL"),
            browser: SecretString::from(format!("browser {n}")),
        }
    }

    fn answer(n: u8) -> Callback {
        let state = pending(n).consent.state;
        callback(&format!("code=c&state={}", state.expose_secret())).expect("a callback")
    }

    #[test]
    fn a_callback_finds_its_consent_once_in_its_browser() {
        let consents = Consents::default();
        let secs = Duration::from_secs;
        for n in 1..=4 {
            consents.keep(pending(n), secs(u64::from(n)));
        }
        assert!(consents.take(&answer(9), Some("browser 9"), secs(5)).is_none(), "never asked for");
        let found = consents.take(&answer(1), Some("browser 1"), secs(5)).expect("asked for");
        assert_eq!(found.org, "org1");
        assert!(consents.take(&answer(1), Some("browser 1"), secs(5)).is_none(), "once");
        for (n, browser) in [(2, None), (3, Some("browser 2"))] {
            assert!(consents.take(&answer(n), browser, secs(5)).is_none(), "another browser");
            let own = format!("browser {n}");
            assert!(consents.take(&answer(n), Some(&own), secs(5)).is_none(), "no second try");
        }
        assert!(consents.take(&answer(4), Some("browser 4"), secs(4) + LIFE).is_none(), "too late");
    }

    #[test]
    fn only_so_many_wait_and_of_one_org_fewer() {
        let consents = Consents::default();
        consents.keep(pending(1), Duration::ZERO);
        for _ in 0..PENDING_MAX {
            consents.keep(pending(2), Duration::ZERO);
        }
        assert_eq!(consents.0.lock().expect("sound").len(), 1 + PENDING_OF_ORG_MAX);
        assert!(consents.take(&answer(1), Some("browser 1"), Duration::ZERO).is_some(), "of another org");
        for n in 0..PENDING_MAX {
            let org = format!("org {n}");
            consents.keep(Pending { org, ..pending(3) }, Duration::ZERO);
        }
        assert_eq!(consents.0.lock().expect("sound").len(), PENDING_MAX);
    }
}
