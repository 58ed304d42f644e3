//! Which MCP method a request calls, and on what: read so that no backend can read it otherwise.

mod body;
mod mirror;
mod unclear;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method};
use serde_json::Value;

use body::Message;
pub(crate) use unclear::HEADER_MISMATCH;
pub use unclear::{Garbled, Unclear};

/// One JSON-RPC message of a client's, on which headers and body agree.
#[derive(Debug)]
pub struct Call(Message);

impl Call {
    /// Whether a request carries a call. What is neither a call nor plainly none is not looked at further.
    pub(super) fn is_expected(request: &Parts) -> Result<bool, Garbled> {
        if request.method != Method::POST {
            return if has_body(request) { Err(Garbled::BodyWithoutCall) } else { Ok(false) };
        }
        let mut types = request.headers.get_all(CONTENT_TYPE).iter();
        match (types.next(), types.next()) {
            (Some(only), None) if is_json(only) => (),
            (None | Some(_), _) => return Err(Garbled::ContentType),
        }
        if request.headers.contains_key(CONTENT_ENCODING) {
            return Err(Garbled::ContentEncoding);
        }
        Ok(true)
    }

    /// Reads the body, and compares it with what the headers say of it.
    pub fn read(request: &Parts, body: &[u8]) -> Result<Self, Unclear> {
        let message = Message::read(body)?;
        if mirror::agrees(&request.headers, &message) {
            Ok(Self(message))
        } else {
            Err(message.unclear(Garbled::HeaderMismatch))
        }
    }

    /// What it asks for, each to be judged by itself: nearly always one thing.
    pub(super) fn acts(&self) -> Vec<Act<'_>> {
        self.0.acts()
    }

    /// The method; a client's answer has none.
    pub fn method(&self) -> &str {
        self.0.method()
    }

    /// The id by which its answer is known.
    pub(crate) fn id(&self) -> Option<&Value> {
        self.0.id()
    }

    /// Whether it asks for a list of what there is.
    pub(super) fn asks_for_list(&self) -> bool {
        LISTS.contains(&self.method())
    }

    /// What it is called with.
    pub(crate) fn arguments(&self) -> Option<&Value> {
        self.0.acts().first()?.arguments
    }

    /// The trace that the message belongs to, as its sender spells it.
    pub(crate) fn trace_parent(&self) -> Option<&str> {
        self.0.meta("traceparent")
    }

    /// The tool, if it calls one.
    pub(crate) fn tool(&self) -> Option<&str> {
        match self.0.acts().first()?.target? {
            Target::Tool(name) if self.method() == "tools/call" => Some(name),
            Target::Tool(_) | Target::Prompt(_) | Target::Resource(_) => None,
        }
    }

    /// What it is called on: a tool's or prompt's name, a resource's URI.
    pub fn name(&self) -> Option<&str> {
        self.0.acts().first()?.target.map(Target::name)
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act<'a> {
    /// Empty where a request carries no call, and for a client's answers.
    pub(super) method: &'a str,
    pub(super) target: Option<Target<'a>>,
    pub(super) arguments: Option<&'a Value>,
}

/// What a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Tool(&'a str),
    Prompt(&'a str),
    Resource(&'a str),
}

impl<'a> Target<'a> {
    pub(super) fn name(self) -> &'a str {
        let (Self::Tool(name) | Self::Prompt(name) | Self::Resource(name)) = self;
        name
    }
}

impl<'a> Act<'a> {
    /// To do this with that, whatever the arguments.
    pub(super) fn on(method: &'static str, target: Target<'a>) -> Self {
        Self { method, target: Some(target), arguments: None }
    }
}

impl Act<'_> {
    /// To open or close a stream or a session, or to answer what the server asked.
    pub(super) const NONE: Self = Self { method: "", target: None, arguments: None };

    /// Whether it gives nobody anything: how clients begin, end, and hear what there is. Lists are cut
    /// down to what their reader may use.
    pub(super) fn is_plumbing(&self) -> bool {
        self.target.is_none()
            && (PLUMBING.contains(&self.method) || self.method.starts_with("notifications/"))
    }
}

const LISTS: [&str; 4] =
    ["prompts/list", "resources/list", "resources/templates/list", "tools/list"];

const PLUMBING: [&str; 10] = [
    "",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "subscriptions/listen",
    "tools/list",
];

fn has_body(request: &Parts) -> bool {
    request.headers.contains_key(TRANSFER_ENCODING)
        || request.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// In UTF-8, which is the only encoding there is of JSON (RFC 8259 section 8.1), said or unsaid.
fn is_json(kind: &HeaderValue) -> bool {
    let Ok(text) = kind.to_str() else { return false };
    let (kind, charset) = match text.split_once(';') {
        Some((kind, parameter)) => (kind, parameter.trim()),
        None => (text, UTF_8),
    };
    kind.trim().eq_ignore_ascii_case("application/json") && charset.eq_ignore_ascii_case(UTF_8)
}

const UTF_8: &str = "charset=utf-8";
