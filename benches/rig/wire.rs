//! As much of HTTP/1.1 as it takes to see where a message ends.

use std::io;

/// A message that has arrived whole.
pub(crate) struct Message<'b> {
    first_line: &'b str,
    /// How long it is, head and body.
    pub(crate) bytes: usize,
}

impl<'b> Message<'b> {
    /// The message at the start of `buffer`, once all of it is there.
    pub(crate) fn whole(buffer: &'b [u8]) -> io::Result<Option<Self>> {
        let Some(end) = buffer.windows(END.len()).position(|bytes| bytes == END) else {
            return Ok(None);
        };
        let head = buffer.get(..end).unwrap_or_default();
        let head = str::from_utf8(head).map_err(|_| odd("its head is not text"))?;
        let (first_line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
        let bytes = end + END.len() + body(fields)?;
        Ok((buffer.len() >= bytes).then_some(Self { first_line, bytes }))
    }

    /// The status of the one answer that `buffer` holds, once all of it is there.
    pub(crate) fn status(buffer: &[u8]) -> io::Result<Option<u16>> {
        let Some(answer) = Message::whole(buffer)? else { return Ok(None) };
        // A proxy would cut it off, and its connection to the backend too: another bench altogether.
        if answer.bytes < buffer.len() {
            return Err(odd("it goes on where it should end"));
        }
        let code = answer.first_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        code.ok_or_else(|| odd("it has no status")).map(Some)
    }
}

fn body(fields: &str) -> io::Result<usize> {
    let mut length = 0;
    for (name, value) in fields.split("\r\n").filter_map(|field| field.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| odd("its length is not a number"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(odd("it is chunked, and nobody here sends it so"));
        }
    }
    Ok(length)
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message is not as expected: {why}"))
}

const END: &[u8] = b"\r\n\r\n";
