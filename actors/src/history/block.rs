//! Samples of several orgs over some time, as bytes: column by column, packed.
//!
//! Here: the encoding, and its inverse. Not here: which samples stand together (`levels`).
//!
//! ```text
//! version u8 = 1 │ deflated: series, names, slots, then of all samples the events, what records in differ from them, …
//! ```
//!
//! Numbers are LEB128; a name is told by what it has in common with the one before. Invariant: `decode` is the inverse of
//! `encode`, and takes no more memory than [`BODY_BYTES_MAX`] leads to, whatever the bytes.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

use super::Sample;

/// Version of the encoding.
const VERSION: u8 = 1;
/// Bytes of a block before it is packed.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The samples of one org, by slot.
pub(crate) type Series = Vec<(u32, Sample)>;
/// By org; the whole service has no name.
pub(crate) type Block = BTreeMap<String, Series>;

/// As it is stored.
pub(crate) fn encode(block: &Block) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, block.len() as u64);
    let mut before = "";
    for (name, series) in block {
        let common = before.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
        put(&mut body, common as u64);
        put(&mut body, (name.len() - common) as u64);
        body.extend_from_slice(&name.as_bytes()[common..]);
        before = name;
        put(&mut body, series.len() as u64);
        let mut last = 0;
        for (slot, _) in series {
            put(&mut body, u64::from(slot - last));
            last = *slot;
        }
    }
    for column in COLUMNS {
        for series in block.values() {
            let mut last = Sample::default();
            for (_, sample) in series {
                put(&mut body, (column.get)(sample, &last));
                last = *sample;
            }
        }
    }
    let mut packed = DeflateEncoder::new(vec![VERSION], Compression::best());
    // A vector takes every byte.
    let _ = packed.write_all(&body);
    packed.finish().unwrap_or_default()
}

