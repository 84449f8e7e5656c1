//! Salesforce's messages without the record's values, so that a letter, a page and a log may hold them. Pure.
//!
//! Salesforce repeats what it refuses: `data value too large: … (max length=80)`, `bad value for restricted picklist field: …`,
//! `duplicate value found: X__c duplicates value on record with id: 001…`. And a validation rule, a trigger or a flow of the
//! customer's says whatever its author wrote, values of other fields among it.
//!
//! Here: what of a message may stay. Not here: which messages there are (`orgpipe_salesforce::error`), where they are kept
//! (`commit`).
//!
//! Invariant: no value that was sent, of three characters or more, is left in a message, whatever its case.
//! When in doubt it is cut: a word too many is missed less than a value is regretted.

use orgpipe_store::LetterError;
use serde_json::Value;

use crate::queue_entry::ChangeEntry;

/// What stands where something was cut.
const CUT: char = '…';
/// Characters of a value that is looked for anywhere in a message; of a shorter one only whole words are.
const VALUE_CHARS_MIN: usize = 3;
/// Characters of a piece of a long value that is known again: Salesforce may show the beginning only.
const PIECE_CHARS: usize = 8;
/// Marks by which it is seen at once of most pieces of a value that they are not in a message: it has a thousand pieces at most.
const PIECE_MARKS: usize = 1 << 16;
/// Digits of a number that is no value of ours, and is cut all the same.
const DIGITS_MIN: usize = 3;
/// Characters of all values together that are looked for; a record with more has no messages.
const VALUES_CHARS_MAX: usize = 500_000;
/// Behind these words a value stands, up to the end or to ` (max`.
const BEFORE_A_VALUE: &[&str] = &[
    "data value too large:",
    "bad value for restricted picklist field:",
    "invalid email address:",
    "value outside of valid range on numeric field:",
    "id value of incorrect type:",
    "value of incorrect type:",
    "duplicate external id specified:",
    "foreign key external id:",
    "value_string value",
    "invalid value:",
];
/// Numbers that are bounds of Salesforce's stand behind these.
const BEFORE_A_BOUND: &[&str] = &["max length=", "line:", "column:", "col "];

/// The values of one record.
#[derive(Debug)]
pub(super) struct Values {
    /// As they may be shown, in lower case; sorted.
    texts: Vec<Vec<char>>,
    /// Names that may stand in quotes.
    names: Vec<String>,
    /// There are so many that nothing can be said safely.
    too_many: bool,
}

impl Values {
    /// Those that a change holds.
    pub(super) fn of(entry: &ChangeEntry) -> Self {
        let mut texts = Vec::new();
        shown(&Value::String(entry.external_id.clone()), &mut texts);
        for value in entry.fields.values() {
            shown(value, &mut texts);
        }
        texts.sort_unstable();
        texts.dedup();
        let mut names: Vec<String> = entry.fields.keys().cloned().collect();
        names.extend([entry.target.clone(), entry.external_id_field.clone()]);
        let too_many = texts.iter().map(Vec::len).sum::<usize>() > VALUES_CHARS_MAX;
        Self { texts, names, too_many }
    }

    /// An error without them.
    pub(super) fn cut(&self, error: LetterError) -> LetterError {
        let LetterError { code, message, fields } = error;
        LetterError { code, message: self.cut_text(&message, &fields), fields }
    }

    fn cut_text(&self, message: &str, fields: &[String]) -> String {
        if self.too_many {
            return String::new();
        }
        let mut text = message.to_owned();
        // What is left of a cut may be a value again.
        for _ in 0..4 {
            let chars: Vec<char> = text.chars().collect();
            let lower: Vec<char> = chars.iter().copied().map(lower).collect();
            let mut keep = vec![true; chars.len()];
            self.mark_values(&lower, &mut keep);
            mark_behind_templates(&lower, &mut keep);
            self.mark_quoted(&chars, fields, &mut keep);
            mark_numbers(&lower, &mut keep);
            let cut = joined(&chars, &keep);
            if cut == text {
                return text;
            }
            text = cut;
        }
        String::new()
    }

    /// The message is short and the values may be long and many: so it is looked up here, and never searched for each of them.
    fn mark_values(&self, message: &[char], keep: &mut [bool]) {
        for chars in 1..=PIECE_CHARS {
            self.mark_whole(message, chars, keep);
        }
        self.mark_pieces(message, keep);
    }

    /// The values of so many characters, each as a whole.
    fn mark_whole(&self, message: &[char], chars: usize, keep: &mut [bool]) {
        let is_of_word = |c: &char| c.is_alphanumeric() || *c == '_';
        for (at, window) in message.windows(chars).enumerate() {
            let end = at + chars;
            let begins = at == 0 || !is_of_word(&message[at - 1]);
            let alone = begins && !message.get(end).is_some_and(is_of_word);
            let is_value = || self.texts.binary_search_by(|text| text.as_slice().cmp(window)).is_ok();
            if (chars >= VALUE_CHARS_MIN || alone) && is_value() {
                keep[at..end].fill(false);
            }
        }
    }

