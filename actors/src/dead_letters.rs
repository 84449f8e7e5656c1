//! What an operator may do about dead letters: look, retry, discard, and see who did what.
//!
//! Here: one command, about one dead letter or about many. Not here: what one is retried as (`dead_letters/again.rs`), how a
//! record became one (`capture`, `decide`, `deliver`), the rows that remember a command (the store).
//!
//! Invariant: a retry is a new request for the dead letter's records, which are read, looked up, matched and compared
//! afresh, because what was to be written then may be wrong by now. The dead letter goes in the commit that takes the
//! request in, and is back, counted once more, if its record is refused again for the same reason.

mod again;
mod retried;

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_reconcile::id;
use orgpipe_store::{
    DeadLetter, End, LedgerRow, LetterGroup, NewRequest, ReasonKey, Retry, Seq, StoreError, UnixMs,
};
use serde::Serialize;
use utoipa::ToSchema;

use self::again::again;
pub use self::retried::{RetriedEnd, RetriedRecord};
use crate::{
    org::messages::Wakeup,
    problem::Problem,
    queue_entry::{RequestEntry, unpack},
    service::Service,
    supervise::supervisor::OrgError,
};

/// Dead letters that one command is about, at most: each is a commit of its own.
pub const ACTED_ON_MAX: usize = 1_000;
/// Characters kept of who gives a command.
const BY_CHARS_MAX: usize = 100;
/// Dead letters read from the store at a time.
const PAGE: usize = 100;

/// What was done about a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterAction {
    /// Ask for its records anew.
    Retry,
    /// Throw it away; its records stay counted as dead letters.
    Discard,
    /// It went by itself, as its record has ended well since.
    Close,
}

/// A command that was carried out for one record of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeadLetterCommand {
    /// When.
    pub at_ms: UnixMs,
    /// Who gave it, as they said; of a letter that went by itself what wrote its record, if something did.
    pub by: String,
    /// What it was.
    pub act: DeadLetterAction,
    /// Number of the dead letter.
    pub letter: Seq,
    /// The record that was asked for.
    pub record: String,
    /// What would have been written; empty if it ended before that was known.
    pub target: String,
    /// Which record of it.
    pub key: String,
    /// Why it went by itself, to follow on "as".
    pub reason: String,
}

impl From<LedgerRow> for DeadLetterCommand {
    fn from(row: LedgerRow) -> Self {
        let LedgerRow { subject, end, ended_ms: at_ms, seq, target, key, reason, by, .. } = row;
        let act = match end {
            End::Retried => DeadLetterAction::Retry,
            End::Closed => DeadLetterAction::Close,
            _ => DeadLetterAction::Discard,
        };
        // Such a row always has the letter's number.
        let letter = seq.unwrap_or(Seq::MIN);
        Self { at_ms, by, act, letter, record: subject.record, target, key, reason }
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Only those whose reason contains this text, whatever its case.
    pub reason: Option<String>,
    /// Only those of one group.
    pub group: Option<ReasonKey>,
    /// Only those with numbers below this one.
    pub before: Option<Seq>,
    /// At most so many, the newest; never more than [`ACTED_ON_MAX`].
    pub limit: usize,
}

impl DeadLetterFilter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        let reason = self.reason.as_ref().map(|reason| reason.to_lowercase());
        reason.is_none_or(|reason| letter.reason.to_lowercase().contains(&reason))
    }
}

/// What a command about many dead letters came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActedOn {
    /// When it began.
    pub at_ms: UnixMs,
    /// Numbers of the dead letters that are gone by it, with the records that were asked for instead.
    pub done: Vec<(Seq, Vec<String>)>,
    /// Numbers of those that stay, and why.
    pub refused: Vec<(Seq, String)>,
    /// Where to go on, as `before`, if the command took all that it may, or could not try all.
    pub before: Option<Seq>,
}

/// What a command about many dead letters would be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meant {
    /// How many there are.
    pub letters: usize,
    /// Records in them.
    pub records: u64,
    /// By reason, with how many have it; the most frequent first.
    pub reasons: Vec<(String, usize)>,
    /// The highest number among them.
    pub newest: Option<Seq>,
    /// Where to go on, as `before`, if there may be more.
    pub before: Option<Seq>,
}

