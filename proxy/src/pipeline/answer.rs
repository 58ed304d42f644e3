//! Replies the proxy gives by itself.

mod misframed;
mod preflight;
mod unplaced;
mod untrusted;

use bytes::Bytes;
use http::response::Builder;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::authenticate::Rejected;
use super::authorize::{Forbidden, Permit, Ruling};
use super::call::Unclear;
use super::challenge::Challenge;
use super::framing::Misframed;
use super::front::Reply;
use super::limit::Spent;
use super::proof::{ROOM_AFTER, Unproven};
use super::session::UnknownSession;
use super::token::Principal;
use crate::reason::Reason;
pub use untrusted::Untrusted;

/// One variant per reply that a client can see.
#[derive(Debug)]
pub enum Answer {
    /// 200 with the metadata document.
    Metadata(Bytes),
    /// 204: any page may read the metadata.
    MetadataPreflight(Option<HeaderValue>),
    /// Whatever the OAuth front says.
    Front(Box<Reply>),
    /// 200: name, version, endpoints.
    Landing(Bytes),
    /// 200: alive.
    Healthy,
    /// 401: authenticate first.
    NoCredentials(Challenge),
    /// 401: with another token.
    InvalidToken(Challenge, Rejected),
    /// 401: with a proof, or another one; and the nonce that it must hold.
    Unproven(Challenge, Unproven, Option<HeaderValue>),
    /// 400: credentials given in a way that nobody should guess about.
    BadCredentials(Challenge),
    /// 403: come back with more scope.
    InsufficientScope(Challenge, Forbidden),
    /// 403, and no challenge: no scope would help.
    Denied(Forbidden),
    /// 400 and its like: nobody can say what the request calls.
    Unclear(Unclear),
    /// 404: MCP's word for a session that has ended. Whose it is, is not said.
    UnknownSession(UnknownSession),
    /// 429, or 503: later; and who is refused, if that is known.
    Throttled(Spent, Option<Forbidden>),
    /// 503: we cannot judge now.
    NoKeys,
    /// 503: it may pass, but not untold.
    NoAudit(Forbidden),
    /// 503: nobody could say whether this proof has been used before.
    ProofsFull,
    /// 503: and who can does not answer.
    NoIntrospection,
    /// 204 at an endpoint, for a page that may call it.
    Preflight(Option<HeaderValue>),
    /// 403, and no challenge: a token would change nothing.
    ForeignOrigin,
    /// 421: another host's requests belong to another server.
    ForeignHost,
    /// 404.
    NotFound,
    /// 405 at a public place.
    WrongMethod(&'static str),
    /// 400: a path with two readings.
    Ambiguous,
    /// Malformed or too large.
    Misframed(Misframed),
    /// 503: the server that must answer this is down, and may be back soon.
    BackendDown(Option<Forbidden>),
    /// 503: all servers have as much to do as they may.
    BackendFull(Option<Forbidden>),
    /// The upstream is not who it should be.
    Untrusted(Untrusted),
    /// The upstream cannot be reached.
    BadGateway,
    /// The upstream did not answer in time.
    GatewayTimeout,
    /// Our own fault.
    Internal,
}

impl Answer {
    /// What it would have permitted is to be recorded, and cannot be.
    pub(crate) fn unaudited(permit: Permit) -> Self {
        Self::NoAudit(permit.forfeit())
    }

