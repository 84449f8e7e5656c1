//! Lists in the usual notations, and lists that are damaged.

use super::*;

const A: &str = "0015000000Gv7qJAAR";
const B: &str = "0015000000Gv7qKAAR";

#[test]
fn a_list_may_be_written_in_any_usual_notation() {
    let rows = [
        "0015000000Gv7qJAAR,0015000000Gv7qKAAR",
        "(0015000000Gv7qJAAR, 0015000000Gv7qK)",
        "[0015000000Gv7qJAAR, 0015000000Gv7qKAAR]",
        "{0015000000Gv7qJAAR, 0015000000Gv7qKAAR}",
        r#"["0015000000Gv7qJAAR","0015000000Gv7qKAAR"]"#,
        "['0015000000Gv7qJAAR', '0015000000Gv7qKAAR']",
        "0015000000Gv7qJAAR;0015000000Gv7qKAAR;",
        "0015000000Gv7qJAAR\r\n0015000000Gv7qKAAR\n",
        "0015000000Gv7qJAAR\t0015000000Gv7qKAAR",
        "0015000000Gv7qJAAR 0015000000Gv7qKAAR",
        "0015000000Gv7qJAAR | 0015000000Gv7qKAAR",
        "\u{feff}“0015000000Gv7qJAAR”, \u{a0}0015000000GV7QKAAR,,",
    ];
    for list in rows {
        let expected = RecordIds { ids: vec![A.to_owned(), B.to_owned()], bad: Vec::new() };
        assert_eq!(read(list), expected, "{list}");
    }
}

#[test]
fn each_bad_entry_is_named_by_its_place_and_the_good_ones_are_taken() {
    let bad = |place, fault| BadId { place, fault, cut: false };
    let rows: [(&str, &[&str], &[BadId]); 6] = [
        ("nonsense", &[], &[bad(1, Fault::NoId)]),
        ("please look at it", &[], &[bad(1, Fault::NoId)]),
        ("0015000000Gv7qJAAR, x;0015000000Gv7qK;", &[A, B], &[bad(2, Fault::NoId)]),
        ("0015000000Gv7qJAAR 0015000", &[A], &[bad(2, Fault::NoId)]),
        ("001000000000001ZZZ,0015000000Gv7qK", &[B], &[bad(1, Fault::CheckLetters)]),
        ("(0015000000Gv7qJAAR, ...)", &[A], &[bad(2, Fault::NoId)]),
    ];
    for (list, ids, expected) in rows {
        let found = read(list);
        assert_eq!(
            (found.ids.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), found.bad.as_slice()),
            (ids, expected),
            "{list}"
        );
    }
}

#[test]
fn a_list_that_a_text_field_has_cut_says_so_of_its_last_entry() {
    let whole: Vec<String> = (0..20).map(|n| format!("001{n:012}AAA")).collect();
    let list = &whole.join(",")[..255];
    let found = read(list);
    assert_eq!(
        (found.ids.len(), found.bad.as_slice()),
        (13, [BadId { place: 14, fault: Fault::NoId, cut: true }].as_slice())
    );
    assert!(!read(&list[..254]).bad[0].cut);
}
