//! Every record is accounted for, however the files come.

use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*};

use super::*;

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn written(id: &str) -> BulkRow {
    BulkRow::Written { id: id.into(), created: true }
}

/// Reads the three files in pieces of so many bytes.
fn in_pieces(
    field: &str,
    keys: &[String],
    files: [&[u8]; 3],
    size: usize,
) -> Result<Vec<BulkRow>, CallError> {
    let mut results = Results::new(field);
    for (kind, file) in
        [ResultKind::Successful, ResultKind::Failed, ResultKind::Unprocessed].into_iter().zip(files)
    {
        let mut reader = results.file(kind);
        for piece in file.chunks(size) {
            reader.push(piece)?;
        }
        reader.end()?;
    }
    Ok(results.rows(keys.iter().map(String::as_str)))
}

/// The same whole; in pieces of any size it must come to the same.
fn reconcile(
    field: &str,
    keys: &[String],
    successful: &[u8],
    failed: &[u8],
    unprocessed: &[u8],
) -> Result<Vec<BulkRow>, CallError> {
    let files = [successful, failed, unprocessed];
    let whole = in_pieces(field, keys, files, usize::MAX);
    for size in [1, 2, 3, 5, 64] {
        assert_eq!(in_pieces(field, keys, files, size), whole, "in pieces of {size}");
    }
    whole
}

#[test]
fn results_are_matched_whatever_their_order_and_quoting() {
    let successful = "\"sf__Id\",\"sf__Created\",Name,X__c\n\
                      \"a02\",\"false\",\"two\nlines, \"\"and\"\" \u{2028} more\",\"B\"\n\
                      \"a01\",\"true\",\"one\",\"a\"\n";
    let failed = "\"sf__Id\",\"sf__Error\",X__c,Name\n\
                  \"\",\"UNABLE_TO_LOCK_ROW:unable to obtain exclusive access: 001a,001b:--\",\"c\",\"x\"\n";
    let unprocessed = "X__c,Name\nd,x\n";
    let rows = reconcile(
        "x__c",
        &keys(&["A", "b", " c", "d", "e"]),
        successful.as_bytes(),
        failed.as_bytes(),
        unprocessed.as_bytes(),
    );
    let lock = ApiError {
        status: 200,
        code: "UNABLE_TO_LOCK_ROW".into(),
        message: "unable to obtain exclusive access: 001a,001b".into(),
        fields: Vec::new(),
        also: Vec::new(),
    };
    assert_eq!(
        rows.unwrap(),
        [
            written("a01"),
            BulkRow::Written { id: "a02".into(), created: false },
            BulkRow::Failed(lock),
            BulkRow::Unprocessed,
            BulkRow::Unknown,
        ]
    );
}

#[test]
fn a_key_uploaded_twice_gets_its_results_in_order() {
    let successful = "sf__Id,sf__Created,X__c\na01,true,k\n";
    let failed = "sf__Id,sf__Error,X__c\n,DUPLICATE_VALUE:twice:X__c --,K\n";
    let rows =
        reconcile("X__c", &keys(&["k", "K", "k"]), successful.as_bytes(), failed.as_bytes(), b"").unwrap();
    assert_eq!(rows[0], written("a01"));
    assert!(
        matches!(&rows[1], BulkRow::Failed(error) if error.code == "DUPLICATE_VALUE" && error.fields == ["X__c"])
    );
    assert_eq!(rows[2], BulkRow::Unknown);
}

#[test]
fn a_rewritten_number_still_finds_its_record() {
    let successful = "sf__Id,sf__Created,X__c\na01,true,9.12260031E8\na02,true,7\na03,true,8.0\na04,true,inf\n\
                      a05,true,1.2345678901234568E16\na06,true,-5.0E-1\n";
    let sent = keys(&["912260031", "007", "7", "8", "infinity", "12345678901234567", "-0.50"]);
    let rows = reconcile("X__c", &sent, successful.as_bytes(), b"", b"").unwrap();
    let unknown = || BulkRow::Unknown;
    let expected =
        [written("a01"), unknown(), written("a02"), written("a03"), unknown(), unknown(), written("a06")];
    assert_eq!(rows, expected);
}

#[test]
fn numbers_are_equal_by_value_alone() {
    for (one, other) in
        [("0", "0.0"), ("0", "-0e9"), ("10", "1e1"), ("1.50", "15e-1"), ("007", "7"), ("1.e2", "100")]
    {
        assert_eq!(number(one).unwrap(), number(other).unwrap(), "{one} {other}");
    }
    for (one, other) in [("1", "-1"), ("1", "10"), ("12345678901234567", "12345678901234568"), ("1e-1", "1")]
    {
        assert_ne!(number(one), number(other), "{one} {other}");
    }
    for text in ["", "-", ".", "e5", "1e", "inf", "nan", "1_0", "0x1", "1e99999999999", "a1", "1-1"] {
        assert_eq!(number(text), None, "{text}");
    }
}

