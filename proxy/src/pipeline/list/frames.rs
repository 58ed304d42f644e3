//! Messages in a stream of events (`text/event-stream`), each changed as it passes.

use super::Unreadable;

/// What has come of an event that is not over.
#[derive(Debug)]
pub(super) struct Frames {
    held: Vec<u8>,
    most: usize,
    /// Whether nothing has come of a line yet.
    at_line: bool,
    /// Lines end with CR, LF or both: a LF now would be the second half of an end.
    after_cr: bool,
}

impl Frames {
    /// For events of so many bytes at most.
    pub(super) fn new(most: usize) -> Self {
        Self { held: Vec::new(), most, at_line: true, after_cr: false }
    }

    /// Takes what comes next, and gives out the events that are over with it. One that never ends is
    /// none.
    pub(super) fn pass(
        &mut self,
        piece: &[u8],
        mut change: impl FnMut(&str) -> Result<Option<String>, Unreadable>,
    ) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::new();
        for byte in piece {
            self.held.push(*byte);
            if self.held.len() > self.most {
                return Err(Unreadable);
            }
            if self.ends_event(*byte) {
                match changed(&self.held, &mut change)? {
                    Some(event) => out.extend_from_slice(&event),
                    None => out.extend_from_slice(&self.held),
                }
                self.held.clear();
            }
        }
        Ok(out)
    }

    /// Whether an empty line ends with this byte.
    fn ends_event(&mut self, byte: u8) -> bool {
        let is_second_half = byte == b'\n' && self.after_cr;
        self.after_cr = byte == b'\r';
        if is_second_half {
            return false;
        }
        let ends_line = matches!(byte, b'\r' | b'\n');
        let was_at_line = std::mem::replace(&mut self.at_line, ends_line);
        ends_line && was_at_line
    }
}

/// The same event with another message, if that is to change.
fn changed(
    event: &[u8],
    change: &mut impl FnMut(&str) -> Result<Option<String>, Unreadable>,
) -> Result<Option<Vec<u8>>, Unreadable> {
    let text = std::str::from_utf8(event).map_err(|_| Unreadable)?;
    let text = text.trim_start_matches('\u{feff}');
    let lines: Vec<&str> = text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    // Where the transport of 2024-11-05 tells its clients to send to: no message.
    if lines.iter().rev().find_map(|line| value_of("event", line)) == Some("endpoint") {
        return Ok(None);
    }
    let data: Vec<&str> = lines.iter().filter_map(|line| data_of(line)).collect();
    if data.iter().all(|line| line.trim().is_empty()) {
        return Ok(None);
    }
    let Some(message) = change(&data.join("\n"))? else { return Ok(None) };
    let mut new = String::with_capacity(event.len());
    let others = lines.iter().filter(|line| data_of(line).is_none());
    for line in others.copied() {
        new.extend([line, "\n"]);
    }
    for line in message.split('\n') {
        new.extend(["data: ", line, "\n"]);
    }
    new.push('\n');
    Ok(Some(new.into_bytes()))
}

fn data_of(line: &str) -> Option<&str> {
    value_of("data", line)
}

/// What a line says of the field, if it is about that.
fn value_of<'l>(field: &str, line: &'l str) -> Option<&'l str> {
    let value = line.strip_prefix(field)?;
    if value.is_empty() {
        return Some(value);
    }
    let value = value.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out if every message is told in capitals, but for those with an x, whatever the pieces.
    #[track_caller]
    fn becomes(stream: &str, expected: &str) {
        for size in [1, 2, 3, 7, 1000] {
            let mut frames = Frames::new(100);
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                let loud =
                    |message: &str| Ok((!message.contains('x')).then(|| message.to_uppercase()));
                out.extend(frames.pass(piece, loud).unwrap());
            }
            assert_eq!(String::from_utf8(out).unwrap(), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn each_message_is_changed_and_all_else_stays() {
        becomes("data: a\n\n", "data: A\n\n");
        becomes("data:x\n\ndata:  b\n\n", "data:x\n\ndata:  B\n\n");
        becomes(
            ": ping\n\nid: 7\nevent: message\ndata: a\ndata: b\nretry: 3\n\n",
            ": ping\n\nid: 7\nevent: message\nretry: 3\ndata: A\ndata: B\n\n",
        );
        becomes("data\n\ndata:\n\nevent: end\n\n\n", "data\n\ndata:\n\nevent: end\n\n\n");
        becomes("\u{feff}data: a\n\n", "data: A\n\n");
        becomes("database: a\n\n", "database: a\n\n");
        becomes("event: endpoint\ndata: /a\n\n", "event: endpoint\ndata: /a\n\n");
        becomes("event: endpoint\nevent: b\ndata: a\n\n", "event: endpoint\nevent: b\ndata: A\n\n");
        becomes("data: never over", "");
    }

    #[test]
    fn lines_end_as_they_like() {
        becomes("data: a\r\rdata: b\r\r", "data: A\n\ndata: B\n\n");
        becomes("data: x\r\n\r\ndata: x\r\n\r\n: x", "data: x\r\n\r\ndata: x\r\n\r");
        becomes("data: a\n\r\ndata: x\r\n\n", "data: A\n\n\ndata: x\r\n\n");
    }

    #[test]
    fn what_is_too_long_or_no_text_is_unreadable() {
        let same = |_: &str| Ok(None);
        assert_eq!(Frames::new(9).pass(b"data: abcd", same), Err(Unreadable));
        assert!(Frames::new(9).pass(b"data: a\n\ndata: abc", same).is_ok());
        assert_eq!(Frames::new(9).pass(b"data: \xff\n\n", same), Err(Unreadable));
    }
}
