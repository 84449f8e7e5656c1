//! A push: the vendor says that its own data has changed, and about what.
//!
//! Here: what one is made of, as it is asked for and as it is stored once for all orgs, and which items there may be. Pure.
//! Not here: who takes it in (`service/pushes.rs`), what waits of it (`org/push_log.rs`), finding the records
//! (`capture/push.rs`).
//!
//! Invariant: a push that is stored has items that can be asked for.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use orgpipe_reconcile::id;
use orgpipe_salesforce::soql::fits_literal;
use orgpipe_store::{BODY_BYTES_MAX, Seq, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{problem::Hint, queue_entry::pack};

/// Items of one push.
pub const PUSH_ITEMS_MAX: usize = 10_000;
/// Bytes of the body of a request that makes one; what is stored of it is shorter than what the store takes.
pub const PUSH_BYTES_MAX: usize = BODY_BYTES_MAX - 64 * 1024;
/// Bytes of the data of one item, so that it finds room in a request.
pub const PUSH_DATA_BYTES_MAX: usize = 512 * 1024;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Characters of one value that records are found by.
const VALUE_CHARS_MAX: usize = 1_000;
/// Characters of an item that are told.
const SHOWN_CHARS_MAX: usize = 60;

/// What a push asks about: one list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushItems {
    /// External IDs of records of the sync's target: its customer's record is the one that it hangs on.
    ExternalIds(Vec<String>),
    /// Keys of the sync with their values, as your API is asked about them; all of an item are those of one record.
    Keys(Vec<BTreeMap<String, Value>>),
    /// IDs of records of the sync's own object, in one org.
    RecordIds(Vec<String>),
}

/// A push as the vendor asks for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewPush {
    /// Name of the sync.
    pub sync: String,
    /// The orgs; none = all that have the sync.
    pub orgs: Option<Vec<String>>,
    /// What it is about.
    pub items: PushItems,
    /// For each of the items what a look-up would answer, or none, so that it is looked up; empty if it is so for all.
    pub data: Vec<Option<Vec<Value>>>,
    /// The same key with the same push again is the same push.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// What is known of a push at once: what it is, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushHead {
    /// Format version, now 1.
    pub v: u8,
    /// Name of the sync.
    pub sync: String,
    /// Which list it has.
    pub kind: PushKind,
    /// Items in it.
    pub items: usize,
    /// Names of the orgs, in order.
    pub orgs: Vec<String>,
    /// When it was accepted.
    pub at_ms: UnixMs,
    /// The key it came with, if it came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Hash of what was asked for, to tell another push with the same key.
    pub digest: String,
}

/// What an org reads of a push when its turn comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PushBody {
    /// The list.
    pub items: PushItems,
    /// As in [`NewPush`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Option<Vec<Value>>>,
}

/// Which list a push has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// External IDs of the target.
    ExternalIds,
    /// Keys of the sync.
    Keys,
    /// IDs of records.
    RecordIds,
}

/// How far an org is with the pushes of a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushPlace {
    /// Number of the push that was read last.
    pub number: Seq,
    /// So many of its items are done; all of the pushes before it are.
    pub item: usize,
    /// The items behind it, of which only a part of the records has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<PushPart>,
}

/// Items that lead to more records than are read with one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushPart {
    /// How many distinct items are asked for together.
    pub items: usize,
    /// Number of the push behind which none of them stands.
    pub last: Seq,
    /// ID of the last record that was read.
    pub after: String,
}

impl PushPlace {
    /// Whether a push of so many items is done.
    pub(crate) fn is_behind(&self, number: Seq, items: usize) -> bool {
        self.number > number || (self.number == number && self.item >= items)
    }
}

impl PushItems {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::ExternalIds(ids) | Self::RecordIds(ids) => ids.len(),
            Self::Keys(keys) => keys.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which list it is.
    pub fn kind(&self) -> PushKind {
        match self {
            Self::ExternalIds(_) => PushKind::ExternalIds,
            Self::Keys(_) => PushKind::Keys,
            Self::RecordIds(_) => PushKind::RecordIds,
        }
    }
}

