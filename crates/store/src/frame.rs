//! The frame round every stored value, and the encoding inside it.
//!
//! ```text
//! version u8 = 1 │ length u32 │ crc32 u32 over key and payload │ payload
//! ```
//!
//! Numbers are big-endian; a text or list is its length as u32, then its bytes or items. What there is a great deal of
//! is short: a number in groups of seven bits, the lowest first, each but the last with its top bit set (LEB128), and
//! lengths so, too. Here: bytes in, bytes out.
//! Not here: which fields an entry has (`entry.rs`).
//!
//! Invariant: a value that was cut, changed, or stands under another key is told apart from one that was written.

/// Version of the frame.
const VERSION: u8 = 1;
/// Bytes before the payload.
pub(crate) const HEAD_BYTES: usize = 9;

/// Frames a payload for its key. Sizes are bounded long before (`sizes.rs`), so the length always fits.
pub(crate) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD_BYTES + payload.len());
    frame.push(VERSION);
    frame.extend_from_slice(&length_of(payload.len()).to_be_bytes());
    frame.extend_from_slice(&checksum(key, payload).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The payload of a frame, or what is wrong with it, to follow the entry's name in a sentence.
pub(crate) fn open<'a>(key: &[u8], frame: &'a [u8]) -> Result<&'a [u8], String> {
    let Some((head, payload)) = frame.split_at_checked(HEAD_BYTES) else {
        return Err(format!("is cut off after {} bytes", frame.len()));
    };
    let [version, l0, l1, l2, l3, c0, c1, c2, c3] = *head else {
        return Err("has no frame".to_owned());
    };
    if version != VERSION {
        return Err(format!("has frame version {version}, and version {VERSION} is known"));
    }
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length != payload.len() {
        return Err(format!("says it has {length} bytes, and has {}", payload.len()));
    }
    if u32::from_be_bytes([c0, c1, c2, c3]) != checksum(key, payload) {
        return Err("does not match its checksum".to_owned());
    }
    Ok(payload)
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

fn length_of(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an entry is bounded far below 4 GiB")
}

/// Builds a payload.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        let mut writer = self.u32(length_of(value.len()));
        writer.0.extend_from_slice(value);
        writer
    }

    pub(crate) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// A number that is mostly small.
    pub(crate) fn short(mut self, mut value: u64) -> Self {
        while value > 0x7f {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
        self
    }

    /// Bytes that are mostly few.
    pub(crate) fn short_bytes(self, value: &[u8]) -> Self {
        let mut writer = self.short(value.len() as u64);
        writer.0.extend_from_slice(value);
        writer
    }

    /// What was encoded before.
    pub(crate) fn raw(mut self, encoded: &[u8]) -> Self {
        self.0.extend_from_slice(encoded);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a payload; each question is answered None once it does not fit.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.u32()? as usize;
        Some(self.take(length)?.to_vec())
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn short(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn short_bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.short()?).ok()?;
        Some(self.take(length)?.to_vec())
    }

    pub(crate) fn short_text(&mut self) -> Option<String> {
        String::from_utf8(self.short_bytes()?).ok()
    }

    /// All that follows.
    pub(crate) fn rest(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// Is there nothing left?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may follow the last field.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_nothing_else_does(
            key in prop::collection::vec(any::<u8>(), 1..12),
            payload in prop::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let frame = seal(&key, &payload);
            prop_assert_eq!(open(&key, &frame), Ok(payload.as_slice()));
            let mut flipped = frame.clone();
            flipped[at.index(frame.len())] ^= 1 << bit;
            prop_assert!(open(&key, &flipped).is_err());
            prop_assert!(open(&key, &frame[..at.index(frame.len())]).is_err());
            let mut other = key.clone();
            other[at.index(key.len())] ^= 1 << bit;
            prop_assert!(open(&other, &frame).is_err());
        }

        #[test]
        fn reading_any_bytes_never_panics(payload in prop::collection::vec(any::<u8>(), 0..32)) {
            let mut reader = Reader::new(&payload);
            while reader.text().is_some() && reader.u64().is_some() {}
        }
    }
}
