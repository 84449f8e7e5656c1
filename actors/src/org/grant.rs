//! What a customer has granted: a refresh token, over all its exchanges.
//!
//! With refresh token rotation each exchange gives another token and ends the one that was used; whoever uses an ended one
//! once more ends the whole grant (HELP 005316711). So it is stored that a token request is about to be made, and what it
//! was answered is stored before the new access token is used. A process that dies in between leaves the first half, and
//! a refusal that follows is told apart from a revocation. Whether a token rotates is seen at the first exchange: until then
//! it may be either, and where it does not rotate an answer that was lost ends nothing.
//!
//! ```text
//!             ask                     token, perhaps another refresh token
//! Resting ─────────▶ Asking ─────────────────────────────────────────────▶ Resting
//!    ▲                │ │ └──── no answer, or the process died ──▶ Asking, since the first time
//!    │                │ └────── refused for this time ──▶ as before
//!    └─ a new grant ─ GrantEnd ◀── the token is refused for good
//! ```
//!
//! Here: the states and what follows from each answer, pure. Not here: asking and storing (`api/vault.rs`), sealing
//! (`sealing`).

use std::{fmt, time::Duration};

use aws_lc_rs::digest;
use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use crate::{clock::time, problem::Problem};

/// After so long without use Salesforce may end a refresh token ("expire refresh token if not used for"; 30 days for partner
/// apps with rotation).
const IDLE: Duration = Duration::from_hours(30 * 24);
/// A grant that was not used for so long is used, so that it does not end.
const HEARTBEAT: Duration = Duration::from_hours(7 * 24);

/// A customer's grant as it is stored, sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// Format version, now 1.
    v: u8,
    /// The refresh token to use next.
    token: String,
    /// Hash of the token of the settings that it came from; none if a customer granted it in the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    /// Client ID of the app that it was given to, from which alone Salesforce takes it; none while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// When it was granted, or taken from the settings.
    granted_ms: UnixMs,
    /// When Salesforce took its token last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_ms: Option<UnixMs>,
    /// How often Salesforce has given another token for it.
    #[serde(default)]
    rotations: u64,
    /// Since when a token request is under way of whose end nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asking_ms: Option<UnixMs>,
    /// Salesforce takes its token no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<GrantEnd>,
}

/// Why a grant is of no use any more. Only the customer can give another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GrantEnd {
    /// It rotates, an exchange was cut off, and the token of its answer was lost.
    Interrupted {
        /// When it began.
        since_ms: UnixMs,
    },
    /// Its first exchange was cut off: whether it rotates, and a token was lost by that, nobody knows.
    Unclear {
        /// When it began.
        since_ms: UnixMs,
    },
    /// It was not used for too long.
    Idle {
        /// When it was used last.
        since_ms: UnixMs,
    },
    /// It rotates, and was revoked, or somebody has used a token of before once more.
    Reused,
    /// It was revoked, or has expired.
    Revoked,
}

/// What a token request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange<'a> {
    /// A token; with rotation also the refresh token to use next.
    Token(Option<&'a str>),
    /// The refresh token was refused for good.
    RefusedForGood,
    /// Salesforce refused this time, or was surely not reached: the refresh token is as it was.
    NotExchanged,
    /// Nobody knows whether it was exchanged.
    Unknown,
}

impl Grant {
    /// One that a customer has just given.
    pub(crate) fn new(token: &str, now_ms: UnixMs) -> Self {
        Self {
            v: 1,
            token: token.to_owned(),
            seed: None,
            client_id: None,
            granted_ms: now_ms,
            taken_ms: None,
            rotations: 0,
            asking_ms: None,
            ended: None,
        }
    }

    /// The grant to use: the stored one, unless the settings hold another token than the one that it came from. To which app
    /// that was given is known once Salesforce has taken it.
    pub(crate) fn current(stored: Option<Self>, settings: Option<&str>, now_ms: UnixMs) -> Option<Self> {
        let Some(token) = settings else { return stored };
        let seed = hash(token);
        match stored {
            Some(stored) if stored.seed.as_ref() == Some(&seed) => Some(stored),
            Some(_) | None => Some(Self { seed: Some(seed), ..Self::new(token, now_ms) }),
        }
    }

    /// The refresh token to use next.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The app that it was given to, if that is another one than this.
    pub(crate) fn other_app(&self, client_id: &str) -> Option<&str> {
        self.client_id.as_deref().filter(|given_to| *given_to != client_id)
    }

    /// It was given to this app, as its consent or an exchange shows.
    pub(crate) fn of_app(self, client_id: &str) -> Self {
        Self { client_id: Some(client_id.to_owned()), ..self }
    }

    /// Why it is of no use any more, if so.
    pub(crate) fn ended(&self) -> Option<GrantEnd> {
        self.ended
    }

    /// Whether it comes from the settings.
    pub(crate) fn of_settings(&self) -> bool {
        self.seed.is_some()
    }

