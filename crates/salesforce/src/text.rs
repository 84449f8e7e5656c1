//! Texts of other people's, made fit for one line of a log or a terminal.
//!
//! Here: what may not stand in such a line. Not here: whose text it is.

/// The text on one line: whatever ends a line, steers a terminal or turns the direction of writing becomes a blank.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) { ' ' } else { c }).collect()
}

fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_makes_a_second_line_or_steers_a_terminal() {
        let text = "a\nb\r\nc\u{1b}[2Jd\u{9b}e\u{2028}f\u{202e}g\u{0}h ü";
        assert_eq!(one_line(text), "a b  c [2Jd e f g h ü");
    }
}