    /// The whole reply. Every body is JSON, and no refusal may be stored.
    pub(crate) fn into_response(self) -> http::Result<Response<Bytes>> {
        let status = self.status();
        // What is no page needs no more (Content-Security-Policy) to be none in anybody's frame.
        let reply = Response::builder()
            .status(status)
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::X_FRAME_OPTIONS, "DENY");
        match self {
            Self::Metadata(document) => readable(reply)
                .header(header::CACHE_CONTROL, "public, max-age=300")
                .header(header::CONTENT_TYPE, JSON)
                .body(document),
            Self::MetadataPreflight(wanted) => {
                preflight::of_metadata(reply, wanted).body(Bytes::new())
            }
            Self::Front(answer) => answer.into_response(reply),
            Self::Landing(document) => stored_never(reply).body(document),
            Self::Healthy => stored_never(reply).body(Bytes::from_static(b"{\"status\":\"ok\"}")),
            Self::NoCredentials(challenge) => challenged(reply, challenge)
                .body(error("unauthorized", "send an access token: Authorization: Bearer …")),
            Self::InvalidToken(challenge, why) => {
                challenged(reply, challenge).body(error("invalid_token", &why.to_string()))
            }
            Self::Unproven(challenge, why, nonce) => {
                with_nonce(challenged(reply, challenge), nonce)
                    .body(error(why.error(), &why.to_string()))
            }
            Self::BadCredentials(challenge) => challenged(reply, challenge).body(error(
                "invalid_request",
                "send exactly one Authorization header: Bearer or DPoP, and one token",
            )),
            Self::InsufficientScope(challenge, _) => challenged(reply, challenge).body(error(
                "insufficient_scope",
                "the token lacks a scope that this request needs",
            )),
            Self::Unclear(why) => stored_never(reply).body(why.error().to_string().into()),
            Self::Throttled(spent, _) => throttled(reply, spent),
            Self::NoKeys => unavailable(reply, "5", KEYLESS),
            Self::NoIntrospection => unavailable(reply, "5", UNASKED),
            Self::NoAudit(_) => unavailable(reply, "5", UNRECORDED),
            Self::ProofsFull => unavailable(reply, ROOM_AFTER, &Unproven::Full.to_string()),
            Self::BackendDown(_) => unavailable(reply, unplaced::RETRY, unplaced::DOWN),
            Self::BackendFull(_) => unavailable(reply, unplaced::RETRY, unplaced::FULL),
            Self::Preflight(asked) => {
                preflight::of_endpoint(reply, asked.as_ref()).body(Bytes::new())
            }
            Self::WrongMethod(allowed) => readable(stored_never(reply))
                .header(header::ALLOW, allowed)
                .body(error("method_not_allowed", "this place is not asked with that method")),
            Self::Misframed(why) => misframed::refuse(reply, why),
            Self::Denied(_) => plain(reply, "forbidden", DENIED),
            Self::UnknownSession(_) => plain(reply, "unknown_session", UNKNOWN_SESSION),
            Self::NotFound => plain(reply, "not_found", "nothing is served here"),
            Self::ForeignOrigin => plain(reply, "forbidden_origin", FOREIGN_ORIGIN),
            Self::ForeignHost => plain(reply, "misdirected_request", FOREIGN_HOST),
            Self::Ambiguous => plain(reply, "invalid_request", AMBIGUOUS),
            Self::Untrusted(_) | Self::BadGateway => plain(reply, "bad_gateway", UNREACHABLE),
            Self::GatewayTimeout => plain(reply, "gateway_timeout", UNANSWERED),
            Self::Internal => plain(reply, "server_error", "the gateway failed"),
        }
    }

