//! Who gave which command, when, about which org, and how it was answered.
//!
//! Here: what is kept of a command, how many of them, and reading them. Not here: which requests are commands (`admin/routes`),
//! what was done about each record of a dead letter, which the org's ledger has (`orgpipe_actors`).
//!
//! Each command is a value of the store's registry, written in a commit of its own, and all are in memory, too, as there are only
//! so many. Nothing of a body is kept, and of a query only what cannot hold a value of a record ([`kept_of_query`]).
//!
//! A command is written down after it was carried out, as only then its result is known. If that fails, the command still stands:
//! to refuse it would say that nothing was done, and it would be given twice; and on a broken disk an operator must be able to
//! pause an org. So it is said in the log, with the command, and told until the process ends.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::HttpResponse;
use orgpipe_actors::Service;
use orgpipe_store::{REGISTRY_BYTES_MAX, RegistryWrite, StoreError, UnixMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the store's registry calls them.
pub(crate) const AUDIT_KIND: &str = "admin audit";
/// The command of whoever says that the vendor's data has changed.
pub(crate) const PUSH: &str = "push changes";
/// How many are kept; the oldest makes room.
const ENTRIES_MAX: usize = 10_000;
/// How many of them may be pushes: programs push all day long, and must not drive out what people did.
const PUSHES_MAX: usize = 1_000;
/// How many go with a new one because they are too old. A clock that is wrong for a moment must not take them all.
const AGED_MAX: usize = 3;
/// Characters of a detail and of an org's name; the rest is cut off.
const DETAIL_CHARS_MAX: usize = 100;
/// Details of one command.
const DETAILS_MAX: usize = 6;
/// Bytes that a character takes at most where it is written as `\u001b`.
const CHAR_BYTES_MAX: usize = 6;
/// Bytes of what else there is: names, numbers, a token.
const OTHER_BYTES_MAX: usize = 1_000;
const _: () = assert!(
    ENTRIES_MAX * ((DETAILS_MAX + 1) * DETAIL_CHARS_MAX * CHAR_BYTES_MAX + OTHER_BYTES_MAX)
        < REGISTRY_BYTES_MAX
);
/// Who gives a command while no service runs. No token has a name with a space.
const COMMAND_LINE: &str = "command line";
/// Hours of a day.
const DAY_HOURS: u64 = 24;

/// What a command is known to be when it has been answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deed {
    /// Who gave it: the name of a token.
    pub(crate) by: String,
    /// What it was.
    pub(crate) command: String,
    /// The org that it was about.
    pub(crate) org: Option<String>,
    /// What else it said.
    pub(crate) details: BTreeMap<String, String>,
    /// The status of the answer.
    pub(crate) status: Option<u16>,
}

/// A command that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Rises from one to the next.
    pub(crate) number: u64,
    /// When it was answered.
    pub(crate) at_ms: UnixMs,
    /// Who gave it: the name of a token, or `command line` for what is done while no service runs.
    pub(crate) by: String,
    /// What it was.
    pub(crate) command: String,
    /// The org that it was about; null if it was about none or several.
    pub(crate) org: Option<String>,
    /// What else it said or came to, by name; no values of records, and no secrets.
    pub(crate) details: BTreeMap<String, String>,
    /// The status of the answer; null if whoever gave it was gone before it was answered, and on the `command line`.
    pub(crate) status: Option<u16>,
}

impl AuditEntry {
    fn new(number: u64, at_ms: UnixMs, deed: Deed) -> Self {
        let Deed { by, command, org, details, status } = deed;
        let cut = |text: String| text.chars().take(DETAIL_CHARS_MAX).collect::<String>();
        let details = details.into_iter().take(DETAILS_MAX).map(|(name, value)| (name, cut(value)));
        Self { number, at_ms, by, command, org: org.map(cut), details: details.collect(), status }
    }

    /// One that is stored and cannot be read, such as one of a later version: that there is one is told.
    fn unreadable(number: u64) -> Self {
        let deed = Deed { command: "what is stored of it cannot be read".to_owned(), ..Deed::default() };
        Self::new(number, UnixMs(number), deed)
    }

