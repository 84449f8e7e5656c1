//! Everything out of a store, also out of a damaged one.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::line::{Line, VERSION, line};
use crate::{
    disk::{Disk, SledDisk},
    entry::Mark,
    error::StoreError,
    files::{FILE_MODE, file},
    frame,
    index::{Rebuild, check_format},
    keys::Key,
    options::Options,
    seq::Seq,
};

/// Losses that are named in the file; that there are more, the last one says.
const LOST_MAX: usize = 10_000;

/// What is not to be in an export: whoever gives these names knows which values are secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeftOut<'a> {
    /// Names of positions, of every org.
    pub positions: &'a [&'a str],
    /// Kinds of the registry.
    pub kinds: &'a [&'a str],
}

impl LeftOut<'_> {
    fn has(&self, key: &[u8]) -> bool {
        match Key::parse(key) {
            Some(Key::Position { name, .. }) => self.positions.contains(&name),
            Some(Key::Registered { kind, .. }) => self.kinds.contains(&kind),
            _ => false,
        }
    }

    /// As the file says it.
    fn names(&self) -> Vec<String> {
        let positions = self.positions.iter().map(|name| format!("position {name}"));
        positions.chain(self.kinds.iter().map(|kind| format!("registry {kind}"))).collect()
    }
}

/// What an export has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Entries in the file.
    pub entries: u64,
    /// Entries that were left out on purpose.
    pub left_out: u64,
    /// Values of the history: they are never in it, as what the service did at one place is no work for another.
    pub history: u64,
    /// What could not be read, in sentences; it is in the file, too.
    pub lost: Vec<String>,
}

/// Writes every entry that can be read to a new file, but those to be left out, and names those that cannot be read.
///
/// # Errors
/// A service has the store open, there is none or one of another format, it does not open at all, or the file is there
/// already or cannot be written.
pub fn export(dir: &Path, to: &Path, left_out: &LeftOut<'_>) -> Result<Exported, StoreError> {
    let disk = SledDisk::open_existing(dir, Options::OFFLINE)?;
    check_format(&disk)?;
    let sequence = sequence(&disk);
    let failed = |source| file("write", to, source);
    let new = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(to).map_err(failed)?;
    let mut out = Checked { out: BufWriter::new(new), crc: crc32fast::Hasher::new() };
    let (mut exported, mut rebuild) = (Exported::default(), Rebuild::default());
    let head = Line::Head { orgpipe_export: VERSION, sequence, left_out: left_out.names() };
    write(&mut out, &head).map_err(failed)?;
    disk.each_readable(&mut |found| {
        let is_history = |key| matches!(Key::parse(key), Some(Key::History { .. }));
        exported.history += u64::from(found.as_ref().is_ok_and(|(key, _)| is_history(key)));
        let leave_out = found.as_ref().is_ok_and(|(key, _)| left_out.has(key));
        let lost = match found.and_then(|(key, value)| entry(key, value, &mut rebuild)) {
            Ok(Some(_)) if leave_out => {
                exported.left_out += 1;
                return Ok(());
            }
            Ok(Some(line)) => {
                exported.entries += 1;
                return write(&mut out, &line).map_err(failed);
            }
            Ok(None) => return Ok(()),
            Err(lost) => lost,
        };
        if exported.lost.len() < LOST_MAX {
            exported.lost.push(lost);
        }
        Ok(())
    })?;
    // What is missing without a trace, the ledgers tell.
    if let Err(problem) = rebuild.finish(disk.given_before()) {
        exported.lost.push(problem.to_string());
    }
    let crc32 = out.crc.clone().finalize();
    write(&mut out, &Line::End { entries: exported.entries, crc32, lost: exported.lost.clone() })
        .and_then(|()| out.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all())
        .map_err(failed)?;
    Ok(exported)
}

/// The highest number given: 0 if the mark cannot be read, as the import then goes by the entries.
fn sequence(disk: &SledDisk) -> Seq {
    let key = Key::Mark.bytes();
    let value = disk.get(&key).ok().flatten();
    let mark = value.as_ref().and_then(|value| Mark::decode(frame::open(&key, value).ok()?));
    mark.unwrap_or_default().sequence
}

/// The line of an entry, None if it has none; or what is wrong with it.
fn entry(key: &[u8], value: &[u8], rebuild: &mut Rebuild) -> Result<Option<Line>, String> {
    rebuild.add(key, value).map_err(|problem| problem.to_string())?;
    let Some(parsed) = Key::parse(key) else { return Ok(None) };
    if matches!(parsed, Key::Format | Key::Mark | Key::History { .. }) {
        return Ok(None);
    }
    let payload = frame::open(key, value)?;
    let line = line(parsed, payload).map(Some);
    line.ok_or_else(|| format!("{parsed} does not have the fields it must have"))
}

struct Checked<W> {
    out: W,
    crc: crc32fast::Hasher,
}

fn write<W: Write>(to: &mut Checked<W>, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.crc.update(&text);
    to.out.write_all(&text)
}
