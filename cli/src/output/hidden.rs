//! Escapes characters that are invisible or change how others are displayed: text from a store, a file or another
//! candidate must not mislead the reader of a terminal.

use std::borrow::Cow;
use std::fmt::Write;

use crate::config::settings::LogFormat;

/// The text with each such character as its escape. Control characters are left to the caller.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    replaced(text, |text, c| write!(text, "{}", c.escape_unicode()))
}

/// The same for a JSON document, where such characters occur only in strings.
pub(crate) fn escaped_json(text: &str) -> Cow<'_, str> {
    replaced(text, |text, c| {
        let mut units = [0; 2];
        let mut units = c.encode_utf16(&mut units).iter();
        units.try_for_each(|unit| write!(text, "\\u{unit:04x}"))
    })
}

/// The same for a log line.
pub(crate) fn escaped_as(format: LogFormat, text: &str) -> Cow<'_, str> {
    match format {
        LogFormat::Text => escaped(text),
        LogFormat::Json => escaped_json(text),
    }
}

fn replaced(text: &str, escape: fn(&mut String, char) -> std::fmt::Result) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            escape(&mut shown, c).expect("a string takes everything");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Format characters (the bidirectional ones and those of no width among them), separators of lines, fillers and
/// variation selectors, as Unicode 16 knows them.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_escaped_and_nothing_else_is() {
        let plain = "leader ≤ 5 s — größer, e\u{301}, 日本語, עברית, हिन्दी 🙂\t\x1b[31m";
        assert!(matches!(escaped(plain), Cow::Borrowed(same) if same == plain));
        for c in
            "\u{ad}\u{61c}\u{200b}\u{200d}\u{200f}\u{2028}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}"
                .chars()
        {
            let text = format!("a{c}b");
            let expected = format!("a\\u{{{:x}}}b", u32::from(c));
            assert_eq!(escaped(&text), expected);
            let json = serde_json::to_string(&text).unwrap();
            let safe = escaped_json(&json);
            assert!(safe.is_ascii(), "{safe}");
            assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
