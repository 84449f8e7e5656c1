//! Bodies of answers, as much of them as may be held.
//!
//! Here: how many values the JSON of a body has, counted while it comes; the budget of bytes that all bodies in flight
//! share. Not here: reading from a socket (`client`), how large the answer to which call may be (`limits`).
//!
//! A small body is free. A larger one takes room for the largest that it may become, in one step, before it is read on:
//! whoever waits for room holds none, so that nobody waits for ever. What is not needed is given back when the body is
//! there, the rest when it is dropped.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{BODIES_BYTES_MAX, JSON_VALUES_MAX, SMALL_BODY_BYTES_MAX};

/// Bytes that one permit of the semaphore stands for.
const UNIT: usize = 1024;

/// The room for all bodies that are not small; clones share it.
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self::of(BODIES_BYTES_MAX)
    }
}

impl BodyBudget {
    /// Room for so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(units(bytes))))
    }

    /// A body that is about to be read and may grow to `bytes_max`. `bytes_max` above the whole room takes all of it.
    pub fn body(&self, bytes_max: usize) -> HeldBody {
        let values = ValueCount::default();
        HeldBody { budget: self.clone(), bytes_max, bytes: Vec::new(), room: None, values }
    }

    async fn room(&self, bytes: usize, whole: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(units(bytes).min(units(whole))).unwrap_or(u32::MAX);
        // Never closed, so there is always an answer.
        Arc::clone(&self.0).acquire_many_owned(units).await.ok()
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

/// Why a body is not read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyTooLarge {
    /// More bytes than may be held of it.
    Bytes(usize),
    /// JSON of more values than may be held.
    Values(usize),
}

/// A body as far as it has come.
#[derive(Debug)]
pub struct HeldBody {
    budget: BodyBudget,
    bytes_max: usize,
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    values: ValueCount,
}

impl HeldBody {
    /// So many bytes are announced: refused if they are too many, else memory is set aside, but no more than for a small
    /// body.
    pub fn expect(&mut self, bytes: u64) -> Result<(), BodyTooLarge> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > self.bytes_max {
            return Err(BodyTooLarge::Bytes(self.bytes_max));
        }
        self.bytes.reserve(bytes.min(SMALL_BODY_BYTES_MAX));
        Ok(())
    }

    /// Takes the next piece; waits for room when the body ceases to be small.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), BodyTooLarge> {
        let bytes = self.bytes.len().saturating_add(piece.len());
        if bytes > self.bytes_max {
            return Err(BodyTooLarge::Bytes(self.bytes_max));
        }
        if self.values.add(piece) > JSON_VALUES_MAX {
            return Err(BodyTooLarge::Values(JSON_VALUES_MAX));
        }
        if bytes > SMALL_BODY_BYTES_MAX && self.room.is_none() {
            self.room = self.budget.room(self.bytes_max, BODIES_BYTES_MAX).await;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The whole body; its room is free again when the last clone of it is dropped.
    pub fn done(mut self) -> Bytes {
        if let Some(room) = &mut self.room {
            let unused = room.num_permits().saturating_sub(units(self.bytes.len()));
            drop(room.split(unused));
        }
        match self.room {
            Some(room) => Bytes::from_owner(Roomy { bytes: self.bytes, _room: room }),
            None => Bytes::from(self.bytes),
        }
    }
}

/// Bytes and the room they take.
struct Roomy {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Roomy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts the values of a JSON text that comes in pieces: each list, object and comma outside of texts begins one. What
/// is no JSON is counted as well, which does no harm.
#[derive(Debug, Default)]
struct ValueCount {
    values: usize,
    in_text: bool,
    escaped: bool,
    /// The text begins with `[` or `{`; unknown until its first byte.
    is_json: Option<bool>,
}

impl ValueCount {
    fn add(&mut self, piece: &[u8]) -> usize {
        if self.is_json.is_none() {
            let first = piece.iter().find(|byte| !byte.is_ascii_whitespace());
            self.is_json = first.map(|first| matches!(first, b'[' | b'{'));
        }
        if self.is_json != Some(true) {
            return 0;
        }
        for byte in piece {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b',' | b'[' | b'{' if !self.in_text => self.values += 1,
                _ => {}
            }
        }
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_over_pieces_and_not_within_texts() {
        let count = |pieces: &[&str]| {
            let mut count = ValueCount::default();
            pieces.iter().map(|piece| count.add(piece.as_bytes())).last().unwrap_or(0)
        };
        for (pieces, values) in [
            (&["[0,0,0]"][..], 3),
            (&["[0,", "0,0", "]"], 3),
            (&[" ", r#"{"a":"x,[\",{","b":[1]}"#], 3),
            (&[r#"["\"#, r#"",,,",1]"#], 2),
            (&["<html>,,,"], 0),
            (&["a,b\n1,2"], 0),
            (&[""], 0),
        ] {
            assert_eq!(count(pieces), values, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_small_body_is_free_and_a_large_one_waits_for_room() {
        let budget = BodyBudget::of(2 * 1024 * 1024);
        let piece = vec![b'x'; SMALL_BODY_BYTES_MAX];
        let free = || budget.0.available_permits();
        let all = free();
        let mut first = budget.body(2 * 1024 * 1024);
        first.push(&piece).await.expect("small");
        assert_eq!(free(), all);
        first.push(b"y").await.expect("room");
        assert_eq!(free(), 0, "for the largest that it may become");
        let mut second = budget.body(1024 * 1024);
        second.push(&piece).await.expect("small");
        {
            let waiting = second.push(&piece);
            tokio::pin!(waiting);
            assert!(futures_util::poll!(&mut waiting).is_pending());
            let body = first.done();
            assert_eq!(body.len(), SMALL_BODY_BYTES_MAX + 1);
            assert_eq!(waiting.await, Ok(()), "what was not needed is free again");
            drop(body);
        }
        drop(second);
        assert_eq!(free(), all);
    }

    #[tokio::test]
    async fn bytes_and_values_are_bounded_while_they_come() {
        let budget = BodyBudget::default();
        let mut body = budget.body(10);
        assert_eq!(body.push(b"0123456789").await, Ok(()));
        assert_eq!(body.push(b"x").await, Err(BodyTooLarge::Bytes(10)));
        let (mut body, zeros) = (budget.body(64 * 1024 * 1024), "0,".repeat(100_000));
        body.push(b"[").await.expect("room");
        let mut pieces = 0;
        let refused = loop {
            match body.push(zeros.as_bytes()).await {
                Ok(()) => pieces += 1,
                Err(refused) => break refused,
            }
        };
        assert_eq!((refused, pieces), (BodyTooLarge::Values(JSON_VALUES_MAX), 14));
    }
}
