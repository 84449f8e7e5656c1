//! The calls of a query job's life, and pages of CSV read as rows.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    bulk::job::{self, JobState},
    call::tests::reply,
};

#[test]
fn the_calls_of_a_jobs_life() {
    let base = "/services/data/{v}/jobs/query";
    let Body::Json(body) = create("SELECT Id FROM Account").body else { panic!("no JSON") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["operation"], &body["query"]), (&json!("query"), &json!("SELECT Id FROM Account")));
    for (call, method, path, idempotent) in [
        (create(""), Method::Post, base.to_owned(), false),
        (status("750"), Method::Get, format!("{base}/750"), true),
        (abort("../7"), Method::Patch, format!("{base}/..%2F7"), false),
        (delete("750"), Method::Delete, format!("{base}/750"), true),
        (results("750", None, 9), Method::Get, format!("{base}/750/results"), true),
    ] {
        assert_eq!((call.method, call.path, call.idempotent), (method, path, idempotent));
    }
    let page = results("750", Some("MTAw="), 9).query;
    let pairs = [("maxRecords", "9"), ("locator", "MTAw=")];
    assert_eq!(page, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn a_jobs_answers_are_read_as_those_of_an_ingest_job() {
    let made =
        r#"{"id":"750a","operation":"query","object":"Account","state":"UploadComplete","apiVersion":66.0}"#;
    assert_eq!(job::info(&reply(200, made)).unwrap().state, JobState::UploadComplete);
    let done = r#"{"id":"750a","state":"JobComplete","jobType":"V2Query","numberRecordsProcessed":8}"#;
    let done = job::info(&reply(200, done)).unwrap();
    assert_eq!((done.state, done.processed, done.error), (JobState::JobComplete, 8, None));
}

#[test]
fn the_headers_say_what_follows() {
    for (locator, next) in [
        (Some("MTAwMDA"), Next::Page("MTAwMDA".into())),
        (Some("null"), Next::End),
        (Some(""), Next::Untold),
        (None, Next::Untold),
    ] {
        let mut page = reply(200, "");
        page.headers.push(("sforce-numberofrecords".into(), "7".into()));
        page.headers.extend(locator.map(|locator| ("sforce-locator".into(), locator.into())));
        assert_eq!(head(&page), PageHead { records: Some(7), next });
    }
}

#[test]
fn rows_are_as_rest_answers_them_but_for_types() {
    let page = concat!(
        "\u{feff}\"Id\",\"Name\",\"Owner.Email\",\"Owner.Manager.Name\",\"Parent.Name\"\n",
        "\"001\",\"a \"\"b\"\",\nc\",\"x@a.example\",\"\",\"\"\n",
        "\"002\",\"\",\"\",\"M\",\"\"\n"
    );
    let read: Vec<Value> = rows(page.as_bytes()).unwrap().map(|row| Value::Object(row.unwrap())).collect();
    let expected = [
        json!({"Id": "001", "Name": "a \"b\",\nc", "Owner": {"Email": "x@a.example", "Manager": null}, "Parent": null}),
        json!({"Id": "002", "Name": null, "Owner": {"Email": null, "Manager": {"Name": "M"}}, "Parent": null}),
    ];
    assert_eq!(read, expected);
    assert_eq!(rows(b"\"Id\"\n").unwrap().count(), 0);
    assert_eq!(rows(b"").unwrap().count(), 0);
}

#[test]
fn what_would_lose_records_is_unreadable() {
    for page in ["<html>login</html>", "\"Id\",\"Name\"\n\"001\",\"a", "\"Id\",\"Name\"\n\"001\"\n"] {
        let all = rows(page.as_bytes()).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        assert!(matches!(all, Err(CallError::Unreadable { .. })), "{page}");
    }
}

proptest! {
    /// Whatever is in the cells, quotes, line ends and commas too, they come back.
    #[test]
    fn written_cells_are_read_back(cells in vec(vec("[ -~\n\r\"é,]{0,12}", 3), 0..20)) {
        let mut page = String::from("\"A\",\"B\",\"P.C\"\n");
        for cells in &cells {
            let quoted: Vec<String> =
                cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            page += &(quoted.join(",") + "\n");
        }
        let read: Vec<Row> = rows(page.as_bytes()).unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), cells.len());
        for (row, cells) in read.iter().zip(&cells) {
            let back = [&row["A"], &row["B"], row["P"].get("C").unwrap_or(&Value::Null)];
            for (value, cell) in back.into_iter().zip(cells) {
                prop_assert_eq!(value.as_str().unwrap_or_default(), cell);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(page in vec(any::<u8>(), 0..300)) {
        if let Ok(rows) = rows(&page) {
            let _ = rows.take(1_000).count();
        }
    }
}
