//! What is uploaded arrives as meant.

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;

fn row(value: Value) -> Row {
    let Value::Object(row) = value else { panic!("{value} is no record") };
    row
}

#[test]
fn every_kind_of_value_has_its_cell() {
    let first =
        row(json!({"attributes": {"type": "E__c"}, "ID": "a01", "x__C": "other", "Name": "a \"b\", c\nd",
        "Size__c": 7.5, "On__c": true, "Gone__c": null, "Blank__c": " "}));
    let second = row(json!({"name": " plain ", "Late__c": 12_345_678_901_234_567_u64}));
    let file = write("X__c", &[("k-1", &first), ("k,2", &second)]).unwrap().file;
    let expected = "X__c,Blank__c,Gone__c,Name,On__c,Size__c,Late__c\n\
                    k-1,#N/A,#N/A,\"a \"\"b\"\", c\nd\",true,7.5,\n\
                    \"k,2\",,, plain ,,,12345678901234567\n";
    assert_eq!(std::str::from_utf8(&file).unwrap(), expected);
    assert_eq!(write("X__c", &[]).unwrap().file, "X__c\n");
}

#[test]
fn a_record_that_does_not_fit_is_named() {
    let good = row(json!({"A": "x"}));
    let long = "é".repeat(BULK_FIELD_CHARS_MAX + 1);
    let fits = "é".repeat(BULK_FIELD_CHARS_MAX);
    let many: Row = (0..14).map(|index| (format!("F{index}"), json!(fits))).collect();
    let wide: Row = (0..=BULK_FIELDS_MAX).map(|index| (format!("F{index}"), json!(1))).collect();
    let field = |name: &str| name.to_owned();
    for (key, bad, problem) in [
        ("k", json!({"A": "#N/A"}), CsvProblem::LiteralNull { row: 1, field: field("A") }),
        ("#N/A", json!({}), CsvProblem::LiteralNull { row: 1, field: field("X__c") }),
        (" ", json!({}), CsvProblem::NoKey { row: 1 }),
        ("k", json!({"A": [1]}), CsvProblem::NotScalar { row: 1, field: field("A") }),
        ("k", json!({"B": {"C": 1}}), CsvProblem::NotScalar { row: 1, field: field("B") }),
        (
            "k",
            json!({"A": long}),
            CsvProblem::FieldTooLong { row: 1, field: field("A"), chars: long.chars().count() },
        ),
        (
            "k",
            Value::Object(many),
            CsvProblem::RecordTooLong { row: 1, chars: 14 * BULK_FIELD_CHARS_MAX + 1 },
        ),
        (
            "k",
            Value::Object(wide),
            CsvProblem::TooManyFields { row: 1, fields: BULK_FIELDS_MAX + 3, chars: 28_902 },
        ),
    ] {
        let bad = row(bad);
        // Its neighbours are not held up by it, unless it is the file's columns that are too many.
        let found = match write("X__c", &[("good", &good), (key, &bad), ("good too", &good)]) {
            Ok(Upload { file, refused, full_at: None }) => {
                let lines: Vec<&[u8]> = file.trim_ascii_end().split(|byte| *byte == b'\n').collect();
                assert!(lines.len() == 3 && lines[2].starts_with(b"good too,x"), "{problem}");
                let [problem] = refused.as_slice() else { panic!("{refused:?}") };
                problem.clone()
            }
            Ok(full) => panic!("{full:?}"),
            Err(found) => found,
        };
        assert_eq!(found, problem);
        assert_eq!(found.row(), 1);
        assert!(found.hint().ends_with('.') && !found.to_string().contains('é'), "{found}");
    }
    assert!(write("X__c", &[("k", &row(json!({"A": fits})))]).unwrap().refused.is_empty());
}

#[test]
fn a_full_file_ends_before_the_record_that_has_no_place_in_it() {
    let one = row(json!({"A": "x".repeat(90)}));
    let keys: Vec<String> = (0..30).map(|n| format!("k{n:02}")).collect();
    let rows: Vec<(&str, &Row)> = keys.iter().map(|key| (key.as_str(), &one)).collect();
    let upload = fill("X__c", &rows, 7 + 20 * 95).unwrap();
    assert_eq!((upload.full_at, upload.file.len()), (Some(20), 7 + 20 * 95));
    assert_eq!(fill("X__c", &rows, 7 + 30 * 95).unwrap().full_at, None);
}

proptest! {
    /// A CSV reader finds in the upload what was put in.
    #[test]
    fn what_is_written_can_be_read(texts in vec("[ -~\n\r\"\u{e9}\u{2028},]{0,12}", 1..20)) {
        let texts: Vec<_> = texts.into_iter().filter(|text| text.trim() != NULL).collect();
        let rows: Vec<_> = texts.iter().map(|text| row(json!({"A": text}))).collect();
        let names: Vec<_> = (0..rows.len()).map(|index| format!("k{index}")).collect();
        let pairs: Vec<_> = names.iter().map(String::as_str).zip(&rows).collect();
        let file = write("X__c", &pairs).unwrap().file;
        let mut reader = csv::Reader::from_reader(&file[..]);
        let read: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), texts.len());
        for ((record, name), text) in read.iter().zip(&names).zip(&texts) {
            prop_assert_eq!(&record[0], name.as_str());
            prop_assert_eq!(&record[1], if text.trim().is_empty() { NULL } else { text.as_str() });
        }
    }
}