/// Why a command about a dead letter was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The org.
    #[error(transparent)]
    Org(#[from] OrgError),
    /// There is none of that number.
    #[error("org `{org}` has no dead letter {number}")]
    Unknown {
        /// The org.
        org: String,
        /// The number.
        number: Seq,
    },
    /// Nothing can be asked for in its place.
    #[error("dead letter {number} of org `{org}` cannot be retried: {reason}")]
    CannotRetry {
        /// The org.
        org: String,
        /// Its number.
        number: Seq,
        /// Why it cannot be retried.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The org's queue takes no more.
    #[error(transparent)]
    Full(StoreError),
}

impl From<StoreError> for DeadLetterError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownLetter { org, seq: number } => Self::Unknown { org, number },
            StoreError::Full { .. } => Self::Full(error),
            error => Self::Org(error.into()),
        }
    }
}

impl DeadLetterError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Org(_) => None,
            Self::Unknown { .. } => Some(
                "It was retried or discarded, or made room for newer ones; list those that are kept."
                    .to_owned(),
            ),
            Self::CannotRetry { hint, .. } => hint.clone(),
            Self::Full(error) => error.hint(),
        }
    }
}

impl Service {
    /// Dead letters of an org, newest first.
    pub async fn dead_letters(
        &self,
        id: &str,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let org = self.known(id)?;
        let (limit, mut before) = (filter.limit.min(ACTED_ON_MAX), filter.before.unwrap_or(Seq::MAX));
        let mut letters = Vec::new();
        while letters.len() < limit {
            let page = org.store.dead_letters(filter.group, before, PAGE).await?;
            let Some(last) = page.last() else { break };
            before = last.seq;
            letters.extend(page.into_iter().filter(|letter| filter.takes(letter)));
        }
        letters.truncate(limit);
        Ok(letters)
    }

    /// One dead letter of an org.
    pub async fn dead_letter(&self, id: &str, number: Seq) -> Result<DeadLetter, DeadLetterError> {
        let org = self.known(id)?;
        Ok(org.store.dead_letter(number).await?)
    }

    /// Dead letters of an org by sync and reason, the largest group first.
    pub async fn dead_letter_groups(&self, id: &str) -> Result<Vec<LetterGroup>, DeadLetterError> {
        let org = self.known(id)?;
        Ok(org.store.letter_groups().await?)
    }

    /// What a command about all dead letters that a filter takes would be about. Does nothing.
    pub async fn meant(&self, id: &str, filter: &DeadLetterFilter) -> Result<Meant, DeadLetterError> {
        let letters = self.dead_letters(id, filter).await?;
        let full = letters.len() == filter.limit.min(ACTED_ON_MAX);
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for letter in &letters {
            *reasons.entry(&letter.reason).or_default() += 1;
        }
        let mut reasons: Vec<(String, usize)> =
            reasons.into_iter().map(|(reason, letters)| (reason.to_owned(), letters)).collect();
        reasons.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        Ok(Meant {
            letters: letters.len(),
            records: letters.iter().map(DeadLetter::records).sum(),
            reasons,
            newest: letters.first().map(|letter| letter.seq),
            before: letters.last().map(|letter| letter.seq).filter(|_| full),
        })
    }

    /// How records ended that were asked for by retries at `since_ms` or later.
    pub async fn retried(
        &self,
        id: &str,
        records: BTreeSet<String>,
        since_ms: UnixMs,
    ) -> Result<Vec<RetriedRecord>, DeadLetterError> {
        let org = self.known(id)?;
        Ok(retried::ends(&org.store, records, since_ms).await?)
    }

    /// What operators did about dead letters of an org, newest first: as far back as the ledger's rows go.
    pub async fn dead_letter_commands(
        &self,
        id: &str,
        limit: usize,
    ) -> Result<Vec<DeadLetterCommand>, DeadLetterError> {
        let org = self.known(id)?;
        let rows = org.store.dead_letter_commands(limit.min(ACTED_ON_MAX)).await?;
        Ok(rows.into_iter().map(DeadLetterCommand::from).collect())
    }

    /// Retries or discards one dead letter. `by`: who says so.
    pub async fn act_on_dead_letter(
        &self,
        id: &str,
        number: Seq,
        act: DeadLetterAction,
        by: &str,
    ) -> Result<ActedOn, DeadLetterError> {
        let letter = self.dead_letter(id, number).await?;
        let at_ms = self.known(id)?.clock.now_ms();
        let records = self.act(id, &letter, act, by).await?;
        self.wake(id).await;
        Ok(ActedOn { at_ms, done: vec![(number, records)], ..ActedOn::default() })
    }

