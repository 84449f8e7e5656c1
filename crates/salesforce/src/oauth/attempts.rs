//! How often one login is tried before it counts as failed.
//!
//! Here: which refusals are worth another try, and how it differs. Not here: sending (`http`), when a failed login is tried
//! again (the caller).
//!
//! Invariant: it ends. Each audience is tried once, an assertion is signed anew once, and a login waits for another one a
//! fixed number of times.

use std::time::Duration;

use super::{Flow, Login, error::LoginError, refusal::LoginClass};

/// Tries at one login while another one is under way.
const MEETINGS_MAX: u32 = 10;
/// The shortest wait between two of them: it is over in seconds.
const MEETING_WAIT: Duration = Duration::from_secs(1);

/// What to do after a login was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Ask for [`Attempts::login`] at once, signed anew by the org's clock if its answer told the time.
    Now,
    /// The same after a wait, to which the caller adds up to as much again by chance: another login is under way.
    After(Duration),
    /// The refusal stands.
    Never,
}

/// One login and what was tried for it so far.
#[derive(Clone, Debug)]
pub struct Attempts {
    login: Login,
    /// Whom an assertion may yet be addressed to.
    audiences: Vec<String>,
    resigned: bool,
    meetings: u32,
}

impl Attempts {
    /// Nothing was tried yet.
    pub fn new(login: &Login) -> Self {
        let (tried, mut audiences) = (login.audience(), login.other_audiences());
        audiences.retain(|audience| *audience != tried);
        Self { login: login.clone(), audiences, resigned: false, meetings: 0 }
    }

    /// What to ask for now.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Takes a refusal of [`Attempts::login`].
    ///
    /// Some orgs take only their own My Domain as the audience, some only the host that all orgs share. An assertion that is
    /// called invalid may have met a clock that was wrong then (HELP `remoteaccess_oauth_jwt_flow`).
    pub fn refused(&mut self, error: &LoginError) -> Again {
        if error.is_meeting() {
            self.meetings += 1;
            return if self.meetings < MEETINGS_MAX { Again::After(MEETING_WAIT) } else { Again::Never };
        }
        match (error.class(), &mut self.login.flow) {
            (LoginClass::Audience, Flow::Jwt { audience, .. }) if !self.audiences.is_empty() => {
                *audience = Some(self.audiences.remove(0));
                Again::Now
            }
            (LoginClass::Resign, Flow::Jwt { .. }) if !self.resigned => {
                self.resigned = true;
                Again::Now
            }
            _ => Again::Never,
        }
    }
}

#[cfg(test)]
mod tests;
