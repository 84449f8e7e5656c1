//! When an org may be examined: one examination of it at a time, and not too many in a row; and what came of the last one.
//!
//! Here: the rule, with time as an argument. Not here: examining (`doctor`), the calls that it takes (`org::api`).
//!
//! Each one logs in, and Salesforce lets a user log in some 3,600 times an hour, for all that use it ("login rate exceeded").

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::doctor::Report;

/// Examinations of an org that may come one right after the other.
const IN_A_ROW_MAX: u32 = 6;
/// After so long one more may.
const PAUSE: Duration = Duration::from_secs(10);

/// Those of all orgs. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Examinations(Arc<Mutex<HashMap<String, Turns>>>);

/// Those of one org.
#[derive(Debug, Default)]
struct Turns {
    under_way: bool,
    /// When, as time since the start, none of the examinations in a row counts any more.
    rested: Duration,
    /// What came of the last one; as long as the process lives.
    report: Option<Arc<Report>>,
}

impl Turns {
    /// Begins one, or says after which time one may begin.
    fn begin(&mut self, now: Duration) -> Result<(), Duration> {
        if self.under_way {
            return Err(PAUSE);
        }
        let rested = self.rested.max(now) + PAUSE;
        let wait = rested.saturating_sub(now + PAUSE * IN_A_ROW_MAX);
        if !wait.is_zero() {
            return Err(wait);
        }
        (self.under_way, self.rested) = (true, rested);
        Ok(())
    }
}

/// An examination under way; over when dropped.
#[derive(Debug)]
pub(crate) struct Examination {
    all: Examinations,
    org: String,
}

impl Examinations {
    /// Begins one of an org, or says after which time one may begin.
    pub(crate) fn begin(&self, org: &str, now: Duration) -> Result<Examination, Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(org.to_owned()).or_default().begin(now)?;
        Ok(Examination { all: self.clone(), org: org.to_owned() })
    }

    /// What came of an org's last examination since the service started.
    pub(crate) fn last(&self, org: &str) -> Option<Arc<Report>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(org)?.report.clone()
    }
}

impl Examination {
    /// This came of it.
    pub(crate) fn found(&self, report: &Report) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get_mut(&self.org) {
            turns.report = Some(Arc::new(report.clone()));
        }
    }
}

impl Drop for Examination {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get_mut(&self.org) {
            turns.under_way = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_after_some_in_a_row_one_each_pause() {
        let all = Examinations::default();
        let secs = Duration::from_secs;
        let first = all.begin("acme", secs(100)).expect("the first");
        assert_eq!(all.begin("acme", secs(105)).unwrap_err(), PAUSE, "one is under way");
        let other = all.begin("globex", secs(100)).expect("another org's");
        drop((first, other));
        for _ in 1..IN_A_ROW_MAX {
            drop(all.begin("acme", secs(100)).expect("in a row"));
        }
        assert_eq!(all.begin("acme", secs(100)).unwrap_err(), secs(10));
        assert_eq!(all.begin("acme", secs(103)).unwrap_err(), secs(7));
        drop(all.begin("acme", secs(110)).expect("after a pause"));
        assert_eq!(all.begin("acme", secs(110)).unwrap_err(), secs(10));
        for _ in 0..IN_A_ROW_MAX {
            drop(all.begin("acme", secs(999)).expect("rested"));
        }
        assert!(all.begin("acme", secs(999)).is_err(), "rest is not saved up");
    }
}