    /// All that a message and the longer values have in common, and so those values as a whole.
    fn mark_pieces(&self, message: &[char], keep: &mut [bool]) {
        let mut pieces: Vec<&[char]> = message.windows(PIECE_CHARS).collect();
        pieces.sort_unstable();
        pieces.dedup();
        let mut may_be = vec![false; PIECE_MARKS];
        for piece in &pieces {
            may_be[mark_of(piece)] = true;
        }
        let mut known = vec![false; pieces.len()];
        for text in self.texts.iter().filter(|text| text.len() > PIECE_CHARS) {
            for window in text.windows(PIECE_CHARS).filter(|window| may_be[mark_of(window)]) {
                if let Ok(place) = pieces.binary_search(&window) {
                    known[place] = true;
                }
            }
        }
        for (at, window) in message.windows(PIECE_CHARS).enumerate() {
            if pieces.binary_search(&window).is_ok_and(|place| known[place]) {
                keep[at..at + PIECE_CHARS].fill(false);
            }
        }
    }

    /// What stands in quotes is mostly a value; a name of a field or an object is not.
    fn mark_quoted(&self, message: &[char], fields: &[String], keep: &mut [bool]) {
        let mut at = 0;
        while at < message.len() {
            let Some(end_quote) = closing(message[at]) else {
                at += 1;
                continue;
            };
            let apostrophe = message[at] == '\'' && at > 0 && message[at - 1].is_alphanumeric();
            let end = (at + 1..message.len()).find(|end| message[*end] == end_quote);
            let Some(end) = end.filter(|_| !apostrophe) else {
                at += 1;
                continue;
            };
            let quoted: String = message[at + 1..end].iter().collect();
            if !self.is_name(&quoted, fields) {
                keep[at + 1..end].fill(false);
            }
            at = end + 1;
        }
    }

    fn is_name(&self, text: &str, fields: &[String]) -> bool {
        let is_custom = ["__c", "__r", "__e"].iter().any(|end| text.ends_with(end));
        let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        text == CUT.to_string()
            || self.names.iter().chain(fields).any(|name| name == text)
            || is_custom && is_word
    }
}

/// The forms in which a value may be shown.
fn shown(value: &Value, texts: &mut Vec<Vec<char>>) {
    let mut add = |text: &str| {
        let text: Vec<char> = text.trim().chars().map(lower).collect();
        if !text.is_empty() {
            texts.push(text);
        }
    };
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            add(&number.to_string());
            if let Some(double) = number.as_f64() {
                add(&double.to_string());
            }
        }
        Value::String(text) => {
            add(text);
            add(&escaped(text));
            // A line of a long text, or an entry of a list, may be shown alone.
            for part in text.split(['\n', '\r', ';']).filter(|part| part.trim().len() < text.len()) {
                add(part);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shown(item, texts)),
        Value::Object(_) => add(&value.to_string()),
    }
}

fn escaped(text: &str) -> String {
    let amp = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    amp.replace('"', "&quot;").replace('\'', "&#39;")
}

/// One character for one, so that places stay what they are. Whatever is no sign is a blank: a message is on one line.
fn lower(c: char) -> char {
    if c.is_whitespace() || c.is_control() { ' ' } else { c.to_lowercase().next().unwrap_or(c) }
}

/// The mark of a piece.
fn mark_of(piece: &[char]) -> usize {
    [0, 2, 5, 7].iter().fold(0, |mark: usize, at| mark * 31 + piece[*at] as usize) % PIECE_MARKS
}

fn mark_behind_templates(message: &[char], keep: &mut [bool]) {
    for template in BEFORE_A_VALUE {
        let template: Vec<char> = template.chars().collect();
        let bound: Vec<char> = " (max length=".chars().collect();
        for at in 0..message.len() {
            if !message[at..].starts_with(&template) {
                continue;
            }
            let from = at + template.len();
            // The last one, as the value may say it as well.
            let end = (from..message.len()).rev().find(|end| message[*end..].starts_with(&bound));
            let end = end.unwrap_or(message.len());
            for place in from..end {
                keep[place] &= message[place] == ' ' && place == from;
            }
        }
    }
}

/// Numbers, times and amounts, but not those in names, in record IDs and in bounds.
fn mark_numbers(message: &[char], keep: &mut [bool]) {
    let is_part = |c: char| c.is_ascii_digit() || ".,:/+-'e".contains(c);
    let mut at = 0;
    while at < message.len() {
        if !message[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = (at..message.len()).find(|end| !is_part(message[*end])).unwrap_or(message.len());
        let digits = message[at..end].iter().filter(|c| c.is_ascii_digit()).count();
        let is_of_word = |c: &char| c.is_alphanumeric() || *c == '_';
        let within = at > 0 && is_of_word(&message[at - 1]) || message.get(end).is_some_and(is_of_word);
        let before: String = message[at.saturating_sub(12)..at].iter().collect();
        let is_bound = BEFORE_A_BOUND.iter().any(|bound| before.ends_with(bound));
        if digits >= DIGITS_MIN && !within && !is_bound {
            keep[at..end].fill(false);
        }
        at = end.max(at + 1);
    }
}

fn closing(quote: char) -> Option<char> {
    Some(match quote {
        '"' => '"',
        '\'' => '\'',
        '`' => '`',
        '\u{201c}' | '\u{201e}' => '\u{201d}',
        '\u{2018}' => '\u{2019}',
        '\u{ab}' => '\u{bb}',
        _ => return None,
    })
}

fn joined(chars: &[char], keep: &[bool]) -> String {
    let mut text = String::with_capacity(chars.len());
    for (c, keep) in chars.iter().zip(keep) {
        if *keep {
            text.push(*c);
        } else if !text.ends_with(CUT) {
            text.push(CUT);
        }
    }
    text
}

#[cfg(test)]
mod tests;
