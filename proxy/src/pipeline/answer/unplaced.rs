//! To what may pass, and has nowhere to go.

use super::Answer;
use crate::pipeline::authorize::Permit;
use crate::pipeline::session::UnknownSession;

impl Answer {
    /// Its session was at a server that is none of the site's any more.
    pub(crate) fn session_gone(permit: Permit) -> Self {
        Self::UnknownSession(UnknownSession::gone(permit))
    }

    /// Where it must go, nobody answers now.
    pub(crate) fn backend_down(permit: Permit) -> Self {
        Self::BackendDown(Some(permit.forfeit()))
    }

    /// Nobody may take it now.
    pub(crate) fn backend_full(permit: Permit) -> Self {
        Self::BackendFull(Some(permit.forfeit()))
    }
}

pub(super) const DOWN: &str = "the server that this must go to is down; try again";
pub(super) const FULL: &str = "the servers behind this gateway are busy; try again";
/// In seconds: longer than a look at a server that has just gone takes.
pub(super) const RETRY: &str = "2";
