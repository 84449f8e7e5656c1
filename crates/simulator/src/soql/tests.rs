//! Queries over a small org: what they find, and what they are refused for.

use serde_json::{Value, json};

use super::{find, plan};
use crate::data::{IdGenerator, Schema, Tables, Writer};
use crate::row::Row;

fn row(value: &Value) -> Row {
    value.as_object().cloned().expect("an object")
}

/// Three accounts by two users; the first has two enrichments.
fn org() -> Tables {
    let mut tables = Tables::new(Schema::new("", &[]), IdGenerator::new(1));
    let nobody = Writer { user: String::new(), now_ms: 0, sees: None, origin: String::new() };
    let mut user = |name: &str| {
        let fields = json!({"Username": name, "LastName": name, "Email": format!("{name}@acme.example")});
        tables.seed("User", row(&fields), &nobody)
    };
    let (ann, bob) = (user("Ann"), user("Bob"));
    let mut insert = |object: &str, fields: Value, user: &str, second: i64| {
        let writer =
            Writer { user: user.to_owned(), now_ms: second * 1_000, sees: None, origin: String::new() };
        tables.insert(object, &row(&fields), &writer).expect("a valid record").id
    };
    let acme =
        insert("Account", json!({"Name": "Acme", "Website": "acme.com", "NumberOfEmployees": 50}), &ann, 0);
    insert("Account", json!({"Name": "Globex 100%", "NumberOfEmployees": 7}), &bob, 60);
    insert(
        "Account",
        json!({"Name": "O'Neil", "Website": "ONEIL.ie", "AnnualRevenue": 1_000_000}),
        &bob,
        120,
    );
    for (key, score) in [("one", json!(99.5)), ("Two", json!(null))] {
        let fields = json!({"External_Id__c": key, "Name": key, "Account__c": acme, "Match_Score__c": score, "Founded_On__c": "1999-12-31"});
        insert("Enrichment__c", fields, &ann, 180);
    }
    tables
}