/// What is wrong with what a push asks about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushProblem {
    /// No item, or more than there may be.
    #[error("the push has {0} items, and 1 to {PUSH_ITEMS_MAX} make one")]
    Items(usize),
    /// An item that nothing can be found by.
    #[error("item {place} of the push is {what}")]
    Item {
        /// Its place in the list, from 0.
        place: usize,
        /// What it is.
        what: String,
    },
    /// The list of data is not parallel to the items.
    #[error("`data` has {data} entries for {items} items")]
    Data {
        /// Its entries.
        data: usize,
        /// The items.
        items: usize,
    },
    /// The data of one item is too long.
    #[error("the data of item {place} has more than the {PUSH_DATA_BYTES_MAX} bytes that are taken")]
    LongData {
        /// Its place in the list, from 0.
        place: usize,
    },
    /// All of it is too long.
    #[error("the push has {0} bytes, and {BODY_BYTES_MAX} are kept")]
    TooLong(usize),
    /// The idempotency key is none.
    #[error("the `Idempotency-Key` has {0} characters or some that cannot be seen")]
    Key(usize),
}

impl Hint for PushProblem {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Items(_) => {
                format!("Send {PUSH_ITEMS_MAX} at most with one push, and the rest with another.")
            }
            Self::Item { .. } => {
                "Nothing was taken; correct that item, or leave it out, and push again.".to_owned()
            }
            Self::Data { .. } => {
                "Give each item its data at the same place, or null to have it looked up.".to_owned()
            }
            Self::LongData { .. } => {
                "Put null in its place: then it is looked up. Only what the mapping uses need be sent."
                    .to_owned()
            }
            Self::TooLong(_) => "Send the items with several pushes.".to_owned(),
            Self::Key(_) => format!(
                "Give 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters, such as a UUID, or none."
            ),
        })
    }
}

impl NewPush {
    /// Holds it against what may be asked; record IDs are brought to their long form.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn checked(mut self) -> Result<Self, PushProblem> {
        let items = self.items.len();
        if items == 0 || items > PUSH_ITEMS_MAX {
            return Err(PushProblem::Items(items));
        }
        if let Some(key) = &self.idempotency_key
            && (key.is_empty()
                || key.len() > IDEMPOTENCY_KEY_CHARS_MAX
                || !key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(PushProblem::Key(key.chars().count()));
        }
        match &mut self.items {
            PushItems::ExternalIds(ids) => {
                for (place, external_id) in ids.iter().enumerate() {
                    check_text(place, external_id)?;
                }
            }
            PushItems::Keys(items) => {
                for (place, keys) in items.iter().enumerate() {
                    check_keys(place, keys)?;
                }
            }
            PushItems::RecordIds(ids) => {
                for (place, raw) in ids.iter_mut().enumerate() {
                    let item = |what: String| PushProblem::Item { place, what };
                    *raw = id::check(raw)
                        .map_err(|fault| item(format!("`{}`, which {}", shown(raw), fault.sentence())))?;
                }
            }
        }
        if !self.data.is_empty() && self.data.len() != items {
            return Err(PushProblem::Data { data: self.data.len(), items });
        }
        let long = |data: &Option<Vec<Value>>| {
            data.as_ref().is_some_and(|data| pack(data).len() > PUSH_DATA_BYTES_MAX)
        };
        match self.data.iter().position(long) {
            Some(place) => Err(PushProblem::LongData { place }),
            None => Ok(self),
        }
    }

    /// What is stored of it, for these orgs.
    pub(crate) fn stored(self, mut orgs: Vec<String>, at_ms: UnixMs) -> (PushHead, PushBody) {
        let digest = self.digest();
        let Self { sync, items, data, idempotency_key, .. } = self;
        orgs.sort_unstable();
        orgs.dedup();
        let (kind, count) = (items.kind(), items.len());
        let head = PushHead { v: 1, sync, kind, items: count, orgs, at_ms, idempotency_key, digest };
        (head, PushBody { items, data })
    }

    /// Hash of all that it asks for.
    pub(crate) fn digest(&self) -> String {
        STANDARD.encode(digest::digest(&digest::SHA256, &pack(self)))
    }
}

fn check_keys(place: usize, keys: &BTreeMap<String, Value>) -> Result<(), PushProblem> {
    let item = |what: &str| Err(PushProblem::Item { place, what: what.to_owned() });
    if keys.is_empty() {
        return item("without a key");
    }
    for value in keys.values() {
        match value {
            Value::String(text) => check_text(place, text)?,
            Value::Number(_) | Value::Bool(_) => {}
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return item("a key whose value is neither text, a number, true nor false");
            }
        }
    }
    Ok(())
}

