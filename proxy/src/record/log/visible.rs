//! Nothing that others say moves a cursor, turns a line round or hides in it.

use std::io::{self, Write};

/// Writes what would not be seen as it stands in JSON's form for it, `\u202e`. In JSON it can stand only
/// within a text, where it means the same.
pub(super) struct Visible<W>(pub(super) W);

impl<W: Write> Write for Visible<W> {
    /// Each line comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Most are ASCII throughout, and what of ASCII could do harm has been escaped by who wrote them.
        let Some(text) = str::from_utf8(line).ok().filter(|text| text.contains(is_unseen)) else {
            self.0.write_all(line)?;
            return Ok(line.len());
        };
        let mut visible = Vec::with_capacity(line.len() * 2);
        for c in text.chars() {
            if is_unseen(c) {
                escaped(c).for_each(|unit| visible.extend_from_slice(unit.as_bytes()));
            } else {
                visible.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        self.0.write_all(&visible)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The same of a text by itself, in which line ends are nothing special.
pub(crate) fn seen(text: impl Iterator<Item = char>) -> String {
    let mut visible = String::new();
    for c in text {
        if c.is_control() || is_unseen(c) {
            visible.extend(escaped(c));
        } else {
            visible.push(c);
        }
    }
    visible
}

fn escaped(c: char) -> impl Iterator<Item = String> {
    let mut units = [0; 2];
    let count = c.encode_utf16(&mut units).len();
    units.into_iter().take(count).map(|unit| format!("\\u{unit:04x}"))
}

/// Control characters beyond ASCII, what ends lines, what turns the direction of a text, and what has no
/// width.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str) -> String {
        let mut visible = Visible(Vec::new());
        visible.write_all(line.as_bytes()).unwrap();
        String::from_utf8(visible.0).unwrap()
    }

    #[test]
    fn what_is_seen_stays_as_it_is() {
        for line in
            ["", "plain\n", "Zo\u{eb} \u{65e5}\u{672c} \u{1f600}\n", "\u{1b}[2mcolour\u{1b}[0m\n"]
        {
            assert_eq!(written(line), line);
        }
    }

    #[test]
    fn what_is_not_seen_reads_back_as_it_was() {
        let odd = "a\u{7f}\u{85}\u{9b}2J\u{202e}\u{2028}\u{2066}\u{feff}\u{200d}\u{e0041}\u{eb}";
        let line = serde_json::json!({ "subject": odd }).to_string();
        let written = written(&line);
        assert!(!written.contains(is_unseen), "{written}");
        assert!(written.contains("\\u009b2J\\u202e"), "{written}");
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["subject"], odd);
    }
}
