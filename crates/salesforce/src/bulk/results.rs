//! What a Bulk job came to: the three result files, matched to the upload.
//!
//! Here: reading the files piece by piece as they come, and which result belongs to which record. Not here: the upload
//! (`csv`), what to do with a record that failed.
//!
//! Invariant: each uploaded record gets exactly one [`BulkRow`]. Salesforce shuffles the results, may leave records
//! out, and rewrites values (`912260031` comes back as `9.12260031E8`), so only the key ties them together (BULKDOC,
//! "Get Job Successful Record Results"). Of a file no more than one record is held, and of each record what it came to.

use std::collections::{HashMap, VecDeque};

use csv_core::{ReadRecordResult, Reader};

use super::{BulkRow, job::ResultKind};
use crate::{error::ApiError, failure::CallError, limits::BULK_RECORD_CHARS_MAX};

/// Bytes of one record in a result file: what was uploaded, four bytes for each character, its quotes, and the error.
const RECORD_BYTES_MAX: usize = 8 * BULK_RECORD_CHARS_MAX;

/// All that a job's files say.
#[derive(Debug)]
pub struct Results {
    /// Column of the key, lower case.
    field: String,
    found: HashMap<String, VecDeque<BulkRow>>,
}

impl Results {
    /// Nothing is read yet. `field`: the column of the key.
    pub fn new(field: &str) -> Self {
        Self { field: field.to_ascii_lowercase(), found: HashMap::new() }
    }

    /// Begins one of the files.
    pub fn file(&mut self, kind: ResultKind) -> ResultFile<'_> {
        ResultFile {
            results: self,
            kind,
            reader: Reader::new(),
            head: Vec::new(),
            begun: false,
            in_quotes: false,
            cells: vec![0; 4_096],
            ends: vec![0; 64],
            filled: (0, 0),
            columns: None,
            records: 0,
        }
    }

    /// One [`BulkRow`] per key, in the order of the upload.
    ///
    /// Keys are compared as they were uploaded, so that two that differ in case only are told apart; what is left then
    /// without case and outer blanks, and numbers by value where Salesforce rewrote them. Results of a key that was uploaded
    /// several times go to its records in order.
    pub fn rows<'a>(mut self, keys: impl Iterator<Item = &'a str>) -> Vec<BulkRow> {
        let keys: Vec<&str> = keys.map(str::trim).collect();
        let mut take = |key: &&str| self.found.get_mut(*key).and_then(VecDeque::pop_front);
        let mut rows: Vec<Option<BulkRow>> = keys.iter().map(&mut take).collect();
        for spelling in [|key: &str| Some(key.to_lowercase()), |key: &str| number(&key.to_lowercase())] {
            let mut left: HashMap<String, VecDeque<BulkRow>> = HashMap::new();
            for (key, found) in self.found {
                if let Some(spelt) = spelling(&key) {
                    left.entry(spelt).or_default().extend(found);
                }
            }
            for (row, key) in rows.iter_mut().zip(&keys).filter(|(row, _)| row.is_none()) {
                *row = spelling(key).and_then(|spelt| left.get_mut(&spelt)?.pop_front());
            }
            self.found = left;
        }
        rows.into_iter().map(|row| row.unwrap_or(BulkRow::Unknown)).collect()
    }
}

/// Where the wanted columns are.
#[derive(Clone, Copy, Debug)]
struct Columns {
    count: usize,
    key: Option<usize>,
    id: Option<usize>,
    created: Option<usize>,
    error: Option<usize>,
}

/// One file, as it comes.
#[derive(Debug)]
pub struct ResultFile<'r> {
    results: &'r mut Results,
    kind: ResultKind,
    reader: Reader,
    /// The first bytes, until it is known what they begin.
    head: Vec<u8>,
    begun: bool,
    /// Quotes come in pairs, doubled ones too, unless the end is missing.
    in_quotes: bool,
    /// The record under way: its cells one behind the other, where each ends, and how much of both is filled.
    cells: Vec<u8>,
    ends: Vec<usize>,
    filled: (usize, usize),
    columns: Option<Columns>,
    records: u64,
}

