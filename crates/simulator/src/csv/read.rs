//! Reading an uploaded CSV.
//!
//! Here: header, rows, line endings. Not here: what the columns mean (`api/bulk/ingest`).
//! Source: Bulk API guide "Prepare CSV Files".

/// A CSV file as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CsvTable {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// `Err` is the job's error message.
pub(crate) fn table(csv: &[u8], delimiter: u8, crlf: bool) -> Result<CsvTable, String> {
    let text = std::str::from_utf8(csv).map_err(|_| "InvalidBatch : The CSV is not UTF-8".to_owned())?;
    let named = if crlf { "CRLF" } else { "LF" };
    if has_crlf(text).is_some_and(|has| has != crlf) {
        let message = format!("LineEnding is invalid on user data. Current LineEnding setting is {named}");
        return Err(format!("ClientInputError : {message}"));
    }
    // The reader drops a byte order mark, Salesforce takes it for part of the first column's name.
    if text.starts_with('\u{feff}') {
        let first =
            text.lines().next().unwrap_or_default().split(char::from(delimiter)).next().unwrap_or_default();
        return Err(format!("InvalidBatch : Field name not found : {first}"));
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(csv);
    let unreadable = |error: &csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        format!("InvalidBatch : Failed to parse CSV at line {line}")
    };
    let header: Vec<String> =
        reader.headers().map_err(|error| unreadable(&error))?.iter().map(str::to_owned).collect();
    if header.is_empty() {
        return Err("InvalidBatch : Failed to parse CSV header".to_owned());
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error))?;
        rows.push(record.iter().map(str::to_owned).collect());
    }
    Ok(CsvTable { header, rows })
}

/// How the first line outside quotes ends; `None` if there is only one line.
fn has_crlf(text: &str) -> Option<bool> {
    let mut quoted = false;
    let mut before = 0;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return Some(before == b'\r'),
            _ => {}
        }
        before = byte;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_may_hold_anything() {
        let table = table(b"A,B\n1,\"x, \"\"y\"\"\r\nz\"\n", b',', false).expect("it is right");
        assert_eq!(table.rows, [["1", "x, \"y\"\r\nz"]]);
    }

    #[test]
    fn what_a_job_fails_for() {
        for (csv, crlf, message) in [
            (
                "A\r\n1\r\n",
                false,
                "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
            ),
            (
                "A\n1\n",
                true,
                "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF",
            ),
            ("\u{feff}A,B\n1,2\n", false, "InvalidBatch : Field name not found : \u{feff}A"),
            ("A,B\n1\n", false, "InvalidBatch : Failed to parse CSV at line 2"),
            ("", false, "InvalidBatch : Failed to parse CSV header"),
        ] {
            assert_eq!(table(csv.as_bytes(), b',', crlf), Err(message.to_owned()));
        }
    }
}
