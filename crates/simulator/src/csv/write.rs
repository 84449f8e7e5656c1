//! Writing result CSVs as Salesforce writes them.
//!
//! Here: quoting. Not here: what stands in the cells (`api/bulk`).
//! Every value is quoted; in the header only the `sf__` names are.

/// One line, every value of it quoted.
pub(crate) fn line<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> =
        values.into_iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
    quoted.join(",") + "\n"
}

/// A header line: names in front that are quoted, then the columns of the upload.
pub(crate) fn header(front: &[&str], columns: &[String]) -> String {
    let front = front.iter().map(|name| format!("\"{name}\""));
    front.chain(columns.iter().cloned()).collect::<Vec<_>>().join(",") + "\n"
}

/// A file with the upload's own columns and nothing more.
pub(crate) fn plain(columns: &[String], rows: &[Vec<String>]) -> String {
    rows.iter().fold(header(&[], columns), |file, row| file + &line(row.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_names_are_not() {
        assert_eq!(header(&["sf__Id"], &["Name".to_owned()]), "\"sf__Id\",Name\n");
        assert_eq!(line(["a \"b\"", ""]), "\"a \"\"b\"\"\",\"\"\n");
    }
}