    /// Whether it has to be used soon so that it does not end.
    pub(crate) fn wants_use(&self, now_ms: UnixMs) -> bool {
        self.ended.is_none() && now_ms.since(self.used_ms()) >= HEARTBEAT
    }

    /// It may be tried once more, as somebody says that it is good again.
    pub(crate) fn forgiven(self) -> Self {
        Self { ended: None, ..self }
    }

    /// What is stored before a token request is made.
    pub(crate) fn asking(&self, now_ms: UnixMs) -> Self {
        Self { asking_ms: self.asking_ms.or(Some(now_ms)), ..self.clone() }
    }

    /// What is stored when a token request has ended that was begun by this grant.
    pub(crate) fn after(&self, exchange: Exchange<'_>, now_ms: UnixMs) -> Self {
        match exchange {
            Exchange::Token(next) => {
                let other = next.is_some_and(|next| next != self.token);
                Self {
                    token: next.unwrap_or(&self.token).to_owned(),
                    taken_ms: Some(now_ms),
                    rotations: self.rotations + u64::from(other),
                    asking_ms: None,
                    ended: None,
                    ..self.clone()
                }
            }
            Exchange::RefusedForGood => {
                Self { ended: Some(self.end(now_ms)), asking_ms: None, ..self.clone() }
            }
            Exchange::NotExchanged => self.clone(),
            Exchange::Unknown => self.asking(now_ms),
        }
    }

    fn used_ms(&self) -> UnixMs {
        self.taken_ms.unwrap_or(self.granted_ms)
    }

    fn end(&self, now_ms: UnixMs) -> GrantEnd {
        match self.asking_ms {
            Some(since_ms) if self.rotations > 0 => return GrantEnd::Interrupted { since_ms },
            Some(since_ms) if self.taken_ms.is_none() => return GrantEnd::Unclear { since_ms },
            Some(_) | None => {}
        }
        let since_ms = self.used_ms();
        if now_ms.since(since_ms) >= IDLE {
            return GrantEnd::Idle { since_ms };
        }
        if self.rotations > 0 { GrantEnd::Reused } else { GrantEnd::Revoked }
    }
}

/// Without the token.
impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Grant")
            .field("rotations", &self.rotations)
            .field("asking_ms", &self.asking_ms)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl GrantEnd {
    /// What an operator is told; `of_settings` if the token came from there.
    pub(crate) fn problem(self, org: &str, of_settings: bool) -> Problem {
        let at = |ms: UnixMs| time(ms).format("%Y-%m-%d %H:%M:%S UTC").to_string();
        let why = match self {
            Self::Interrupted { since_ms } => format!(
                "the exchange of the refresh token that began at {} was cut off before its answer was stored, and \
                 Salesforce takes the token from before no more: this is no revocation by the customer",
                at(since_ms)
            ),
            Self::Unclear { since_ms } => format!(
                "the first exchange of the refresh token, which began at {}, was cut off before its answer was stored, and \
                 Salesforce takes that token no more. If the app gives another one at each use, which is not known yet, that \
                 was lost, and this is no revocation by the customer; if not, it was revoked in the org, or has expired",
                at(since_ms)
            ),
            Self::Idle { since_ms } => format!(
                "the refresh token was used last at {}, and Salesforce ends those that are not used for 30 days",
                at(since_ms)
            ),
            Self::Reused => "Salesforce takes the refresh token no more, which changes at each use: either it was revoked \
                             in the org, or a copy of it was used elsewhere, such as by a second orgpipe or from a data \
                             directory that was put back, and then Salesforce ends all of them"
                .to_owned(),
            Self::Revoked => {
                "Salesforce takes the refresh token no more: it was revoked in the org, or has expired".to_owned()
            }
        };
        let hint = if of_settings {
            "Have the customer authorise the app again and give the new refresh token to the settings, then reload them."
                .to_owned()
        } else {
            format!("Have the customer connect again: `orgpipe orgs invite {org}` makes the link.")
        };
        Problem::new(format!("the customer has to authorise orgpipe again: {why}"), hint)
    }
}