    /// Retries or discards all dead letters that a filter takes, oldest first, each in a commit of its own.
    pub async fn act_on_dead_letters(
        &self,
        id: &str,
        filter: &DeadLetterFilter,
        act: DeadLetterAction,
        by: &str,
    ) -> Result<ActedOn, DeadLetterError> {
        let letters = self.dead_letters(id, filter).await?;
        let full = letters.len() == filter.limit.min(ACTED_ON_MAX);
        let before = letters.last().map(|letter| letter.seq).filter(|_| full);
        let at_ms = self.known(id)?.clock.now_ms();
        let mut acted = ActedOn { at_ms, before, ..ActedOn::default() };
        for letter in letters.iter().rev() {
            match self.act(id, letter, act, by).await {
                Ok(records) => acted.done.push((letter.seq, records)),
                // Someone else was faster: it is gone as well.
                Err(DeadLetterError::Unknown { .. }) => {}
                Err(DeadLetterError::CannotRetry { reason, .. }) => acted.refused.push((letter.seq, reason)),
                Err(error @ (DeadLetterError::Org(_) | DeadLetterError::Full(_)))
                    if acted.done.is_empty() =>
                {
                    return Err(error);
                }
                Err(error @ (DeadLetterError::Org(_) | DeadLetterError::Full(_))) => {
                    acted.refused.push((letter.seq, error.to_string()));
                    // The newer ones were not tried.
                    acted.before = letters.first().map(|newest| Seq(newest.seq.0.saturating_add(1)));
                    break;
                }
            }
        }
        self.wake(id).await;
        Ok(acted)
    }

    /// Gives back the records that are asked for instead.
    async fn act(
        &self,
        id: &str,
        letter: &DeadLetter,
        act: DeadLetterAction,
        by: &str,
    ) -> Result<Vec<String>, DeadLetterError> {
        let org = self.known(id)?;
        let mut records = Vec::new();
        let (number, at_ms) = (letter.seq, org.clock.now_ms());
        let by: String = by.chars().take(BY_CHARS_MAX).collect();
        match act {
            DeadLetterAction::Retry => {
                let requests = again(&org.settings, letter, at_ms).map_err(|Problem { reason, hint }| {
                    DeadLetterError::CannotRetry { org: id.to_owned(), number, reason, hint }
                })?;
                records = asked(&requests);
                let retry = Retry { letter: number, requests, by: by.clone(), at_ms };
                org.store.retry_dead_letter(retry).await?;
            }
            DeadLetterAction::Discard | DeadLetterAction::Close => {
                org.store.discard_letter(number, &by, at_ms).await?;
            }
        }
        tracing::info!(
            org = id,
            letter = number.0,
            records = letter.records(),
            by,
            "dead letter: {act:?} by an operator"
        );
        Ok(records)
    }

    /// Tells the org that requests wait. An org that is down finds them when it starts.
    async fn wake(&self, id: &str) {
        if let Ok(actor) = self.find(id, false).await {
            let _ = actor.try_send(Wakeup::Ingest);
        }
    }
}

/// The records that requests ask for.
fn asked(requests: &[NewRequest]) -> Vec<String> {
    let ids = requests.iter().filter_map(|request| unpack::<RequestEntry>(&request.body).ok());
    ids.flat_map(|entry| entry.ids).map(|id| id::canonical(&id).unwrap_or(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_chosen_by_their_reason_whatever_its_case() {
        let (target, key, reason, hint) = (String::new(), "key".into(), "Why it Ended".into(), String::new());
        let (subjects, body) = (Vec::new(), Vec::new());
        let letter = DeadLetter {
            seq: Seq(9),
            sync: String::new(),
            first_ms: UnixMs(5),
            last_ms: UnixMs(5),
            count: 1,
            errors: Vec::new(),
            seen: Seq(9),
            retried: false,
            subjects,
            target,
            key,
            reason,
            hint,
            attempts: 0,
            body,
        };
        for (reason, taken) in [(None, true), (Some("it ended"), true), (Some("other"), false)] {
            let filter = DeadLetterFilter {
                group: None,
                reason: reason.map(str::to_owned),
                ..DeadLetterFilter::default()
            };
            assert_eq!(filter.takes(&letter), taken, "{reason:?}");
        }
    }
}
