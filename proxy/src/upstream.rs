//! The servers behind us: which there are, how they are, and which of them a request goes to.

mod backend;
mod dial;
mod fleet;
mod health;
mod keeper;
mod patience;
mod patient;
mod pool;
mod prober;
mod secure;

pub(crate) use backend::{Backend, Hold, server_name};
pub(crate) use dial::Line;
pub(crate) use fleet::{Fleet, Pools};
pub(crate) use health::Failure;
pub(crate) use patience::Patience;
pub(crate) use pool::{Pool, Unplaced};
pub(crate) use secure::{NotUsable, examine, handshake, untrusted};