impl ResultFile<'_> {
    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        if self.begun {
            return self.read(bytes);
        }
        self.head.extend_from_slice(bytes);
        // A byte order mark is three bytes long.
        if self.head.len() < 3 { Ok(()) } else { self.begin() }
    }

    /// Ends the file: all its bytes have been pushed.
    pub fn end(mut self) -> Result<(), CallError> {
        if !self.begun {
            self.begin()?;
        }
        if self.in_quotes {
            return Err(self.unreadable("ends within a value"));
        }
        self.feed(&[]).map(|_| ())
    }

    fn begin(&mut self) -> Result<(), CallError> {
        self.begun = true;
        let head = std::mem::take(&mut self.head);
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        if head.trim_ascii_start().starts_with(b"<") {
            return Err(self.unreadable("is a web page"));
        }
        self.read(head)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.in_quotes = bytes.iter().fold(self.in_quotes, |within, byte| within ^ (*byte == b'"'));
        let mut rest = bytes;
        while !rest.is_empty() {
            let read = self.feed(rest)?;
            rest = &rest[read..];
        }
        Ok(())
    }

    /// Gives the reader some bytes, none for the end; the answer is how many it took.
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, CallError> {
        let mut taken = 0;
        loop {
            let (result, read, wrote, ended) = self.reader.read_record(
                &bytes[taken..],
                &mut self.cells[self.filled.0..],
                &mut self.ends[self.filled.1..],
            );
            taken += read;
            self.filled = (self.filled.0 + wrote, self.filled.1 + ended);
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(taken),
                ReadRecordResult::OutputFull if self.cells.len() >= RECORD_BYTES_MAX => {
                    return Err(
                        self.unreadable(&format!("has more than {RECORD_BYTES_MAX} bytes in one record"))
                    );
                }
                ReadRecordResult::OutputFull => self.cells.resize(2 * self.cells.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    self.record()?;
                    self.filled = (0, 0);
                    if !bytes.is_empty() && taken == bytes.len() {
                        return Ok(taken);
                    }
                }
            }
        }
    }

    fn cell(&self, place: Option<usize>) -> String {
        let place = place.filter(|place| *place < self.filled.1);
        let bytes = place.map_or(&[][..], |place| {
            let start = if place == 0 { 0 } else { self.ends[place - 1] };
            &self.cells[start..self.ends[place]]
        });
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn record(&mut self) -> Result<(), CallError> {
        let Some(columns) = self.columns else {
            let names: Vec<String> =
                (0..self.filled.1).map(|place| self.cell(Some(place)).trim().to_ascii_lowercase()).collect();
            let find = |name: &str| names.iter().position(|known| known == name);
            self.columns = Some(Columns {
                count: names.len(),
                key: find(&self.results.field),
                id: find("sf__id"),
                created: find("sf__created"),
                error: find("sf__error"),
            });
            return Ok(());
        };
        self.records += 1;
        if self.filled.1 != columns.count {
            return Err(self.unreadable(&format!("is damaged at record {}", self.records)));
        }
        if columns.key.is_none() {
            return Err(self.unreadable(&format!("has no column `{}`", self.results.field)));
        }
        let row = match self.kind {
            ResultKind::Successful => {
                let created = self.cell(columns.created).eq_ignore_ascii_case("true");
                BulkRow::Written { id: self.cell(columns.id), created }
            }
            ResultKind::Failed => BulkRow::Failed(ApiError::from_text(200, &self.cell(columns.error))),
            ResultKind::Unprocessed => BulkRow::Unprocessed,
        };
        let key = self.cell(columns.key).trim().to_owned();
        self.results.found.entry(key).or_default().push_back(row);
        Ok(())
    }

    fn unreadable(&self, what: &str) -> CallError {
        let kind = match self.kind {
            ResultKind::Successful => "successful",
            ResultKind::Failed => "failed",
            ResultKind::Unprocessed => "unprocessed",
        };
        CallError::Unreadable { status: 200, what: format!("the file of {kind} records {what}") }
    }
}

/// A decimal number in a form that is equal if the values are, exactly: `1.50` and `15e-1` are `15e-1`.
fn number(key: &str) -> Option<String> {
    let (mantissa, exponent) = key.split_once('e').unwrap_or((key, "0"));
    let mut exponent: i64 = exponent.parse::<i32>().ok()?.into();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    exponent -= i64::try_from(fraction.len()).ok()?;
    let significant = digits.trim_end_matches('0');
    exponent += i64::try_from(digits.len() - significant.len()).ok()?;
    match significant.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        significant => Some(format!("{sign}{significant}e{exponent}")),
    }
}

#[cfg(test)]
mod tests;
