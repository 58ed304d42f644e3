//! Why nobody can say what a request asks for.

use http::StatusCode;
use serde_json::{Value, json};

use crate::reason::Reason;

/// What is wrong with it, and the id of the request, if that could be read.
#[derive(Debug)]
pub struct Unclear {
    pub(super) why: Garbled,
    pub(super) id: Option<Value>,
}

impl From<Garbled> for Unclear {
    fn from(why: Garbled) -> Self {
        Self { why, id: None }
    }
}

impl Unclear {
    /// Its name wherever it is told of.
    pub(crate) fn reason(&self) -> Reason {
        match self.why {
            Garbled::BodyWithoutCall => Reason::BodyWithoutCall,
            Garbled::ContentType => Reason::ContentType,
            Garbled::ContentEncoding => Reason::ContentEncoding,
            Garbled::NoLength => Reason::NoLength,
            Garbled::Json => Reason::BadJson,
            Garbled::Batch => Reason::Batch,
            Garbled::Message => Reason::BadMessage,
            Garbled::Params => Reason::BadParams,
            Garbled::HeaderMismatch => Reason::HeaderMismatch,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self.why {
            Garbled::ContentType | Garbled::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Garbled::NoLength => StatusCode::LENGTH_REQUIRED,
            Garbled::BodyWithoutCall
            | Garbled::Json
            | Garbled::Batch
            | Garbled::Message
            | Garbled::Params
            | Garbled::HeaderMismatch => StatusCode::BAD_REQUEST,
        }
    }

    /// A JSON-RPC error: a client must not take the refusal for the word of a server of another era.
    pub(crate) fn error(&self) -> Value {
        let error = json!({ "code": self.why.rpc_code(), "message": self.why.to_string() });
        json!({ "jsonrpc": "2.0", "id": self.id, "error": error })
    }
}

/// What is wrong with a request that should carry one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// By a method that carries none.
    #[error("only POST carries a message here, and this request has a body")]
    BodyWithoutCall,
    /// Another one, none, or several.
    #[error("a message is sent as Content-Type: application/json, in UTF-8")]
    ContentType,
    /// Whatever it is.
    #[error("messages are read here, so send them without Content-Encoding")]
    ContentEncoding,
    /// Large, and nobody said how large.
    #[error("a message of more than 64 KiB is sent with its Content-Length")]
    NoLength,
    /// Not one document, or one that readers would not agree about.
    #[error("the body is not one JSON document in which no name occurs twice")]
    Json,
    /// Several at once.
    #[error("send each message by itself: batches are not taken here")]
    Batch,
    /// Neither request, notification nor response.
    #[error("the body is not one JSON-RPC 2.0 message, or it spells a name in an unusual way")]
    Message,
    /// Of a method whose parameters we know.
    #[error("the parameters do not say, in the usual way, what the call is about")]
    Params,
    /// In 2026-07-28, `HeaderMismatch`.
    #[error("Mcp-Method and Mcp-Name must be there and say what the body says")]
    HeaderMismatch,
}

impl Garbled {
    fn rpc_code(self) -> i32 {
        match self {
            Self::Json => -32_700,
            Self::BodyWithoutCall
            | Self::ContentType
            | Self::ContentEncoding
            | Self::NoLength
            | Self::Batch
            | Self::Message => -32_600,
            Self::Params => -32_602,
            Self::HeaderMismatch => HEADER_MISMATCH,
        }
    }
}

/// MCP 2026-07-28, `HeaderMismatch`.
pub(crate) const HEADER_MISMATCH: i32 = -32_020;