    /// What it was, in one line: `refresh, sync accounts`.
    pub(crate) fn told(&self) -> String {
        let details = self.details.iter().map(|(name, value)| format!(", {name} {value}"));
        format!("{}{}", self.command, details.collect::<String>())
    }

    /// How it was answered, as a clause.
    pub(crate) fn answered(&self) -> String {
        match self.status {
            Some(status) => format!("status {status}"),
            None if self.by == COMMAND_LINE => "done while no service ran".to_owned(),
            None => "not answered, as whoever asked was gone".to_owned(),
        }
    }

    fn write(&self) -> RegistryWrite {
        let value = serde_json::to_vec(self).expect("plain values become JSON");
        RegistryWrite { kind: AUDIT_KIND.to_owned(), name: name(self.number), value: Some(value) }
    }

    fn read(name: &str, value: &[u8]) -> Option<Self> {
        let number = name.parse().ok()?;
        let read = serde_json::from_slice(value).ok().filter(|entry: &Self| entry.number == number);
        Some(read.unwrap_or_else(|| Self::unreadable(number)))
    }

    fn removal(&self) -> RegistryWrite {
        RegistryWrite { kind: AUDIT_KIND.to_owned(), name: name(self.number), value: None }
    }
}

/// Names are in the order of their numbers.
fn name(number: u64) -> String {
    format!("{number:020}")
}

/// What is to be stored of a command that is given while no service runs.
pub(crate) fn without_service(command: &str, now: UnixMs) -> RegistryWrite {
    let deed = Deed { by: COMMAND_LINE.to_owned(), command: command.to_owned(), ..Deed::default() };
    AuditEntry::new(now.0, now, deed).write()
}

/// What a handler says of the command that it has carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandResult {
    /// This was done, whatever the status is. `org` among it is the org that it was about.
    Done(BTreeMap<String, String>),
    /// Nothing was, and nothing is to be kept.
    Nothing,
}

/// An answer that says what was done.
pub(crate) fn done(mut answer: HttpResponse, details: &[(&str, String)]) -> HttpResponse {
    let details = details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    answer.extensions_mut().insert(CommandResult::Done(details));
    answer
}

/// An answer that says that nothing was done.
pub(crate) fn nothing_done(mut answer: HttpResponse) -> HttpResponse {
    answer.extensions_mut().insert(CommandResult::Nothing);
    answer
}

/// What is kept of a query: choices and numbers. A text that an operator types to find dead letters by their reasons may repeat
/// what a record says, so it is only kept that there was one.
pub(crate) fn kept_of_query(query: &str) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "sync" | "changed" | "deadline_secs" | "from" | "channel" | "group" | "all" | "before"
            | "limit" => {
                kept.insert(name.into_owned(), value.into_owned());
            }
            "reason" => drop(kept.insert("reason".to_owned(), "…".to_owned())),
            _ => {}
        }
    }
    kept
}

/// All that are kept. Clones are the same.
#[derive(Clone)]
pub(crate) struct AuditLog {
    service: Service,
    kept: Arc<KeptEntries>,
}

impl AuditLog {
    /// Those that are stored; they are told for so many days.
    pub(crate) async fn load(service: Service, days: u32) -> Result<Self, StoreError> {
        let stored = service.registry(AUDIT_KIND).await?;
        Ok(Self { service, kept: Arc::new(KeptEntries::new(stored, days)) })
    }

    /// Keeps one more; once this is over it is on disk, or the log says that it is not.
    pub(crate) async fn keep(self, deed: Deed) {
        let told = format!("{deed:?}");
        let writes = self.kept.add(deed, self.service.clock().now_ms());
        if let Err(error) = self.service.register(writes).await {
            tracing::error!("a command was carried out and is not in the stored audit: {told}: {error}");
        }
    }

    /// At most so many, the newest first; of one org, and with numbers below one, if that is said.
    pub(crate) fn entries(&self, org: Option<&str>, before: Option<u64>, limit: usize) -> Vec<AuditEntry> {
        self.kept.page(org, before, limit, self.service.clock().now_ms())
    }
}

/// Those that are kept, in memory.
#[derive(Debug)]
struct KeptEntries {
    /// The oldest first.
    entries: Mutex<VecDeque<AuditEntry>>,
    told_for: Duration,
}

