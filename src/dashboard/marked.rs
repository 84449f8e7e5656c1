//! Sentences in which a name between two backticks is set as code.
//!
//! Here: the markup, in which nothing else of a text is any. Not here: the sentences.

use std::fmt;

use askama::{FastWritable, Values, filters};

/// A text as markup; templates write it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marked(String);

impl Marked {
    /// Of a text that may be anybody's.
    pub(crate) fn of(text: &str) -> Self {
        let escaped = filters::escape(text, filters::Html).map(|text| text.to_string());
        // Writing into a text does not fail.
        let escaped = escaped.unwrap_or_default();
        let parts: Vec<&str> = escaped.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return Self(escaped);
        }
        let mark = |(at, part): (usize, &&str)| {
            if at % 2 == 1 { format!("<code>{part}</code>") } else { (*part).to_owned() }
        };
        Self(parts.iter().enumerate().map(mark).collect())
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FastWritable for Marked {
    fn write_into(&self, to: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(to.write_str(&self.0)?)
    }
}

impl filters::HtmlSafe for Marked {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code() {
        for (text, html) in [
            ("`a<b`: no, `c`", "<code>a&#60;b</code>: no, <code>c</code>"),
            ("an odd ` one", "an odd ` one"),
            ("none", "none"),
            ("", ""),
        ] {
            assert_eq!(Marked::of(text).to_string(), html, "{text}");
        }
    }
}