fn names(tables: &Tables, text: &str) -> Vec<String> {
    let plan = plan(&tables.schema, text).unwrap_or_else(|error| panic!("{text}: {}", error.message));
    let found = find(tables, &plan, "/services/data/v66.0");
    found.records.iter().map(|record| record["Name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn conditions_find_what_salesforce_finds() {
    let tables = org();
    let (acme, globex, oneil) = ("Acme", "Globex 100%", "O'Neil");
    for (condition, expected) in [
        ("Name = 'ACME'", vec![acme]),
        ("Name != 'acme'", vec![globex, oneil]),
        ("Website = null", vec![globex]),
        ("Website = ''", vec![globex]),
        ("Website <> NULL", vec![acme, oneil]),
        ("Website != 'acme.com'", vec![globex, oneil]),
        (r"Name = 'O\'Neil'", vec![oneil]),
        (r"Name = 'O\u0027Neil'", vec![oneil]),
        ("Name IN ('acme', 'o\\'neil')", vec![acme, oneil]),
        ("Website NOT IN ('acme.com')", vec![globex, oneil]),
        ("Website IN ('acme.com', null)", vec![acme, globex]),
        ("Name LIKE 'g%'", vec![globex]),
        (r"Name LIKE '%100\%'", vec![globex]),
        ("NOT Name LIKE 'a___'", vec![globex, oneil]),
        ("(NOT Website LIKE '%.com')", vec![globex, oneil]),
        ("NumberOfEmployees > 7", vec![acme]),
        ("NumberOfEmployees >= 7", vec![acme, globex]),
        ("NumberOfEmployees < 8", vec![globex]),
        ("NumberOfEmployees = null", vec![oneil]),
        ("AnnualRevenue = 1e6", vec![oneil]),
        ("IsDeleted = false", vec![acme, globex, oneil]),
        ("CreatedDate > 1970-01-01T00:00:59.500Z", vec![globex, oneil]),
        ("CreatedDate <= 1970-01-01T01:01:00+01:00", vec![acme, globex]),
        ("Owner.Email = 'bob@acme.example'", vec![globex, oneil]),
        ("Owner.Name = 'Bob' AND Website != null", vec![oneil]),
        ("Name = 'Acme' OR (Name LIKE 'O%' AND Website = 'oneil.ie')", vec![acme, oneil]),
        ("Account.Name = 'Acme'", vec![acme]),
        ("name = 'x' or name = 'y'", vec![]),
    ] {
        assert_eq!(
            names(&tables, &format!("SELECT Name FROM Account WHERE {condition}")),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn ids_match_in_both_lengths() {
    let tables = org();
    let all = find(&tables, &plan(&tables.schema, "SELECT Id, Name FROM Account").expect("it is right"), "");
    let id = all.records[0]["Id"].as_str().expect("an id");
    for id in [id, &id[..15]] {
        assert_eq!(names(&tables, &format!("SELECT Name FROM Account WHERE Id IN ('{id}')")), ["Acme"]);
        assert_eq!(
            names(&tables, &format!("SELECT Name FROM Enrichment__c WHERE Account__c = '{id}' LIMIT 1")),
            ["one"]
        );
    }
}

#[test]
fn external_ids_are_found_whatever_their_case() {
    let tables = org();
    let found = names(
        &tables,
        "SELECT Name FROM Enrichment__c WHERE External_Id__c IN ('ONE', 'two', 'three') AND Founded_On__c < 2000-01-01",
    );
    assert_eq!(found, ["one", "Two"]);
}

#[test]
fn sorting_puts_nulls_first_unless_told_otherwise() {
    let tables = org();
    for (order, expected) in [
        ("Name DESC", ["O'Neil", "Globex 100%", "Acme"]),
        ("NumberOfEmployees", ["O'Neil", "Globex 100%", "Acme"]),
        ("NumberOfEmployees DESC", ["O'Neil", "Acme", "Globex 100%"]),
        ("NumberOfEmployees ASC NULLS LAST", ["Globex 100%", "Acme", "O'Neil"]),
        ("Owner.Name DESC, Name DESC NULLS FIRST", ["O'Neil", "Globex 100%", "Acme"]),
    ] {
        assert_eq!(
            names(&tables, &format!("SELECT Name FROM Account ORDER BY {order}")),
            expected,
            "{order}"
        );
    }
    assert_eq!(names(&tables, "SELECT Name FROM Account ORDER BY Name LIMIT 1 OFFSET 1"), ["Globex 100%"]);
}

#[test]
fn pages_by_id_leave_nothing_out_and_no_longer_range_is_shortened() {
    let tables = org();
    let all = find(&tables, &plan(&tables.schema, "SELECT Id FROM Account").expect("it is right"), "");
    let ids: Vec<&str> = all.records.iter().map(|record| record["Id"].as_str().expect("an id")).collect();
    for (condition, order, expected) in [
        (format!("Id > '{}'", ids[0]), "Id LIMIT 1", vec!["Globex 100%"]),
        (format!("Id >= '{}'", ids[0]), "Id LIMIT 2", vec!["Acme", "Globex 100%"]),
        (format!("Name != 'Globex 100%' AND Id > '{}'", ids[0]), "Id ASC LIMIT 2", vec!["O'Neil"]),
        (format!("Id > '{}' OR Name = 'Acme'", ids[1]), "Id", vec!["Acme", "O'Neil"]),
        (format!("NOT Id > '{}'", ids[1]), "Id LIMIT 5", vec!["Acme", "Globex 100%"]),
        (format!("Id > '{}'", ids[0]), "Id DESC LIMIT 1", vec!["O'Neil"]),
        (format!("Id > '{}'", ids[0]), "Name DESC LIMIT 1", vec!["O'Neil"]),
        (format!("Id > '{}'", ids[2]), "Id", vec![]),
    ] {
        let text = format!("SELECT Name FROM Account WHERE {condition} ORDER BY {order}");
        assert_eq!(names(&tables, &text), expected, "{text}");
    }
}

#[test]
fn records_have_attributes_parents_and_children() {
    let tables = org();
    let text = "SELECT Name, Owner.Email, Parent.Name, (SELECT Name FROM Enrichments__r ORDER BY Name DESC) FROM Account ORDER BY Name LIMIT 2";
    let found = find(&tables, &plan(&tables.schema, text).expect("it is right"), "/services/data/v66.0");
    let acme = &found.records[0];
    assert_eq!(acme["attributes"]["type"], "Account");
    assert!(
        acme["attributes"]["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("/services/data/v66.0/sobjects/Account/001"))
    );
    assert_eq!(acme["Owner"]["Email"], "Ann@acme.example");
    assert_eq!(acme["Parent"], Value::Null);
    assert_eq!(acme["Enrichments__r"]["totalSize"], 2);
    assert_eq!(acme["Enrichments__r"]["records"][0]["Name"], "Two");
    assert_eq!(found.records[1]["Enrichments__r"], Value::Null);
    let count = find(&tables, &plan(&tables.schema, "SELECT COUNT() FROM Account").expect("it is right"), "");
    assert_eq!((count.total, count.records.len()), (3, 0));
}

#[test]
fn wrong_queries_are_refused_in_salesforces_words() {
    let tables = org();
    for (text, code, words) in [
        ("SELECT Id FORM Account", "MALFORMED_QUERY", "ERROR at Row:1:Column:11\nunexpected token: 'FORM'"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT FROM Account", "MALFORMED_QUERY", "unexpected token: 'FROM'"),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        ("SELECT Id FROM Account WHERE Name = 'O'Neil'", "MALFORMED_QUERY", "unexpected token: 'Neil'"),
        (r"SELECT Id FROM Account WHERE Name = '\x'", "MALFORMED_QUERY", r"Illegal escape sequence: \x"),
        (r"SELECT Id FROM Account WHERE Name = 'a\_b'", "MALFORMED_QUERY", r"Illegal escape sequence: \_"),
        ("SELECT Id, id FROM Account", "MALFORMED_QUERY", "duplicate field selected: Id"),
        (
            "SELECT Foo FROM Account",
            "INVALID_FIELD",
            "ERROR at Row:1:Column:8\nNo such column 'Foo' on entity 'Account'. If you are attempting to use a custom field, be sure to append the '__c'",
        ),
        (
            "SELECT Boss.Name FROM Account",
            "INVALID_FIELD",
            "Didn't understand relationship 'Boss' in field path",
        ),
        (
            "SELECT Id FROM Accout",
            "INVALID_TYPE",
            "ERROR at Row:1:Column:16\nsObject type 'Accout' is not supported.",
        ),
        ("SELECT Id FROM Sync_Request__e", "INVALID_TYPE_FOR_OPERATION", "does not support query"),
        (
            "SELECT Id, (SELECT Id FROM Foos__r) FROM Account",
            "INVALID_TYPE",
            "Didn't understand relationship 'Foos__r' in FROM part",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 5",
            "INVALID_FIELD",
            "field 'Name' must be of type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Account WHERE NumberOfEmployees = '5'",
            "INVALID_FIELD",
            "must be of type int and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > '2026-01-01'",
            "INVALID_FIELD",
            "must be of type dateTime and should not",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > 2026-01-01",
            "INVALID_FIELD",
            "must be of type dateTime and should not",
        ),
        ("SELECT Id FROM Account WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
        (
            "SELECT Id FROM Account WHERE CreatedDate LIKE 'a%'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator",
        ),
        (
            "SELECT Id FROM Account WHERE Description = 'x'",
            "INVALID_FIELD",
            "field 'Description' can not be filtered in a query call",
        ),
        ("SELECT Id FROM Account ORDER BY Description", "INVALID_FIELD", "can not be sorted in a query call"),
        (
            "SELECT Id FROM Account OFFSET 2001",
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Maximum SOQL offset allowed is 2000",
        ),
    ] {
        let error = plan(&tables.schema, text).expect_err(text);
        assert_eq!(error.code, code, "{text}: {}", error.message);
        assert!(error.message.contains(words), "{text}: {}", error.message);
    }
    let long = format!("SELECT Id FROM Account WHERE Name IN ('{}')", "a','".repeat(30_000));
    assert_eq!(plan(&tables.schema, &long).expect_err("too long").code, "MALFORMED_QUERY");
}
