//! SOQL as text.
//!
//! Here: literals, names and plain SELECT statements, and cutting long IN lists. Not here: what is asked for.
//!
//! Source: SOQL and SOSL Reference, "Quoted String Escape Sequences" and "SOQL Limits".

use std::fmt::Write as _;

use crate::limits::{IN_LIST_MAX, SOQL_LITERAL_CHARS_MAX};

/// The text as a literal, quotes included. Every character that could end the literal or start an escape is escaped.
pub fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for c in text.chars() {
        match c {
            '\\' => literal.push_str(r"\\"),
            '\'' => literal.push_str(r"\'"),
            '\n' => literal.push_str(r"\n"),
            '\r' => literal.push_str(r"\r"),
            '\t' => literal.push_str(r"\t"),
            '\u{8}' => literal.push_str(r"\b"),
            '\u{c}' => literal.push_str(r"\f"),
            c if c.is_control() => {
                let _ = write!(literal, "\\u{:04X}", u32::from(c));
            }
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

/// True for a name that may stand in a statement unquoted: `Name`, `ns__Field__c`, `Account.Owner.Name`.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

/// True if the text fits in one literal of a WHERE clause.
pub fn fits_literal(text: &str) -> bool {
    quote(text).chars().count() <= SOQL_LITERAL_CHARS_MAX
}

/// A SELECT statement in the making. Names are taken as they are: check them with [`is_name`] where they come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    object: String,
    fields: Vec<String>,
    conditions: Vec<String>,
    order_by: Option<String>,
    limit: Option<usize>,
}

impl Select {
    /// Starts a statement that selects `Id` from an object.
    pub fn from(object: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            fields: Vec::new(),
            conditions: Vec::new(),
            order_by: None,
            limit: None,
        }
    }

    /// Adds fields; one named twice, in whatever case, is selected once, as Salesforce refuses it otherwise.
    pub fn fields<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        for name in names {
            let name = name.into();
            if !self.fields.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                self.fields.push(name);
            }
        }
        self
    }

    /// This statement as a field of another: `Enrichments__r` for the object, which reads a record's children with it
    /// (SOQLDOC, "Relationship Queries").
    pub fn as_field(&self) -> String {
        format!("({})", self.to_soql())
    }

    /// Adds a condition written out; it is put in parentheses. Empty text adds nothing.
    pub fn where_raw(mut self, condition: &str) -> Self {
        if !condition.trim().is_empty() {
            self.conditions.push(format!("({})", condition.trim()));
        }
        self
    }

    /// Adds `field IN (…)` for a field of text. No values match no record.
    pub fn where_in<T: AsRef<str>>(self, field: &str, values: &[T]) -> Self {
        self.where_among(field, &values.iter().map(|value| quote(value.as_ref())).collect::<Vec<_>>())
    }

    /// The same for literals as they stand in a statement: text by [`quote`], numbers bare.
    pub fn where_among(mut self, field: &str, literals: &[String]) -> Self {
        let condition = match literals {
            [] => "Id = null".to_owned(),
            list => format!("{field} IN ({})", list.join(",")),
        };
        self.conditions.push(condition);
        self
    }

    /// Adds `field > 'value'`, for reading on after the last id.
    pub fn and_gt(mut self, field: &str, value: &str) -> Self {
        self.conditions.push(format!("{field} > {}", quote(value)));
        self
    }

    /// Orders by a field, ascending.
    pub fn order_by(mut self, field: &str) -> Self {
        self.order_by = Some(field.to_owned());
        self
    }

    /// Takes the order away: a Bulk query reads faster without one.
    pub fn unordered(mut self) -> Self {
        self.order_by = None;
        self
    }

    /// Ends after so many records.
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = Some(records);
        self
    }

    /// The statement that counts the records instead of reading them.
    pub fn to_count(&self) -> String {
        self.selecting("COUNT()")
    }

    /// The whole statement as text.
    pub fn to_soql(&self) -> String {
        let fields = if self.fields.is_empty() { "Id".to_owned() } else { self.fields.join(",") };
        let mut soql = self.selecting(&fields);
        if let Some(field) = &self.order_by {
            let _ = write!(soql, " ORDER BY {field}");
        }
        if let Some(limit) = self.limit {
            let _ = write!(soql, " LIMIT {limit}");
        }
        soql
    }

    /// The statement up to and with its conditions.
    fn selecting(&self, what: &str) -> String {
        let mut soql = format!("SELECT {what} FROM {}", self.object);
        if !self.conditions.is_empty() {
            soql.push_str(" WHERE ");
            soql.push_str(&self.conditions.join(" AND "));
        }
        soql
    }

    /// Whether the statement takes at most `bytes_max` bytes in a URL.
    pub fn fits(&self, bytes_max: usize) -> bool {
        encoded_len(&self.to_soql()) <= bytes_max
    }

    /// The same statement for no other field than `Id`.
    pub fn bare(&self) -> Self {
        Self { fields: Vec::new(), ..self.clone() }
    }

    /// What it is asked of.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The names that it selects.
    pub fn names(&self) -> &[String] {
        &self.fields
    }

    /// The statement as several that select a part of its fields each, `Id` with all of them, in at most `bytes_max` bytes for
    /// the fields of one. A field longer than that has a statement of its own.
    pub fn columns(&self, bytes_max: usize) -> Vec<Self> {
        let mut parts: Vec<Vec<String>> = vec![Vec::new()];
        let mut used = 0;
        for name in self.fields.iter().filter(|name| !name.eq_ignore_ascii_case("Id")) {
            let bytes = encoded_len(name) + encoded_len(",");
            if used + bytes > bytes_max && parts.last().is_some_and(|part| !part.is_empty()) {
                parts.push(Vec::new());
                used = 0;
            }
            used += bytes;
            parts.last_mut().into_iter().for_each(|part| part.push(name.clone()));
        }
        let one = |part| Self { fields: vec!["Id".to_owned()], ..self.clone() }.fields::<String>(part);
        parts.into_iter().map(one).collect()
    }

    /// Cuts `literals` so that the statement with `where_among(field, part)` takes at most `bytes_max` bytes in a URL and
    /// no list is longer than [`IN_LIST_MAX`]. A literal too long for the budget gets a part of its own.
    pub fn chunks<'a>(&self, field: &str, literals: &'a [String], bytes_max: usize) -> Vec<&'a [String]> {
        let base = encoded_len(&self.clone().where_in(field, &[""]).to_soql());
        let budget = bytes_max.saturating_sub(base);
        let mut parts = Vec::new();
        let (mut start, mut used) = (0, 0);
        for (index, literal) in literals.iter().enumerate() {
            let bytes = encoded_len(literal) + encoded_len(",");
            if index > start && (used + bytes > budget || index - start == IN_LIST_MAX) {
                parts.push(&literals[start..index]);
                (start, used) = (index, 0);
            }
            used += bytes;
        }
        if start < literals.len() {
            parts.push(&literals[start..]);
        }
        parts
    }
}

/// Bytes of the text as a query parameter.
pub fn encoded_len(text: &str) -> usize {
    url::form_urlencoded::byte_serialize(text.as_bytes()).map(str::len).sum()
}

#[cfg(test)]
mod tests;
