//! Odd bytes from a seed, where there is no libFuzzer: an answer is made, then spoilt a little.
//!
//! Here: what can be spoilt in any text. Not here: the answers.

use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Pieces that people have found in answers, and that readers stumble over.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"\xEF\xBB\xBF",
    b"\xFF",
    b"\0",
    b"null",
    b"NaN",
    b"1e400",
    b"-0",
    b"18446744073709551616",
    b"\\ud83d",
    b"\\u0000",
    b"<html>",
    b"\"\"",
    b"\"id\":",
    b"\"done\":false,",
];

/// Spoils a text in up to four places, or leaves it as it is.
pub(crate) fn spoil(rng: &mut StdRng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.random_range(0..5) {
        let at = rng.random_range(0..=bytes.len());
        let end = rng.random_range(at..=bytes.len().min(at + 40));
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, PIECES.choose(rng).expect("some").iter().copied())),
            2 => drop(bytes.splice(at..end, PIECES.choose(rng).expect("some").iter().copied())),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.random_range(0..8)),
        }
    }
    bytes
}

/// How many seeds are played: `ORGPIPE_SEEDS`, else `usual`.
#[allow(clippy::disallowed_methods, reason = "a test is told by the environment how long it shall run")]
pub(crate) fn seeds(usual: u64) -> std::ops::Range<u64> {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match asked("ORGPIPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("ORGPIPE_SEEDS").unwrap_or(usual),
    }
}
