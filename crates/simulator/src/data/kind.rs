//! What a field holds, and fields that options add.
//!
//! Here: the types that tests name. Not here: fields as an org has them (`object`).

use serde::Deserialize;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One line of so many characters.
    Text {
        /// Characters, at most 255.
        length: u32,
    },
    /// Up to 255 characters, several lines.
    TextArea,
    /// Several lines; cannot be filtered or sorted by.
    LongText {
        /// Characters, at most 131,072.
        length: u32,
    },
    /// Text with HTML tags, of which the org keeps a tidier form; cannot be filtered or sorted by.
    RichText {
        /// Characters, at most 131,072.
        length: u32,
    },
    /// Text that nobody is shown: `*` for each of its letters. Cannot be filtered or sorted by.
    Encrypted {
        /// Characters, at most 175.
        length: u32,
    },
    /// A web address of up to 255 characters; not checked.
    Url,
    /// A telephone number of up to 40 characters; not checked.
    Phone,
    /// An e-mail address of up to 80 characters; checked.
    Email,
    /// One value of a list.
    Picklist {
        /// The values.
        values: Vec<String>,
        /// Whether others are refused.
        restricted: bool,
    },
    /// Several values of a list, joined by semicolons and kept in the list's order.
    MultiPicklist {
        /// The values.
        values: Vec<String>,
        /// Whether others are refused.
        restricted: bool,
    },
    /// A number, rounded to the scale.
    Number {
        /// Digits in all, at most 18.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// An amount of money, rounded to the scale.
    Currency {
        /// Digits in all, at most 18.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A percentage, 12.5 meaning 12.5 %.
    Percent {
        /// Digits in all, at most 18.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A whole number of a standard field.
    Integer {
        /// Digits.
        digits: u8,
    },
    /// True or false; never null.
    Checkbox,
    /// A day.
    Date,
    /// An instant, kept to the second.
    DateTime,
    /// Another record's id.
    Lookup {
        /// The object it points to.
        to: String,
        /// What the other object calls its list of these; empty for none.
        children: String,
    },
    /// The record's own id.
    Id,
}

/// A field beyond the standard ones and the package's; its object is made if there is none of that name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are Salesforce's own flags")]
pub struct CustomField {
    /// API name of the object; a new one ends in `__c`, a new event in `__e`.
    pub object: String,
    /// API name of the field.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether a record must have it.
    #[serde(default)]
    pub required: bool,
    /// Whether records can be found and upserted by it.
    #[serde(default)]
    pub external_id: bool,
    /// Whether two records may not share a value, whatever its case.
    #[serde(default)]
    pub unique: bool,
    /// Whether it is a formula, which nobody writes.
    #[serde(default)]
    pub computed: bool,
}
