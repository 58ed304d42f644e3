//! File descriptors: connections that strangers open must never use up those that keys, revocations
//! and the backend need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// Raises this process's limit as far as it may, and checks that it is enough.
pub(crate) fn make_room(limits: &Limits) -> Result<(), TooFew> {
    let connections = limits.connections;
    let needed = needed(connections);
    let given = getrlimit(Resource::Nofile);
    // Where there is no end to it, some systems want a number nevertheless.
    let raised = Rlimit { current: given.maximum.or(Some(needed)), maximum: given.maximum };
    let may = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => given.maximum,
        Err(_) => given.current,
    };
    match may {
        Some(may) if may < needed => Err(TooFew { connections, needed, may }),
        Some(_) | None => Ok(()),
    }
}

/// A client's connection, one to the backend, and the second handle on that one.
fn needed(connections: usize) -> u64 {
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(3).saturating_add(OWN)
}

/// The process may not open as many files as its clients may take up.
#[derive(Debug, thiserror::Error)]
#[error(
    "limits.connections: {connections} connections can take {needed} open files, and this process may \
     have {may}: raise its limit (ulimit -n, LimitNOFILE), or write a lower number"
)]
pub(crate) struct TooFew {
    connections: usize,
    needed: u64,
    may: u64,
}

/// Both listeners, probes, fetches, files, and what the system libraries hold.
const OWN: u64 = 256;
