//! What has been found out about a request since it arrived, because a decision needed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::authenticate::Told;

/// Grows from decision to decision. Whatever is in it is not asked for again, so that no request is
/// decided for ever.
#[derive(Debug, Default)]
pub struct Known {
    asked: Asked,
    body: Option<Bytes>,
    verified: AtomicBool,
}

/// What the issuer has been asked about a request's token.
#[derive(Debug, Default)]
pub(super) enum Asked {
    #[default]
    Nobody,
    /// For its keys: those that we have are those that there are.
    ForKeys,
    /// About the token itself, and this is the answer.
    About(Arc<Told>),
}

impl Known {
    /// The issuer has been asked for its keys: one that it still does not publish is none.
    pub fn keys_are_new(&mut self) {
        self.asked = Asked::ForKeys;
    }

    /// This is what the issuer says about the token.
    pub fn token_is(&mut self, told: Arc<Told>) {
        self.asked = Asked::About(told);
    }

    /// This is the body, all of it.
    pub fn body_is(&mut self, body: Bytes) {
        self.body = Some(body);
        // It may have taken its time to come.
        if matches!(self.asked, Asked::ForKeys) {
            self.asked = Asked::Nobody;
        }
    }

    /// The token has been verified for this request: a later decision finds the verdict of an earlier one.
    pub(super) fn token_was_verified(&self) {
        self.verified.store(true, Ordering::Relaxed);
    }

    /// Whether the verdict on the token is this request's own.
    pub(crate) fn has_verified(&self) -> bool {
        self.verified.load(Ordering::Relaxed)
    }

    /// What is to be forwarded, if it was read.
    pub fn into_body(self) -> Option<Bytes> {
        self.body
    }

    pub(super) fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }
}
