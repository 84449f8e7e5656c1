//! Point A: what arrived is taken in.
//!
//! Here: how much may be open, and what taking in changes. Not here: what is too large to be stored (`sizes.rs`).

use crate::{
    commands::{Append, Appended, End, NewRequest, Request},
    dead_letter::{DeadLetter, Retry},
    entry::StoredRequest,
    error::StoreError,
    keys::Key,
    org::Org,
    sizes::cut,
    step::Step,
};

impl Org {
    /// Point A.
    pub(crate) fn append(
        &mut self,
        step: &mut Step<'_>,
        append: Append,
        depth_max: u64,
    ) -> Result<Appended, StoreError> {
        let Append { positions, ended_positions, requests, dead, found } = append;
        self.check_room(step.org, &requests, depth_max)?;
        self.set_positions(step, positions);
        self.end_positions(step, ended_positions);
        let appended = self.take_in(step, requests);
        for (push, records) in found {
            self.pushes.found(step, push, records);
        }
        for letter in dead {
            self.ledger.counts.records_in += u64::from(letter.subject.units);
            self.add_new_dead_letter(step, letter);
        }
        Ok(appended)
    }

    /// An operator has the letter tried again: it stands no more, and what is to be done instead comes in anew.
    pub(crate) fn retry_dead_letter(
        &mut self,
        step: &mut Step<'_>,
        letter: DeadLetter,
        retry: Retry,
        depth_max: u64,
    ) -> Result<Appended, StoreError> {
        self.check_room(step.org, &retry.requests, depth_max)?;
        let appended = self.take_in(step, retry.requests);
        self.remove_dead_letter(step, letter, End::Retried, retry.at_ms, &cut(retry.by));
        Ok(appended)
    }

    /// May so much be taken in, with what is open already? If nothing is open, anything may.
    fn check_room(&self, org: &str, requests: &[NewRequest], depth_max: u64) -> Result<(), StoreError> {
        let open = self.ledger.counts.open();
        let more: u64 = requests.iter().map(|request| u64::from(request.records)).sum();
        if !requests.is_empty() && open > 0 && open.saturating_add(more) > depth_max {
            return Err(StoreError::Full { org: org.to_owned(), open, more, depth_max });
        }
        Ok(())
    }

    fn take_in(&mut self, step: &mut Step<'_>, requests: Vec<NewRequest>) -> Appended {
        let after = self.newest_request;
        let mut appended = Appended { after, requests: Vec::with_capacity(requests.len()) };
        for NewRequest { lane, records, body } in requests {
            let seq = step.number();
            let request = Request { seq, lane, records, body };
            let stored = StoredRequest { org: step.org.to_owned(), request };
            step.put(&Key::Request(seq), &stored.encode());
            self.ingress.insert((lane, seq), records);
            self.ledger.requests += 1;
            self.ledger.counts.records_in += u64::from(records);
            self.ledger.counts.open_ingress += u64::from(records);
            self.newest_request = seq;
            appended.requests.push(stored.request);
        }
        appended
    }
}
