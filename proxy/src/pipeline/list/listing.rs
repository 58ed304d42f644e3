//! The body of an answer that may hold lists, piece by piece.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::Unreadable;
use super::frames::Frames;

/// What has come of it, and in which form.
#[derive(Debug)]
pub(crate) struct Listing {
    form: Form,
    most: usize,
}

#[derive(Debug)]
enum Form {
    Document(Vec<u8>),
    Events(Frames),
    /// Nothing more of it passes.
    Spoilt,
}

impl Listing {
    /// From the head of an answer, to a call or on a stream; none if there can be no list in it. No more
    /// than `most` bytes are held.
    pub(crate) fn begin(
        status: StatusCode,
        headers: &HeaderMap,
        answers_call: bool,
        most: usize,
    ) -> Result<Option<Self>, Unreadable> {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<usize>().ok());
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        let is = |name| kind.eq_ignore_ascii_case(name) && !headers.contains_key(CONTENT_ENCODING);
        let form = if is("text/event-stream") {
            Form::Events(Frames::new(most))
        } else if answers_call
            && is("application/json")
            && length.is_none_or(|length| length <= most)
        {
            Form::Document(Vec::new())
        } else if !answers_call || !holds_result(status) || length == Some(0) {
            // What is no result is no list, and is told in the server's own way.
            return Ok(None);
        } else {
            return Err(Unreadable);
        };
        Ok(Some(Self { form, most }))
    }

    /// Takes the next piece, and gives out what may pass by now, with each message as `cut` leaves it.
    pub(crate) fn pass(
        &mut self,
        piece: &[u8],
        end: bool,
        mut cut: impl FnMut(&str) -> Result<Option<String>, Unreadable>,
    ) -> Result<Vec<u8>, Unreadable> {
        let most = self.most;
        let passed = match &mut self.form {
            Form::Spoilt => Ok(Vec::new()),
            Form::Events(frames) => frames.pass(piece, cut),
            Form::Document(held) => {
                held.extend_from_slice(piece);
                if held.len() > most {
                    Err(Unreadable)
                } else if end {
                    whole(held, &mut cut)
                } else {
                    Ok(Vec::new())
                }
            }
        };
        if passed.is_err() {
            self.form = Form::Spoilt;
        }
        passed
    }

    /// A message of ours, as one of such an answer.
    pub(crate) fn wrap(&self, message: &str) -> String {
        match self.form {
            Form::Events(_) => format!("data: {message}\n\n"),
            Form::Document(_) | Form::Spoilt => message.to_owned(),
        }
    }
}

/// In the transport of two endpoints, a call is merely accepted, and answered on the stream.
fn holds_result(status: StatusCode) -> bool {
    status.is_success() && status != StatusCode::ACCEPTED
}

fn whole(
    held: &[u8],
    cut: &mut impl FnMut(&str) -> Result<Option<String>, Unreadable>,
) -> Result<Vec<u8>, Unreadable> {
    let message = std::str::from_utf8(held).map_err(|_| Unreadable)?;
    Ok(cut(message)?.map_or_else(|| held.to_vec(), String::into_bytes))
}