#[test]
fn files_without_records_say_nothing() {
    for file in
        ["", "\n", "\"sf__Id\",\"sf__Created\",X__c\n", "\"sf__Id\",\"sf__Error\"\n", "\u{feff}X__c\n"]
    {
        let rows = reconcile("X__c", &keys(&["k"]), file.as_bytes(), file.as_bytes(), file.as_bytes());
        assert_eq!(rows.unwrap(), [BulkRow::Unknown], "{file:?}");
    }
    let with_mark = "\u{feff}X__c\nk\n";
    assert_eq!(
        reconcile("X__c", &keys(&["k"]), b"", b"", with_mark.as_bytes()).unwrap(),
        [BulkRow::Unprocessed]
    );
}

#[test]
fn a_file_that_is_cut_or_none_is_unreadable() {
    for file in [
        "sf__Id,sf__Created,X__c\na01,true,k\na02,true\n",
        "sf__Id,sf__Created,X__c\n\"a01\",\"true\",\"k",
        "sf__Id,sf__Created\na01,true\n",
        "<html><title>Login</title></html>",
    ] {
        let error = reconcile("X__c", &keys(&["k"]), file.as_bytes(), b"", b"").unwrap_err();
        assert!(matches!(error, CallError::Unreadable { .. }), "{file}");
        let error = reconcile("X__c", &keys(&["k"]), b"", b"", file.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("unprocessed"), "{error}");
    }
}

#[test]
fn a_record_may_be_long_but_not_endless() {
    let long = "x".repeat(5_000_000);
    let file = |cell: &str| format!("sf__Id,sf__Created,A,X__c\na01,true,{cell},k\n");
    let read = |file: &str| in_pieces("X__c", &keys(&["k"]), [file.as_bytes(), b"", b""], 100_000);
    assert_eq!(read(&file(&long[..1_000_000])).unwrap(), [written("a01")]);
    let error = read(&file(&long)).unwrap_err();
    assert!(error.to_string().contains("bytes in one record"), "{error}");
    let many = (0..200).fold(String::new(), |names, n| names + &format!("F{n},"));
    let wide = format!("sf__Id,sf__Created,{many}X__c\na01,true,{}k\n", ",".repeat(200));
    assert_eq!(read(&wide).unwrap(), [written("a01")]);
}

proptest! {
    /// However Salesforce spreads, shuffles and loses the records: each has one result, its own.
    #[test]
    fn every_record_is_accounted_for(fates in vec((0..4_u8, any::<u32>()), 0..40)) {
        let sent: Vec<_> = (0..fates.len()).map(|index| format!("Key {index}")).collect();
        let mut order: Vec<_> = fates.iter().enumerate().collect();
        order.sort_by_key(|(_, (_, place))| *place);
        let mut files = ["sf__Id,sf__Created,X__c\n".to_owned(), "sf__Error,X__c\n".to_owned(), "X__c\n".to_owned()];
        for (index, (fate, _)) in order {
            match fate {
                0 => writeln!(files[0], "a{index},true,\"KEY {index}\"").unwrap(),
                1 => writeln!(files[1], "X_{index}:m:--,key {index}").unwrap(),
                2 => writeln!(files[2], "key {index}").unwrap(),
                _ => {}
            }
        }
        let rows =
            reconcile("X__c", &sent, files[0].as_bytes(), files[1].as_bytes(), files[2].as_bytes()).unwrap();
        prop_assert_eq!(rows.len(), fates.len());
        for (index, (row, (fate, _))) in rows.into_iter().zip(fates).enumerate() {
            let expected = match fate {
                0 => written(&format!("a{index}")),
                1 => BulkRow::Failed(ApiError::from_text(200, &format!("X_{index}:m:--"))),
                2 => BulkRow::Unprocessed,
                _ => BulkRow::Unknown,
            };
            prop_assert_eq!(row, expected);
        }
    }
}

#[test]
fn keys_that_differ_in_case_only_get_their_own_results() {
    let successful = "sf__Id,sf__Created,X__c\na01,true,A0xY\n";
    let failed =
        "sf__Id,sf__Error,X__c\n,STRING_TOO_LONG:too long:--,a0Xy\n,STRING_TOO_LONG:too long:--,k1\n";
    let rows =
        reconcile("X__c", &keys(&["a0Xy", "A0xY", "K1"]), successful.as_bytes(), failed.as_bytes(), b"")
            .unwrap();
    assert!(
        matches!(rows.as_slice(), [BulkRow::Failed(_), BulkRow::Written { .. }, BulkRow::Failed(_)]),
        "{rows:?}"
    );
}
