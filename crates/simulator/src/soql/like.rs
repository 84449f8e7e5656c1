//! String literals: escapes, and the patterns of LIKE.
//!
//! Here: unescaping and matching. Source: SOQL Reference "Quoted String Escape Sequences", "LIKE".

/// One part of a LIKE pattern, letters in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Letter(char),
    /// `_`
    One,
    /// `%`
    Any,
}

/// The text of a literal without its quotes; `Err` with the first escape that SOQL does not know.
pub(crate) fn unescape(raw: &str) -> Result<String, String> {
    let mut text = String::with_capacity(raw.len());
    each(raw, false, |letter, _| text.push(letter))?;
    Ok(text)
}

/// The pattern of a LIKE literal.
pub(crate) fn pattern(raw: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    each(raw, true, |letter, escaped| match letter {
        '%' if !escaped => parts.push(Part::Any),
        '_' if !escaped => parts.push(Part::One),
        letter => parts.extend(letter.to_lowercase().map(Part::Letter)),
    })?;
    Ok(parts)
}

/// Whether a text (in lower case) matches as a whole.
pub(crate) fn matches(parts: &[Part], text: &[char]) -> bool {
    // Walks both at once; on a mismatch the last `%` takes one letter more.
    let (mut at, mut part, mut retry) = (0, 0, None);
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                retry = Some((part, at));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Letter(letter)) if *letter == text[at] => (at, part) = (at + 1, part + 1),
            _ => match retry {
                Some((any, from)) => {
                    (at, part) = (from + 1, any + 1);
                    retry = Some((any, from + 1));
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(|part| *part == Part::Any)
}

fn each(raw: &str, like: bool, mut take: impl FnMut(char, bool)) -> Result<(), String> {
    let mut letters = raw.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            take(letter, false);
            continue;
        }
        let escape = letters.next().ok_or_else(|| "\\".to_owned())?;
        let meant = match escape {
            'n' | 'N' => '\n',
            'r' | 'R' => '\r',
            't' | 'T' => '\t',
            'b' | 'B' => '\u{8}',
            'f' | 'F' => '\u{c}',
            '"' | '\'' | '\\' => escape,
            '_' | '%' if like => escape,
            'u' | 'U' => {
                let code: String = letters.by_ref().take(4).collect();
                let hex = code.len() == 4 && code.bytes().all(|digit| digit.is_ascii_hexdigit());
                let number = if hex { u32::from_str_radix(&code, 16).ok() } else { None };
                number.and_then(char::from_u32).ok_or_else(|| format!("\\u{code}"))?
            }
            other => return Err(format!("\\{other}")),
        };
        take(meant, true);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_soql() {
        for (raw, text) in
            [(r"O\'Neil", "O'Neil"), (r"a\\b", r"a\b"), (r"\u00e9\n", "é\n"), ("plain", "plain")]
        {
            assert_eq!(unescape(raw).as_deref(), Ok(text));
        }
        for raw in [r"\x", r"\_", r"\u12", r"\%"] {
            assert!(unescape(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (raw, text, expected) in [
            ("acme%", "acme gmbh", true),
            ("%GMBH", "acme gmbh", true),
            ("%me%gm%", "acme gmbh", true),
            ("acme", "acme gmbh", false),
            ("a_me%", "acme", true),
            (r"100\%", "100%", true),
            (r"100\%", "1000", false),
            ("%", "", true),
            ("_", "", false),
            ("%a%ab", "aab", true),
        ] {
            let text: Vec<char> = text.chars().collect();
            assert_eq!(pattern(raw).map(|parts| matches(&parts, &text)), Ok(expected), "{raw}");
        }
    }
}