/// By which it is known whether the settings still hold the token that a grant came from.
fn hash(token: &str) -> String {
    use std::fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_772_366_400_000);
    const APP: &str = "3MVG9.ours";

    fn later(days: u64) -> UnixMs {
        NOW.saturating_add(Duration::from_hours(24 * days))
    }

    #[test]
    fn what_a_token_request_comes_to() {
        let resting = Grant::new("first", NOW);
        let asking = resting.asking(NOW);
        let rotated = resting.after(Exchange::Token(Some("second")), later(1));
        assert_eq!((rotated.token(), rotated.rotations, rotated.asking_ms), ("second", 1, None));
        let kept = resting.after(Exchange::Token(None), later(1));
        assert_eq!((kept.token(), kept.rotations, kept.taken_ms), ("first", 0, Some(later(1))));
        let same = resting.after(Exchange::Token(Some("first")), later(1));
        assert_eq!(same.rotations, 0, "the same token is no other");
        assert_eq!(resting.after(Exchange::NotExchanged, later(1)), resting);
        assert_eq!(asking.after(Exchange::NotExchanged, later(1)), asking);
        assert_eq!(resting.after(Exchange::Unknown, NOW), asking);
        assert_eq!(asking.after(Exchange::Unknown, later(1)), asking, "since the first time");
        assert_eq!(asking.asking(later(1)), asking, "since the first time");
    }

    #[test]
    fn why_a_token_is_refused_for_good() {
        let fresh = Grant::new("first", NOW);
        let rotated = fresh.after(Exchange::Token(Some("second")), NOW);
        let kept = fresh.after(Exchange::Token(None), NOW);
        for (grant, days, why) in [
            (fresh.clone(), 1, GrantEnd::Revoked),
            (fresh.clone(), 30, GrantEnd::Idle { since_ms: NOW }),
            (rotated.clone(), 1, GrantEnd::Reused),
            (rotated.clone(), 31, GrantEnd::Idle { since_ms: NOW }),
            (fresh.asking(NOW), 1, GrantEnd::Unclear { since_ms: NOW }),
            (kept.asking(NOW), 1, GrantEnd::Revoked),
            (kept.asking(later(1)), 31, GrantEnd::Idle { since_ms: NOW }),
            (rotated.asking(later(1)), 40, GrantEnd::Interrupted { since_ms: later(1) }),
        ] {
            let ended = grant.after(Exchange::RefusedForGood, later(days));
            assert_eq!(ended.ended(), Some(why), "{grant:?} after {days} days");
            assert_eq!(ended.asking_ms, None);
            assert!(!ended.wants_use(later(100)), "an ended one is left alone");
        }
    }

    #[test]
    fn a_token_of_the_settings_counts_until_another_one_stands_there() {
        let first = Grant::current(None, Some("pasted"), NOW).expect("one");
        let rotated = first.after(Exchange::Token(Some("second")), NOW);
        let current = |settings| Grant::current(Some(rotated.clone()), settings, later(1)).expect("one");
        assert_eq!(current(Some("pasted")).token(), "second", "the stored one is the newer");
        assert_eq!(current(Some("other")).token(), "other");
        assert_eq!(current(None).token(), "second");
        assert!(first.of_settings() && !Grant::new("granted", NOW).of_settings());
        let granted = Some(Grant::new("granted", NOW));
        assert_eq!(Grant::current(granted, Some("pasted"), NOW).expect("one").token(), "pasted");
        assert_eq!(Grant::current(None, None, NOW), None);
    }

    #[test]
    fn a_grant_is_for_the_app_that_it_was_given_to() {
        let grant = Grant::new("first", NOW).of_app(APP);
        assert_eq!((grant.other_app(APP), grant.other_app("3MVG9.other")), (None, Some(APP)));
        let rotated = grant.asking(NOW).after(Exchange::Token(Some("second")), NOW);
        assert_eq!(rotated.other_app("3MVG9.other"), Some(APP));
    }

    #[test]
    fn a_token_of_the_settings_is_that_of_the_app_by_which_it_is_taken() {
        let current = |stored, settings| Grant::current(stored, Some(settings), NOW).expect("one");
        let pasted = current(None, "pasted");
        assert_eq!(pasted.other_app("3MVG9.mistyped"), None);
        let taken = pasted.asking(NOW).after(Exchange::Token(None), NOW).of_app(APP);
        assert_eq!(current(Some(taken.clone()), "pasted").other_app("3MVG9.other"), Some(APP));
        assert_eq!(current(Some(taken), "another").other_app("3MVG9.other"), None);
    }

    #[test]
    fn a_grant_of_before_apps_were_stored_is_that_of_the_app_by_which_it_is_taken() {
        let stored = r#"{"v":1,"token":"first","granted_ms":1772366400000}"#;
        let old: Grant = serde_json::from_str(stored).expect("it is read");
        assert_eq!(old.other_app(APP), None);
        assert_eq!(old.of_app(APP).other_app("3MVG9.other"), Some(APP));
    }

    #[test]
    fn a_grant_is_used_long_before_it_ends_by_itself() {
        let grant = Grant::new("first", NOW);
        for (days, wants) in [(0, false), (6, false), (7, true), (29, true)] {
            assert_eq!(grant.wants_use(later(days)), wants, "after {days} days");
        }
        let used = grant.after(Exchange::Token(None), later(7));
        assert!(!used.wants_use(later(8)) && used.wants_use(later(14)));
    }

    #[test]
    fn no_text_shows_the_token() {
        let grant = Grant::current(None, Some("planted-secret"), NOW).expect("one");
        assert!(!format!("{grant:?}").contains("planted"));
        for ended in [
            GrantEnd::Interrupted { since_ms: NOW },
            GrantEnd::Unclear { since_ms: NOW },
            GrantEnd::Idle { since_ms: NOW },
            GrantEnd::Reused,
            GrantEnd::Revoked,
        ] {
            let told = ended.problem("acme", false).to_string();
            assert!(told.contains("authorise orgpipe again") && told.contains("orgs invite acme"), "{told}");
        }
    }
}
