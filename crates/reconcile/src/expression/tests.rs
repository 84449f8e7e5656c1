//! Expressions that are refused with all their flaws, values of the others, and what hostile ones come to.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn row(value: Value) -> Row {
    let Value::Object(row) = value else { unreachable!() };
    row
}

fn value(source: &str, record: Value, answer: &Value) -> Result<Value, Failure> {
    let expression = Expression::new(source).unwrap_or_else(|flaws| panic!("{source}: {flaws:?}"));
    let now = DateTime::parse_from_rfc3339("2026-11-29T12:30:00Z").unwrap().to_utc();
    expression.value(Given { record: &row(record), answer, org: "acme", now })
}

#[test]
fn expressions_have_the_values_that_the_language_says() {
    let record = json!({
        "Website": "https://Acme.example/x", "Owner": { "Email": "a@b.c" }, "Parent": null, "Employees__c": 12.0,
        "CreatedDate": "2026-01-31T13:05:00.000+0000", "Rate__c": 1.5, "Tags__c": "b;a",
    });
    let answer = json!({ "employees": 1250, "ratio": 0.5, "tags": ["x", "y"], "big": 18_446_744_073_709_551_615_u64,
        "name": "Ünïcode", "none": null, "nested": { "deep": [1, 2, 3] }, "zero": 0 });
    for (source, expected) in [
        ("answer.employees > 1000 ? 'Enterprise' : 'SMB'", json!("Enterprise")),
        ("has(answer.missing) ? answer.missing : 'none'", json!("none")),
        ("answer.none", json!(null)),
        ("answer.none == null ? 'x' : answer.none", json!("x")),
        ("record.website.lowerAscii().replace('https://', '').split('/')[0]", json!("acme.example")),
        ("record.Owner.Email + ' ' + org", json!("a@b.c acme")),
        ("record.Parent.Name == null", json!(true)),
        ("record.Employees__c + 1", json!(13)),
        ("double(record.Employees__c) * 1.5", json!(18)),
        ("double(record.Rate__c) * 2.0", json!(3)),
        ("double(record.Rate__c) * 1.5", json!(2.25)),
        ("timestamp(record.CreatedDate) + duration('24h')", json!("2026-02-01T13:05:00.000Z")),
        ("now.getFullYear()", json!(2026)),
        ("now", json!("2026-11-29T12:30:00.000Z")),
        ("record.Tags__c.split(';').map(x, x + '!')", json!(["b!", "a!"])),
        ("answer.tags.filter(t, t != 'x')", json!(["y"])),
        ("answer.nested.deep.map(n, n > 1, n * 2)", json!([4, 6])),
        ("answer.nested.deep.exists(n, n == 3) && answer.tags.all(t, size(t) == 1)", json!(true)),
        ("answer.map(k, k).exists_one(k, k == 'tags')", json!(true)),
        ("answer.big", json!(18_446_744_073_709_551_615_u64)),
        ("answer.name.size()", json!(7)),
        ("string(answer.employees) + '/' + string(answer.ratio)", json!("1250/0.5")),
        ("{'DE': 'Germany'}[answer.name == 'x' ? 'FR' : 'DE']", json!("Germany")),
        ("answer['employees'] in [1250]", json!(true)),
    ] {
        assert_eq!(value(source, record.clone(), &answer), Ok(expected), "{source}");
    }
}

#[test]
fn what_fails_for_a_record_says_why_and_never_what_it_holds() {
    let answer =
        json!({ "n": 987_654, "zero": 0, "text": "hidden-value", "list": ["hidden-value"], "half": 0.5 });
    for (source, reason) in [
        ("answer.missing > 1", "was not answered"),
        ("answer.n / answer.zero", "divides by zero"),
        ("answer.n * 9223372036854775807", "out of range"),
        ("answer.list[7]", "a member of a list"),
        ("answer[answer.text]", "was not answered"),
        ("int(answer.text)", "`int` of its expression"),
        ("timestamp(answer.text)", "`timestamp` of its expression"),
        ("answer.text + answer.n", "do not go together"),
        ("answer.text < answer.n", "`<` of its expression cannot take string, int"),
        ("answer.n + answer.half", "do not go together"),
        ("answer.text ? 1 : 2", "string where bool"),
        ("answer.text.missing", "`.` of its expression cannot take string, string"),
        ("double(answer.n) / double(answer.zero)", "no finite number"),
        ("answer", "a map"),
        ("[answer.list]", "a list of lists"),
        ("now - timestamp('0001-01-01T00:00:00Z') == duration('1s')", "out of range"),
        ("answer.list.map(x, answer.missing)", "was not answered"),
        ("record.Website", "read without `Website`"),
    ] {
        let failure = value(source, json!({}), &answer).unwrap_err();
        assert!(failure.message.contains(reason), "{source}: {failure:?}");
        let told = format!("{failure:?}");
        assert!(
            !told.contains("hidden-value") && !told.contains("987654") && !failure.hint.is_empty(),
            "{told}"
        );
    }
}

