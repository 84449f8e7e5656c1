//! For tests: all that this process says, written to files as well, a log of everything among them.
//!
//! `cargo xtask test` looks through these files for secrets and for values of records, which nothing here may say at any
//! level. Here: the files. Not here: where they go (`config/secrets.rs`), what is logged (`telemetry`) and printed (`output`).
//!
//! A service that runs in earnest has none.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    panic,
    path::Path,
    process,
    sync::OnceLock,
};

static TRANSCRIPT: OnceLock<Transcript> = OnceLock::new();

#[derive(Debug)]
struct Transcript {
    /// `PID.N.out`: the command line, then what is printed.
    printed: File,
    /// `PID.N.log`.
    log: File,
}

/// Begins one in this folder. Panics are logged, too, as they are told past the log.
///
/// # Errors
/// The files cannot be made.
pub(crate) fn begin(folder: &Path) -> io::Result<()> {
    let (mut printed, log) = files(folder)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    writeln!(printed, "$ orgpipe {}", arguments.join(" "))?;
    if TRANSCRIPT.set(Transcript { printed, log }).is_ok() {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if let Some(mut log) = log_file() {
                let _ = writeln!(log, "{panic}");
            }
            told(panic);
        }));
    }
    Ok(())
}

/// Numbers of processes come again.
fn files(folder: &Path) -> io::Result<(File, File)> {
    let new = |name: String| OpenOptions::new().append(true).create_new(true).open(folder.join(name));
    let id = process::id();
    let mut n = 0;
    loop {
        match new(format!("{id}.{n}.out")) {
            Ok(printed) => return Ok((printed, new(format!("{id}.{n}.log"))?)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Where the log of everything goes, if there is a transcript.
pub(crate) fn log_file() -> Option<&'static File> {
    TRANSCRIPT.get().map(|transcript| &transcript.log)
}

/// Prints, and writes the same to the transcript.
pub(crate) struct Copied<W>(pub(crate) W);

impl<W: Write> Write for Copied<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if let Some(transcript) = TRANSCRIPT.get() {
            (&transcript.printed).write_all(text)?;
        }
        self.0.write_all(text)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