impl KeptEntries {
    fn new(stored: Vec<(String, Vec<u8>)>, days: u32) -> Self {
        let mut entries: Vec<AuditEntry> =
            stored.into_iter().filter_map(|(name, value)| AuditEntry::read(&name, &value)).collect();
        entries.sort_unstable_by_key(|entry| entry.number);
        let told_for = Duration::from_hours(DAY_HOURS * u64::from(days));
        Self { entries: Mutex::new(entries.into()), told_for }
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<AuditEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what is to be stored: the new one, and those that make room or are too old.
    fn add(&self, deed: Deed, now: UnixMs) -> Vec<RegistryWrite> {
        let mut all = self.all();
        // Moments make the numbers, so that what was added while no service ran has its place; a clock that is set back does not.
        let number = all.back().map_or(0, |last| last.number + 1).max(now.0);
        let entry = AuditEntry::new(number, now, deed);
        let mut writes = vec![entry.write()];
        all.push_back(entry);
        let since = now.saturating_sub(self.told_for);
        let too_many = all.len().saturating_sub(ENTRIES_MAX);
        let aged = all.iter().take(AGED_MAX).take_while(|oldest| oldest.at_ms < since).count();
        for _ in 0..too_many.max(aged) {
            writes.extend(all.pop_front().map(|oldest| oldest.removal()));
        }
        if all.back().is_some_and(|entry| entry.command == PUSH)
            && all.iter().filter(|entry| entry.command == PUSH).count() > PUSHES_MAX
            && let Some(place) = all.iter().position(|entry| entry.command == PUSH)
        {
            writes.extend(all.remove(place).map(|oldest| oldest.removal()));
        }
        writes
    }

    fn page(&self, org: Option<&str>, before: Option<u64>, limit: usize, now: UnixMs) -> Vec<AuditEntry> {
        let since = now.saturating_sub(self.told_for);
        let all = self.all();
        let asked = all.iter().rev().filter(|entry| {
            entry.at_ms >= since
                && before.is_none_or(|before| entry.number < before)
                && org.is_none_or(|org| entry.org.as_deref() == Some(org))
        });
        asked.take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(command: &str, org: &str) -> Deed {
        let org = Some(org.to_owned()).filter(|org| !org.is_empty());
        Deed { by: "jo".to_owned(), command: command.to_owned(), org, status: Some(202), ..Deed::default() }
    }

    /// What a registry has after these writes.
    fn apply(registry: &mut BTreeMap<String, Vec<u8>>, writes: Vec<RegistryWrite>) {
        for RegistryWrite { name, value, .. } in writes {
            match value {
                Some(value) => drop(registry.insert(name, value)),
                None => drop(registry.remove(&name)),
            }
        }
    }

    fn commands(entries: &[AuditEntry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.command.as_str()).collect()
    }

    #[test]
    fn they_are_told_by_org_and_page_by_page_the_newest_first_also_after_a_restart() {
        let (kept, mut registry) = (KeptEntries::new(Vec::new(), 30), BTreeMap::new());
        for (command, org) in [("pause", "acme"), ("reload", ""), ("resume", "acme"), ("pause", "globex")] {
            apply(&mut registry, kept.add(deed(command, org), UnixMs(5_000)));
        }
        apply(&mut registry, vec![without_service("reset tokens", UnixMs(6_000))]);
        let again = KeptEntries::new(registry.into_iter().collect(), 30);
        let now = UnixMs(7_000);
        let all = again.page(None, None, 10, now);
        assert_eq!(commands(&all), ["reset tokens", "pause", "resume", "reload", "pause"]);
        assert_eq!(all[0].by, "command line");
        let page = again.page(None, Some(all[1].number), 2, now);
        assert_eq!(commands(&page), ["resume", "reload"]);
        assert_eq!(commands(&again.page(Some("acme"), None, 10, now)), ["resume", "pause"]);
        assert_eq!(again.page(Some("acme"), None, 10, now)[1], kept.page(None, None, 10, now)[3]);
    }

    #[test]
    fn there_are_only_so_many_and_none_older_than_the_ledger() {
        let (kept, mut registry) = (KeptEntries::new(Vec::new(), 1), BTreeMap::new());
        let day = UnixMs::EPOCH.saturating_add(Duration::from_hours(24)).0;
        for n in 0..ENTRIES_MAX as u64 + 5 {
            apply(&mut registry, kept.add(deed("pause", "acme"), UnixMs(n)));
        }
        assert_eq!((kept.all().len(), registry.len()), (ENTRIES_MAX, ENTRIES_MAX));
        assert_eq!(kept.all().front().map(|oldest| oldest.number), Some(5));
        let late = UnixMs(day + 100);
        assert_eq!(kept.page(None, None, usize::MAX, late).len(), ENTRIES_MAX - 95);
        apply(&mut registry, kept.add(deed("resume", "acme"), late));
        assert_eq!(
            registry.len(),
            ENTRIES_MAX + 1 - AGED_MAX,
            "a little of what is too old goes with the next one"
        );
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_takes_next_to_nothing() {
        let (kept, mut registry) = (KeptEntries::new(Vec::new(), 30), BTreeMap::new());
        for n in 0..100 {
            apply(&mut registry, kept.add(deed("pause", "acme"), UnixMs(n)));
        }
        let years = UnixMs::EPOCH.saturating_add(Duration::from_hours(24 * 3_650));
        apply(&mut registry, kept.add(deed("resume", "acme"), years));
        assert_eq!(registry.len(), 101 - AGED_MAX);
        assert_eq!(kept.page(None, None, usize::MAX, UnixMs(200)).len(), 101 - AGED_MAX, "it is right again");
    }

    #[test]
    fn pushes_drive_out_pushes_only() {
        let (kept, mut registry) = (KeptEntries::new(Vec::new(), 30), BTreeMap::new());
        apply(&mut registry, kept.add(deed("pause", "acme"), UnixMs(1)));
        for n in 0..PUSHES_MAX as u64 + 7 {
            apply(&mut registry, kept.add(deed(PUSH, ""), UnixMs(n)));
        }
        assert_eq!((kept.all().len(), registry.len()), (PUSHES_MAX + 1, PUSHES_MAX + 1));
        let all = kept.page(None, None, usize::MAX, UnixMs(5_000));
        assert_eq!(all.last().map(|oldest| oldest.command.as_str()), Some("pause"));
    }

    #[test]
    fn numbers_rise_whatever_the_clock_does_and_what_cannot_be_read_is_told() {
        let stored = vec![(name(9), b"of a later version".to_vec()), ("x".to_owned(), Vec::new())];
        let kept = KeptEntries::new(stored, 30);
        kept.add(deed("pause", "acme"), UnixMs(3));
        let all = kept.page(None, None, 10, UnixMs(3));
        assert_eq!(all.iter().map(|entry| entry.number).collect::<Vec<_>>(), [10, 9]);
        assert_eq!(all[1].command, "what is stored of it cannot be read");
    }

    #[test]
    fn of_a_query_choices_are_kept_and_no_text() {
        let kept = kept_of_query("reason=Jane%20Doe&group=7-1&limit=5&token=op_1&values=true");
        let expected = [("group", "7-1"), ("limit", "5"), ("reason", "…")];
        assert_eq!(kept, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let entry =
            AuditEntry::new(1, UnixMs(1), Deed { details: kept, ..deed("retry dead letters", "acme") });
        assert_eq!(entry.told(), "retry dead letters, group 7-1, limit 5, reason …");
    }

    #[test]
    fn details_are_bounded() {
        let long = "x".repeat(DETAIL_CHARS_MAX + 1);
        let details = (0..=DETAILS_MAX).map(|n| (format!("{n:02}"), long.clone())).collect();
        let entry = AuditEntry::new(1, UnixMs(1), Deed { details, ..deed("pause", &long) });
        let sizes: Vec<usize> = entry.details.values().map(String::len).collect();
        assert_eq!(sizes, [DETAIL_CHARS_MAX; DETAILS_MAX]);
        assert_eq!(entry.org.map(|org| org.len()), Some(DETAIL_CHARS_MAX));
    }
}