    /// Its name wherever it is told of.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Metadata(_) | Self::MetadataPreflight(_) => Reason::Metadata,
            Self::Front(reply) => reply.reason(),
            Self::Landing(_) => Reason::Landing,
            Self::Healthy => Reason::Health,
            Self::NoCredentials(_) => Reason::NoCredentials,
            Self::InvalidToken(_, why) => why.reason(),
            Self::Unproven(_, why, _) => why.reason(),
            Self::ProofsFull => Reason::ProofsFull,
            Self::BadCredentials(_) => Reason::BadCredentials,
            Self::InsufficientScope(..) => Reason::InsufficientScope,
            Self::Denied(who) if who.ruling().failed().is_some() => Reason::ConditionFailed,
            Self::Denied(_) => Reason::Denied,
            Self::Unclear(why) => why.reason(),
            Self::Throttled(spent, _) => spent.reason(),
            Self::NoKeys => Reason::NoKeys,
            Self::NoIntrospection => Reason::NoIntrospection,
            Self::NoAudit(_) => Reason::NoAudit,
            Self::Preflight(_) => Reason::Preflight,
            Self::ForeignOrigin => Reason::ForeignOrigin,
            Self::ForeignHost => Reason::ForeignHost,
            Self::UnknownSession(_) => Reason::UnknownSession,
            Self::NotFound => Reason::NotFound,
            Self::WrongMethod(_) => Reason::WrongMethod,
            Self::Ambiguous => Reason::AmbiguousPath,
            Self::Misframed(why) => why.reason(),
            Self::BackendDown(_) => Reason::BackendDown,
            Self::BackendFull(_) => Reason::BackendFull,
            Self::Untrusted(why) => why.reason(),
            Self::BadGateway => Reason::BadGateway,
            Self::GatewayTimeout => Reason::GatewayTimeout,
            Self::Internal => Reason::Internal,
        }
    }

    /// Whom it refuses, if that is known, and on what that rests.
    pub(crate) fn refused(&self) -> Option<(&Principal, &Ruling)> {
        if let Self::UnknownSession(unknown) = self {
            return Some((unknown.principal(), unknown.ruling()));
        }
        let (Self::InsufficientScope(_, who)
        | Self::Denied(who)
        | Self::NoAudit(who)
        | Self::BackendDown(Some(who))
        | Self::BackendFull(Some(who))
        | Self::Throttled(_, Some(who))) = self
        else {
            return None;
        };
        Some((who.principal(), who.ruling()))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Metadata(_) | Self::Landing(_) | Self::Healthy => StatusCode::OK,
            Self::Front(reply) => reply.status(),
            Self::MetadataPreflight(_) | Self::Preflight(_) => StatusCode::NO_CONTENT,
            Self::NoCredentials(_) | Self::InvalidToken(..) | Self::Unproven(..) => {
                StatusCode::UNAUTHORIZED
            }
            Self::BadCredentials(_) | Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::InsufficientScope(..) | Self::Denied(_) | Self::ForeignOrigin => {
                StatusCode::FORBIDDEN
            }
            Self::Unclear(why) => why.status(),
            Self::Throttled(spent, _) => spent.status(),
            Self::NoKeys
            | Self::NoIntrospection
            | Self::NoAudit(_)
            | Self::ProofsFull
            | Self::BackendDown(_)
            | Self::BackendFull(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::UnknownSession(_) | Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Misframed(why) => misframed::status(*why),
            Self::Untrusted(_) | Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Any page may read it: it says nothing that is not meant for everybody.
fn readable(reply: Builder) -> Builder {
    reply.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
}

fn with_nonce(reply: Builder, nonce: Option<HeaderValue>) -> Builder {
    match nonce {
        Some(nonce) => reply.header(DPOP_NONCE, nonce),
        None => reply,
    }
}

fn challenged(reply: Builder, challenge: Challenge) -> Builder {
    stored_never(reply).header(header::WWW_AUTHENTICATE, challenge.into_header())
}

fn throttled(reply: Builder, spent: Spent) -> http::Result<Response<Bytes>> {
    stored_never(reply)
        .header(header::RETRY_AFTER, spent.retry_after())
        .header("ratelimit-policy", spent.policy())
        .header("ratelimit", spent.state())
        .body(error(spent.reason().code(), &spent.to_string()))
}

fn plain(reply: Builder, code: &str, why: &str) -> http::Result<Response<Bytes>> {
    stored_never(reply).body(error(code, why))
}

const DENIED: &str = "this server's rules do not let you do this";
const FOREIGN_ORIGIN: &str = "pages of this origin may not call this server";
const FOREIGN_HOST: &str = "this server does not answer for that host";
const AMBIGUOUS: &str = "the path can be read in more than one way; use plain segments";
const UNKNOWN_SESSION: &str = "there is no such session of this caller's; begin a new one";
const KEYLESS: &str = "the keys to check the token with cannot be had now; try again";
const UNASKED: &str = "the issuer cannot be asked about the token now; try again";
const UNRECORDED: &str =
    "the request cannot be recorded now, and none passes unrecorded; try again";
const UNREACHABLE: &str = "the server behind this gateway cannot be reached";
const UNANSWERED: &str = "the server behind this gateway did not answer in time";

/// Infrastructure trouble: the client is to come back, not to log in again.
fn unavailable(reply: Builder, seconds: &'static str, why: &str) -> http::Result<Response<Bytes>> {
    stored_never(reply)
        .header(header::RETRY_AFTER, seconds)
        .body(error("temporarily_unavailable", why))
}

fn stored_never(reply: Builder) -> Builder {
    reply.header(header::CACHE_CONTROL, "no-store").header(header::CONTENT_TYPE, JSON)
}

fn error(code: &str, description: &str) -> Bytes {
    json!({ "error": code, "error_description": description }).to_string().into()
}

/// RFC 9449 section 8.
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

const JSON: &str = "application/json";
