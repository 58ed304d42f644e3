//! The stages of the pipeline, in its order.

use super::Case;
use crate::pipeline::answer::Answer;
use crate::pipeline::authenticate::Rejected;
use crate::pipeline::framing::Misframed;
use crate::reason::Reason;

/// One question that the pipeline asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Request,
    Route,
    Origin,
    Token,
    Issuer,
    Keys,
    Type,
    Audience,
    Times,
    Signature,
    Binding,
    Subject,
    Revocation,
    Proof,
    Content,
    Call,
    Policy,
    Session,
    Limits,
}

impl Step {
    pub(super) const ALL: [Self; 19] = [
        Self::Request,
        Self::Route,
        Self::Origin,
        Self::Token,
        Self::Issuer,
        Self::Keys,
        Self::Type,
        Self::Audience,
        Self::Times,
        Self::Signature,
        Self::Binding,
        Self::Subject,
        Self::Revocation,
        Self::Proof,
        Self::Content,
        Self::Call,
        Self::Policy,
        Self::Session,
        Self::Limits,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Route => "route",
            Self::Origin => "origin",
            Self::Token => "token",
            Self::Issuer => "issuer",
            Self::Keys => "keys",
            Self::Type => "type",
            Self::Audience => "audience",
            Self::Times => "times",
            Self::Signature => "signature",
            Self::Binding => "binding",
            Self::Subject => "subject",
            Self::Revocation => "revocation",
            Self::Proof => "proof",
            Self::Content => "content",
            Self::Call => "call",
            Self::Policy => "policy",
            Self::Session => "session",
            Self::Limits => "limits",
        }
    }

    /// Those that there are for this request: an issuer that is asked needs no keys.
    pub(super) fn of_case(case: &Case) -> impl Iterator<Item = Self> {
        let asked = case.told.is_some();
        let of_keys = |step: &Self| matches!(step, Self::Keys | Self::Signature);
        Self::ALL.into_iter().filter(move |step| !(asked && of_keys(step)))
    }

    /// Where this answer was given. None: not by the pipeline.
    pub(super) fn of_answer(answer: &Answer) -> Option<Self> {
        Some(match answer {
            Answer::Misframed(why) => of_framing(*why),
            Answer::Metadata(_)
            | Answer::MetadataPreflight(_)
            | Answer::Front(_)
            | Answer::Landing(_)
            | Answer::Healthy
            | Answer::ForeignHost
            | Answer::NotFound
            | Answer::WrongMethod(_)
            | Answer::Ambiguous => Self::Route,
            Answer::ForeignOrigin | Answer::Preflight(_) => Self::Origin,
            Answer::NoCredentials(_) | Answer::BadCredentials(_) => Self::Token,
            Answer::InvalidToken(_, why) => of_token(*why),
            Answer::NoKeys => Self::Keys,
            Answer::NoIntrospection => Self::Issuer,
            Answer::Unproven(..) | Answer::ProofsFull => Self::Proof,
            Answer::Unclear(_) => Self::Call,
            Answer::InsufficientScope(..) | Answer::Denied(_) => Self::Policy,
            Answer::UnknownSession(_) => Self::Session,
            Answer::Throttled(..) if answer.reason() == Reason::TooManyFailures => Self::Token,
            Answer::Throttled(..) => Self::Limits,
            Answer::NoAudit(_)
            | Answer::BackendDown(_)
            | Answer::BackendFull(_)
            | Answer::BadGateway
            | Answer::Untrusted(_)
            | Answer::GatewayTimeout
            | Answer::Internal => return None,
        })
    }
}

fn of_framing(why: Misframed) -> Step {
    match why {
        Misframed::Method
        | Misframed::Repeated
        | Misframed::BodyTooLarge
        | Misframed::Handshake => Step::Content,
        Misframed::Version
        | Misframed::Host
        | Misframed::Length
        | Misframed::TargetTooLong
        | Misframed::HeadTooLarge
        | Misframed::Target
        | Misframed::Torn
        | Misframed::TooSlow => Step::Request,
    }
}

fn of_token(why: Rejected) -> Step {
    match why {
        Rejected::NotAJwt | Rejected::Algorithm | Rejected::Critical | Rejected::KeyId => {
            Step::Token
        }
        Rejected::Issuer | Rejected::Unasked | Rejected::Inactive | Rejected::Claim("iss") => {
            Step::Issuer
        }
        Rejected::NoKeys => Step::Keys,
        Rejected::Type | Rejected::Kind => Step::Type,
        Rejected::Audience | Rejected::Claim("aud") => Step::Audience,
        Rejected::Expired
        | Rejected::NotYetValid
        | Rejected::TooLong
        | Rejected::Claim("exp" | "nbf" | "iat") => Step::Times,
        Rejected::AlgorithmNotListed
        | Rejected::UnknownKey(_)
        | Rejected::KeyWithdrawn
        | Rejected::Signature => Step::Signature,
        Rejected::Bound => Step::Binding,
        Rejected::Claim(_) => Step::Subject,
        Rejected::Revoked => Step::Revocation,
    }
}