fn check_text(place: usize, text: &str) -> Result<(), PushProblem> {
    let item = |what: String| Err(PushProblem::Item { place, what });
    if text.trim().is_empty() {
        return item("empty".to_owned());
    }
    if text.chars().count() > VALUE_CHARS_MAX || !fits_literal(text) {
        return item(format!("longer than {VALUE_CHARS_MAX} characters: `{}…`", shown(text)));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::queue_entry::unpack;

    fn push(items: PushItems) -> NewPush {
        NewPush { sync: "accounts".into(), orgs: None, items, data: Vec::new(), idempotency_key: None }
    }

    fn external_ids(ids: &[&str]) -> PushItems {
        PushItems::ExternalIds(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    fn keys(value: Value) -> PushItems {
        PushItems::Keys(vec![BTreeMap::from([("domain".to_owned(), value)])])
    }

    #[test]
    fn what_can_be_asked_for_is_taken_and_what_cannot_is_told_with_its_place() {
        let record = |id: &str| PushItems::RecordIds(vec![id.to_owned()]);
        let long = "x".repeat(VALUE_CHARS_MAX + 1);
        let cases = [
            (external_ids(&["a", "A"]), None),
            (external_ids(&[]), Some("the push has 0 items")),
            (PushItems::ExternalIds(vec!["a".into(); PUSH_ITEMS_MAX + 1]), Some("has 10001 items")),
            (external_ids(&["a", " "]), Some("item 1 of the push is empty")),
            (external_ids(&[&long]), Some("item 0 of the push is longer than 1000")),
            (keys(json!("acme.com")), None),
            (keys(json!(7)), None),
            (keys(json!(null)), Some("neither text")),
            (keys(json!(["a"])), Some("neither text")),
            (PushItems::Keys(vec![BTreeMap::new()]), Some("without a key")),
            (record("0015000000Gv7qJ"), None),
            (record("001000000000001ZZZ"), Some("last three characters")),
            (record("acme"), Some("item 0 of the push is `acme`, which")),
        ];
        for (items, expected) in cases {
            let told = push(items.clone()).checked().err();
            assert!(told.iter().all(|problem| problem.hint().is_some()));
            let told = told.map(|problem| problem.to_string());
            let fits = match (&told, expected) {
                (Some(told), Some(expected)) => told.contains(expected),
                (told, expected) => told.is_none() && expected.is_none(),
            };
            assert!(fits, "{told:?} {expected:?}");
        }
        let long = push(record("0015000000Gv7qJ")).checked().expect("an ID");
        assert_eq!(long.items, record("0015000000Gv7qJAAR"));
    }

    #[test]
    fn data_stands_beside_its_item_and_a_key_can_be_seen() {
        let two = || push(external_ids(&["a", "b"]));
        let data = |data: Vec<Option<Vec<Value>>>| NewPush { data, ..two() }.checked().err();
        assert_eq!(data(vec![None, Some(vec![json!({ "x": 1 })])]), None);
        assert_eq!(data(vec![None]), Some(PushProblem::Data { data: 1, items: 2 }));
        let long = json!("x".repeat(PUSH_DATA_BYTES_MAX));
        assert_eq!(data(vec![None, Some(vec![long])]), Some(PushProblem::LongData { place: 1 }));
        for (key, taken) in [("a-1", true), ("", false), ("a b", false), ("ä", false)] {
            let told = NewPush { idempotency_key: Some(key.to_owned()), ..two() }.checked();
            assert_eq!(told.is_ok(), taken, "{key}");
        }
    }

    #[test]
    fn another_push_has_another_digest_and_what_is_stored_is_read_back() {
        let one = push(external_ids(&["a", "b"]));
        let other = NewPush { orgs: Some(vec!["acme".into()]), ..one.clone() };
        let same = NewPush { idempotency_key: Some("k".into()), ..one.clone() };
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.digest(), same.digest());
        let (head, body) = one.stored(vec!["b".into(), "a".into(), "b".into()], UnixMs(7));
        assert_eq!((head.orgs.join(","), head.items), ("a,b".to_owned(), 2));
        assert_eq!(unpack::<PushHead>(&pack(&head)).expect("readable"), head);
        assert_eq!(unpack::<PushBody>(&pack(&body)).expect("readable"), body);
    }

    #[test]
    fn a_place_is_behind_what_it_has_read_to_the_end() {
        let place = PushPlace { number: Seq(7), item: 3, within: None };
        for (number, items, behind) in [(6, 9, true), (7, 3, true), (7, 4, false), (8, 1, false)] {
            assert_eq!(place.is_behind(Seq(number), items), behind, "{number} {items}");
        }
    }
}