#[test]
fn what_surely_cannot_work_is_refused_with_a_hint() {
    for (source, flaws) in [
        ("", vec!["is empty"]),
        ("answer.", vec!["cannot be read at line 1"]),
        ("'a' + 1", vec!["gives `+` string and int"]),
        ("!5", vec!["gives `!` int"]),
        ("-'a'", vec!["gives `-` string"]),
        ("1 < 'a'", vec!["compares a int with a string by `<`"]),
        ("1 == 'a'", vec!["never equal"]),
        ("answer.x ? 1 : now + 1", vec!["gives `+` timestamp and int"]),
        ("1 ? 2 : 3", vec!["asks whether a int is true"]),
        ("org ? 2 : 3", vec!["asks whether a string is true"]),
        ("anser.x + recrd.Y", vec!["takes `anser`", "takes `recrd`"]),
        ("answer.x.lowerAsci()", vec!["calls `lowerAsci`"]),
        ("lowerAscii(answer.x)", vec!["another way"]),
        ("answer.x.substring()", vec!["gives `substring` 0 values"]),
        ("org.substring('a')", vec!["gives `substring` string and string"]),
        ("answer.x.matches('a')", vec!["calls `matches`"]),
        ("[1].map(1, 2)", vec!["cannot be read"]),
        ("[1].map(x)", vec!["takes `x`", "calls `map` another way"]),
        ("[1].map(answer, answer)", vec!["a name that has a meaning"]),
        ("[1].all(x, 'a')", vec!["asks whether a string is true"]),
        ("'abc'.map(x, x)", vec!["goes through the members of a string"]),
        ("org.x", vec!["takes `.x` of a string"]),
        ("now - now", vec!["comes to a duration"]),
        ("{'a': 1}", vec!["comes to a map"]),
        ("b'x'", vec!["uses bytes"]),
        ("Foo{a: 1}", vec!["uses objects of a named type"]),
        ("record", vec!["takes `record` as a whole"]),
        ("record['Website']", vec!["takes `record` as a whole"]),
        ("record.map(k, k)", vec!["takes `record` as a whole"]),
        ("record.Owner == null ? '' : record.owner.Email", vec!["a record of its own"]),
        ("record._x", vec!["names no field"]),
        ("answer.revenue / 1000.0", vec!["calculates by `/` with a double"]),
        ("answer.list.map(x, 1.5 * x)", vec!["calculates by `*` with a double"]),
        ("double(answer.x) - record.Rate__c", vec!["calculates by `-` with a double"]),
        (".now", vec!["takes `.now`"]),
        ("__result__", vec!["takes `__result__`"]),
        ("optional.of(1)", vec!["takes `optional`", "calls `of`"]),
    ] {
        let found = Expression::new(source).expect_err(source);
        let told: Vec<&str> = found.iter().map(|flaw| flaw.message.as_str()).collect();
        assert_eq!(told.len(), flaws.len(), "{source}: {told:?}");
        assert!(flaws.iter().zip(&told).all(|(part, told)| told.contains(part)), "{source}: {told:?}");
        assert!(found.iter().all(|flaw| !flaw.hint.is_empty()));
    }
    let hint = |source: &str| Expression::new(source).unwrap_err().remove(0).hint;
    assert_eq!(hint("anser.x"), "Did you mean `answer`?");
    assert_eq!(hint("answer.x.lowerAsci()"), "Did you mean `lowerAscii`?");
    assert_eq!(hint("answer.x.substring()"), "It takes 1 or 2.");
}

#[test]
fn the_result_is_told_as_far_as_it_is_known_and_the_fields_it_takes() {
    for (source, result) in [
        ("answer.x", Type::Any),
        ("answer.x > 1 ? 'a' : 'b'", Type::String),
        ("answer.x > 1 ? 'a' : null", Type::String),
        ("answer.x > 1 ? 'a' : 1", Type::Any),
        ("answer.x + 1", Type::Int),
        ("size(answer.x)", Type::Int),
        ("now", Type::Timestamp),
        ("answer.x.split(',')", Type::List),
        ("has(answer.x)", Type::Bool),
    ] {
        assert_eq!(Expression::new(source).unwrap().result(), result, "{source}");
    }
    let expression =
        Expression::new("record.Name + record.Owner.Email + [record.Name].map(x, x)[0] + org").unwrap();
    assert_eq!(expression.record_paths(), ["Name", "Owner.Email"]);
    assert!(expression.is_without_answer());
}

/// A stack of this size is a quarter of what a thread has.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap();
    thread.join().unwrap();
}