/// What was encoded of the orgs that are wanted; none if these bytes are no block. The others are passed over and take no memory.
pub(crate) fn decode(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Option<Block> {
    let (VERSION, packed) = bytes.split_first().map(|(version, packed)| (*version, packed))? else {
        return None;
    };
    let mut body = Vec::new();
    DeflateDecoder::new(packed).take(BODY_BYTES_MAX).read_to_end(&mut body).ok()?;
    let mut rest = body.as_slice();
    let mut all = Vec::new();
    let mut before = Vec::new();
    for _ in 0..take(&mut rest)? {
        let (common, more) =
            (usize::try_from(take(&mut rest)?).ok()?, usize::try_from(take(&mut rest)?).ok()?);
        before.truncate(common);
        before.extend_from_slice(rest.split_off(..more)?);
        let (name, samples) = (std::str::from_utf8(&before).ok()?, take(&mut rest)?);
        if !wanted(name) {
            skip(&mut rest, samples)?;
            all.push(StoredSeries::Skipped(samples));
            continue;
        }
        let (mut series, mut slot) = (Series::new(), 0_u32);
        for _ in 0..samples {
            slot = slot.checked_add(u32::try_from(take(&mut rest)?).ok()?)?;
            series.push((slot, Sample::default()));
        }
        all.push(StoredSeries::Wanted(name.to_owned(), series));
    }
    for column in COLUMNS {
        for series in &mut all {
            let mut last = Sample::default();
            let series = match series {
                StoredSeries::Wanted(_, series) => series,
                StoredSeries::Skipped(samples) => {
                    skip(&mut rest, *samples)?;
                    continue;
                }
            };
            for (_, sample) in series {
                (column.set)(sample, &last, take(&mut rest)?)?;
                last = *sample;
            }
        }
    }
    let wanted = all.into_iter().filter_map(|series| match series {
        StoredSeries::Wanted(name, series) => Some((name, series)),
        StoredSeries::Skipped(_) => None,
    });
    rest.is_empty().then(|| wanted.collect())
}

/// A series while it is read.
enum StoredSeries {
    Wanted(String, Series),
    /// So many samples.
    Skipped(u64),
}

/// One number of a sample, told by what it differs from those known already.
struct BlockColumn {
    get: fn(&Sample, &Sample) -> u64,
    set: fn(&mut Sample, &Sample, u64) -> Option<()>,
}

/// In this order, as later ones are told by earlier ones.
const COLUMNS: [BlockColumn; 8] = [
    BlockColumn {
        get: |one, _| one.events,
        set: |one, _, told| {
            let _: () = one.events = told;
            Some(())
        },
    },
    BlockColumn {
        get: |one, _| differs(one.records_in, one.events),
        set: |one, _, told| {
            let _: () = one.records_in = undiffers(told, one.events);
            Some(())
        },
    },
    BlockColumn {
        get: |one, _| differs(one.written, one.records_in),
        set: |one, _, told| {
            let _: () = one.written = undiffers(told, one.records_in);
            Some(())
        },
    },
    BlockColumn {
        get: |one, _| one.failed,
        set: |one, _, told| {
            let _: () = one.failed = told;
            Some(())
        },
    },
    BlockColumn {
        get: |one, _| one.calls,
        set: |one, _, told| {
            let _: () = one.calls = told;
            Some(())
        },
    },
    BlockColumn {
        get: |one, _| u64::from(one.lag),
        set: |one, _, told| {
            let _: () = one.lag = u8::try_from(told).ok()?;
            Some(())
        },
    },
    BlockColumn {
        get: |one, last| differs(one.open, last.open),
        set: |one, last, told| {
            let _: () = one.open = undiffers(told, last.open);
            Some(())
        },
    },
    BlockColumn {
        get: |one, last| differs(u64::from(one.api), u64::from(last.api)),
        set: |one, last, told| {
            let _: () = one.api = u16::try_from(undiffers(told, u64::from(last.api))).ok()?;
            Some(())
        },
    },
];

/// A difference as a number that is small where the difference is, to either side.
fn differs(one: u64, from: u64) -> u64 {
    let by = one.wrapping_sub(from).cast_signed();
    ((by << 1) ^ (by >> 63)).cast_unsigned()
}

fn undiffers(told: u64, from: u64) -> u64 {
    from.wrapping_add((told >> 1) ^ (told & 1).wrapping_neg())
}

fn put(to: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *from.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Passes over so many numbers.
fn skip(from: &mut &[u8], numbers: u64) -> Option<()> {
    for _ in 0..numbers {
        take(from)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::{btree_map, vec},
        prelude::*,
    };

    use super::*;
    use crate::history::tests::any_sample;

    fn any_block() -> impl Strategy<Value = Block> {
        let series =
            btree_map(0..1_500_u32, any_sample(), 0..40).prop_map(|series| series.into_iter().collect());
        btree_map("[a-cü]{0,9}", series, 0..12)
    }

    proptest! {
        #[test]
        fn every_block_is_read_back(block in any_block()) {
            prop_assert_eq!(decode(&encode(&block), |_| true), Some(block));
        }

        #[test]
        fn of_a_block_only_what_is_wanted_is_read(block in any_block(), beginning in "[a-c]?") {
            let is_wanted = |name: &str| name.starts_with(&beginning);
            let wanted: Block = block.clone().into_iter().filter(|(name, _)| is_wanted(name)).collect();
            prop_assert_eq!(decode(&encode(&block), is_wanted), Some(wanted));
        }

        #[test]
        fn reading_any_bytes_never_panics(mut bytes in vec(any::<u8>(), 0..200)) {
            decode(&bytes, |_| true);
            bytes.insert(0, VERSION);
            decode(&bytes, |_| true);
            let mut packed = DeflateEncoder::new(vec![VERSION], Compression::fast());
            packed.write_all(&bytes).expect("a vector");
            let packed = packed.finish().expect("a vector");
            decode(&packed, |_| true);
            decode(&packed, |_| false);
        }
    }
}