#[test]
fn no_expression_is_too_deep_for_the_stack() {
    let nested = |open: &str, inside: &str, close: &str, times: usize| {
        format!("{}{inside}{}", open.repeat(times), close.repeat(times))
    };
    on_a_small_stack(move || {
        for times in [10, 50, 59, 60, 61, 90, 97, 150, 400, 660, 950, 10_000] {
            for source in [
                nested("(", "1", ")", times),
                nested("[", "1", "]", times),
                nested("-(", "1", ")", times),
                nested("!", "true", "", times),
                nested("-", "1", "", times),
                nested("string(", "1", ")", times),
                nested("[1].map(x,", "1", ")", times),
                nested("{1:", "1", "}", times),
                nested("1+", "1", "", times),
                nested("true?1:", "1", "", times),
                nested("", "answer", ".b", times),
                nested("", "answer", "[0]", times),
                nested("", "'a'", ".trim()", times),
                nested("", "true", "||true", times),
                nested("(", "", "", times),
                nested("[1].map(x,", "", "", times),
            ] {
                if let Ok(expression) = Expression::new(&source) {
                    let given =
                        Given { record: &Row::new(), answer: &json!({}), org: "", now: DateTime::UNIX_EPOCH };
                    _ = expression.value(given);
                }
            }
        }
    });
}

#[test]
fn what_would_take_too_long_is_not_begun() {
    let list = |n: usize| Value::Array((0..n).map(|n| json!(n)).collect());
    for (source, is_refused) in [
        ("answer.list.map(x, x + 1)[0]", false),
        ("answer.list.map(x, answer.list.map(y, x * y))[0][0]", true),
        ("answer.list.all(x, answer.list.all(y, x != y - 500))", true),
        ("answer.list.map(x, answer.text)[0]", true),
        ("answer.text.replace('', answer.text).size()", true),
        ("answer.text.indexOf(answer.text + 'x')", true),
        ("answer.list.map(x, string(x)).join(answer.text).size()", true),
        ("answer.text.split('').map(x, answer.text.split(x))[0]", true),
        ("answer.text + answer.text == ''", false),
        ("answer.list.exists(x, answer.list[0.5] == 1)", true),
        ("answer.list.exists(x, answer.list[x] == 0)", true),
        ("answer.list[0]", false),
    ] {
        let answer = json!({ "list": list(500), "text": "abcdefghij".repeat(500) });
        let found = value(source, json!({}), &answer);
        let refused = found.as_ref().is_err_and(|failure| failure.message.contains("too long"));
        assert_eq!(refused, is_refused, "{source}: {found:?}");
    }
    let large = json!({ "text": "a".repeat(1_100_000), "other": 1 });
    let found = |source| value(source, json!({}), &large);
    assert!(found("has(answer.text)").unwrap_err().message.contains("too long"));
    assert_eq!(found("answer.other + 1"), Ok(json!(2)), "what it does not take costs nothing");
    let doubling = format!("['ab']{}[0].size()", ".map(x, x + x)".repeat(40));
    assert!(value(&doubling, json!({}), &json!({})).unwrap_err().message.contains("too long"));
}

/// Pieces of expressions: most of what they make cannot be read, some is compiled, and of that some has a value.
fn source() -> impl Strategy<Value = String> {
    let pieces = [
        "answer",
        "record",
        ".x",
        ".Name",
        ".list",
        ".text",
        "org",
        "now",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<",
        "==",
        "!",
        "&&",
        "||",
        " in ",
        "1",
        "0",
        "-1",
        "2.5",
        "1u",
        "'a'",
        "'ü'",
        "''",
        "9223372036854775807",
        "null",
        "true",
        "size(",
        "string(",
        "int(",
        "double(",
        "timestamp(",
        "duration(",
        "has(",
        ".map(x,",
        ".all(x,",
        ".filter(x,",
        ".split(",
        ".join(",
        ".replace(",
        ".substring(",
        ".indexOf(",
        ".charAt(",
        ".getHours(",
        "x",
        "'1h'",
        "'2026-01-01T00:00:00Z'",
        "\\",
        "\"",
        "`",
        "'''",
        "@",
        "\u{0}",
        "🦀",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_is_written_ends_in_a_panic_or_comes_to_more_than_was_said(source in source()) {
        if let Ok(expression) = Expression::new(&source) {
            let record = row(json!({ "Name": "n", "x": null }));
            let answer = json!({ "x": 5, "list": [1, "a", null, 2.5], "text": "ünï" });
            let given = Given { record: &record, answer: &answer, org: "acme", now: DateTime::UNIX_EPOCH };
            if let Ok(value) = expression.value(given) {
                let record = convert::record(&record, expression.record_paths()).unwrap();
                let size = cost::Size::of(&value, WHOLE).bytes();
                prop_assert!(expression.steps(&record, given) >= size, "{source} comes to {size} bytes");
            }
        }
    }
}
